/** PUBCOMP: a message of QoS 2 is done with [MQTT5 §3.7]. */
import type { Client } from '../client.ts';
import type { PacketOf, Serving } from './handler.ts';

export function handlePubcomp(
  serving: Serving,
  { session }: Client,
  { messageId = 0 }: PacketOf<'pubcomp'>,
): void {
  if (session.acknowledged(messageId)) serving.keeper.changed(session);
}
