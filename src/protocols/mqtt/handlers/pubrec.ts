/** PUBREC: a message of QoS 2 has arrived [MQTT5 §3.5, §4.3.3]. */
import type { Client } from '../client.ts';
import { REASON } from '../reasons.ts';
import type { PacketOf, Serving } from './handler.ts';

export function handlePubrec(
  serving: Serving,
  client: Client,
  { messageId = 0, reasonCode = 0 }: PacketOf<'pubrec'>,
): void {
  const { session } = client;
  serving.keeper.changed(session);
  if (reasonCode >= REASON.unspecified) {
    session.acknowledged(messageId);
    return;
  }
  const isKnown = session.wasReceived(messageId) !== undefined;
  const reason = isKnown ? REASON.success : REASON.packetIdentifierNotFound;
  client.answer({
    cmd: 'pubrel',
    messageId,
    ...(client.level === 5 ? { reasonCode: reason } : {}),
  });
}
