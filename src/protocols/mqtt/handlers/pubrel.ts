/** PUBREL: the client releases a message of QoS 2 which it has sent [MQTT5 §3.6]. */
import type { Client } from '../client.ts';
import { REASON } from '../reasons.ts';
import type { PacketOf, Serving } from './handler.ts';

export function handlePubrel(
  serving: Serving,
  client: Client,
  { messageId = 0 }: PacketOf<'pubrel'>,
): void {
  const { session } = client;
  const wasKnown = session.received.delete(messageId);
  serving.keeper.changed(session);
  const reason = wasKnown ? REASON.success : REASON.packetIdentifierNotFound;
  client.answer({
    cmd: 'pubcomp',
    messageId,
    ...(client.level === 5 ? { reasonCode: reason } : {}),
  });
}
