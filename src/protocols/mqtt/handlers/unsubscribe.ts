/** UNSUBSCRIBE [MQTT5 §3.10]. What is in flight stays in flight [MQTT5-3.10.4-3]. */
import type { Client } from '../client.ts';
import { REASON } from '../reasons.ts';
import type { PacketOf, Serving } from './handler.ts';

export async function handleUnsubscribe(
  serving: Serving,
  client: Client,
  { messageId = 0, unsubscriptions }: PacketOf<'unsubscribe'>,
): Promise<void> {
  const { session } = client;
  const granted = unsubscriptions.map((filter) =>
    serving.sessions.unsubscribe(session, filter) ? REASON.success : REASON.noSubscriptionExisted,
  );
  dropScans(client, unsubscriptions);
  await serving.keeper.keep(session);
  client.answer({ cmd: 'unsuback', messageId, granted: client.level === 5 ? granted : [] });
}

/** Retained messages that were still to come are not wanted any more. */
function dropScans({ session }: Client, filters: readonly string[]): void {
  const kept = session.scans.filter(({ subscription }) => !filters.includes(subscription.written));
  session.scans.splice(0, session.scans.length, ...kept);
}
