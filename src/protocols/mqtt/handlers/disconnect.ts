/** DISCONNECT: the client takes its leave, and its will with it [MQTT5 §3.14]. */
import type { Client } from '../client.ts';
import { REASON } from '../reasons.ts';
import { expirySecondsWithin } from '../sessions.ts';
import type { PacketOf, Serving } from './handler.ts';

/** False: what it asks for is not allowed, and the connection was closed for that. */
export function handleDisconnect(
  serving: Serving,
  client: Client,
  { reasonCode = 0, properties }: PacketOf<'disconnect'>,
): boolean {
  const { session } = client;
  const asked = properties?.sessionExpiryInterval;
  if (asked !== undefined && asked > 0 && client.askedExpirySeconds === 0) {
    // [MQTT5-3.1.2-23]
    client.close(REASON.protocolError, 'a session without expiry cannot be given one');
    return false;
  }
  if (asked !== undefined) session.expirySeconds = expirySecondsWithin(asked);
  if (reasonCode !== REASON.disconnectWithWill) {
    session.will = undefined;
    serving.wills.cancel(session);
  }
  return true;
}
