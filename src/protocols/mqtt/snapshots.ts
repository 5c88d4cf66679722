/**
 * Sends new subscriptions their retained messages, a page of each session a turn. A record of a
 * cache that is subscribed to by its own topic is read as a client's `GET` would, from the origin
 * if need be; those under a wildcard are what the store holds.
 */
import { LIMITS } from '../../config/limits.ts';
import type { ChangeSource, Soon } from '../../feed/change-source.ts';
import type { ReadRecord, RecordState } from '../../feed/record-state.ts';
import type { Dispatch } from './dispatch.ts';
import { Message } from './message.ts';
import { retainedMessage } from './read-message.ts';
import { RetainedScan } from './retained-scan.ts';
import type { Session } from './session.ts';
import type { Subscription } from './subscription-tree.ts';
import type { Located, Topics } from './topics.ts';

export interface SnapshotParts {
  readonly source: ChangeSource;
  readonly topics: Topics;
  readonly dispatch: Dispatch;
  readonly readRecord: ReadRecord;
  readonly soon?: Soon | undefined;
}

const encoder = new TextEncoder();

export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #soon: Soon;
  readonly #runnable = new Set<Session>();
  #scheduled = false;
  count = 0;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
    this.#soon = parts.soon ?? ((fn) => void setImmediate(fn));
  }

  add(session: Session, subscription: Subscription): void {
    this.count += 1;
    const { topics } = this.#parts;
    const { filter } = subscription;
    const isOne = !/[+#]/.test(filter);
    const located = isOne ? topics.locate(filter) : undefined;
    if (isOne && located === undefined) return;
    if (located?.table.sourcedFrom === undefined) {
      session.scans.push(new RetainedScan(this.#parts, subscription, located));
      this.wake(session);
      return;
    }
    const { table, id } = located;
    this.#parts.readRecord(table, id, (state) => this.#read(session, subscription, located, state));
  }

  /** The session has room, or something new to send. */
  wake(session: Session): void {
    if (session.scans.length === 0 || !session.isConnected) return;
    this.#runnable.add(session);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#soon(() => this.#turn());
  }

  #read(session: Session, subscription: Subscription, located: Located, state: RecordState): void {
    if (state.kind !== 'found' || session.subscriptions.get(subscription.written) !== subscription)
      return;
    const { table, id } = located;
    const entryOf = () =>
      this.#parts.source.withEntry(table.name, id, '', (entry) =>
        retainedMessage(entry, subscription.filter, table, this.#parts.source),
      );
    const message = entryOf() ?? valueMessage(subscription.filter, located, state);
    session.scans.push(new RetainedScan(this.#parts, subscription, message));
    this.wake(session);
  }

  #turn(): void {
    this.#scheduled = false;
    let left = LIMITS.snapshotChunkRowsMax;
    for (const session of this.#runnable) {
      this.#runnable.delete(session);
      this.#advance(session);
      left -= 1;
      if (left === 0) break;
    }
    if (this.#runnable.size === 0) return;
    this.#scheduled = true;
    this.#soon(() => this.#turn());
  }

  #advance(session: Session): void {
    const scan = session.scans[0];
    if (scan === undefined || !session.isConnected) return;
    const { dispatch } = this.#parts;
    const { subscription } = scan;
    const progress = scan.advance((message) => {
      if (!session.takeRetained(message, subscription)) return false;
      dispatch.wasShown(session, message);
      return true;
    });
    if (progress === 'done') session.scans.shift();
    if (progress !== 'full' && session.scans.length > 0) this.#runnable.add(session);
  }
}

/** What a read found and the store does not keep. */
function valueMessage(
  topic: string,
  { table, id }: Located,
  { value, version }: Extract<RecordState, { kind: 'found' }>,
): Message | undefined {
  if (value === undefined) return undefined;
  const payload = encoder.encode(value);
  const common = { topic, table, id, payload, version, isState: true };
  return new Message({ ...common, sequence: undefined, at: 0 as never, publication: undefined });
}
