/** PUBACK: a message of QoS 1 has arrived, or its receiver does not want it [MQTT5 §3.4]. */
import type { Client } from '../client.ts';
import type { PacketOf, Serving } from './handler.ts';

export function handlePuback(
  serving: Serving,
  { session }: Client,
  { messageId = 0 }: PacketOf<'puback'>,
): void {
  // One that is not in flight was acknowledged before: nothing is wrong with saying so again.
  if (session.acknowledged(messageId)) serving.keeper.changed(session);
}
