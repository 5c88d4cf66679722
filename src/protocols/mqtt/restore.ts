/**
 * Sessions of an earlier run, as their rows tell of them. What was in flight is read again from the
 * log, or from the record it was about; what can be read no more is left out, since its client will
 * not know of it either.
 */
import { type EpochMs, sequence } from '../../base/brands.ts';
import type { ChangeSource } from '../../feed/change-source.ts';
import { newSession } from './handlers/connect.ts';
import type { Serving } from './handlers/handler.ts';
import type { Message } from './message.ts';
import { changeMessage, retainedMessage } from './read-message.ts';
import { willOf } from './session-keeper.ts';
import type { KeptInFlight, SessionRow } from './session-table.ts';

export function restoreSession(serving: Serving, source: ChangeSource, row: SessionRow): void {
  const isHere = row.epoch === source.epoch && row.cursor + 1 >= source.firstSequence();
  // A session whose place in the log is gone is over: its client is told at its next CONNECT.
  const cursor = isHere ? row.cursor : source.lastSequence();
  const session = newSession(serving, { ...row, holder: row.holder ?? row.owner, cursor });
  if (session === undefined) return;
  session.expirySeconds = row.expirySeconds;
  session.will = row.will === undefined ? undefined : willOf(row.will);
  const left = isHere ? leftSeconds(row, serving.clock.now()) : 0;
  for (const subscription of row.subscriptions) serving.sessions.subscribe(session, subscription);
  for (const id of row.received) session.received.set(id, true);
  for (const kept of row.inFlight) {
    const message = messageOf(serving, source, kept);
    if (message === undefined) continue;
    const { packetId, stage, qos, retain, subscriptionIds } = kept;
    session.outgoing.restore({
      ...{ packetId, stage },
      delivery: { message, qos, retain, subscriptionIds },
    });
  }
  serving.wills.due(session, left);
  serving.sessions.away(session, left);
}

/** What is left of the expiry interval, which runs from when the client was last there. */
const leftSeconds = ({ expirySeconds, seenAt }: SessionRow, now: EpochMs): number =>
  Math.max(0, expirySeconds - Math.floor((now - seenAt) / 1000));

function messageOf(
  { topics }: Serving,
  source: ChangeSource,
  { topic, sequence: at }: KeptInFlight,
): Message | undefined {
  if (at !== undefined) {
    const [change] = source.changesAfter(sequence(at - 1), 1).changes;
    if (change?.sequence === at) return changeMessage(change, topic, source, topics);
    return undefined;
  }
  const located = topics.locate(topic);
  if (located === undefined) return undefined;
  const { table, id } = located;
  return source.withEntry(table.name, id, '', (entry) =>
    retainedMessage(entry, topic, table, source),
  );
}
