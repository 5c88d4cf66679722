/**
 * What a subscriber which is behind still has to be told, conflated: one item for each record that
 * changed, in the order of its first change that was not sent; one for each message, never
 * conflated. The order is fair (a record that changes often does not go to the back again), and it
 * gives every event a safe position: all changes up to just before the next item's first one have
 * been told by then.
 */
import type { EpochMs, RecordId, RecordVersion, Sequence } from '../base/brands.ts';
import type { Change } from '../table/store-port.ts';

export interface PendingItem {
  /** The first change it stands for. */
  readonly first: Sequence;
  readonly firstVersion: RecordVersion;
  readonly id: RecordId | undefined;
  /** The newest change's. */
  op: Change['op'];
  version: RecordVersion;
  at: EpochMs;
  /** The value was taken away meanwhile: whatever follows is told whole. */
  wasBroken: boolean;
  /** `message` items only. */
  readonly body: Uint8Array | undefined;
}

const WHOLE_TABLE = Symbol('whole table');

export class Pending {
  /** How far the log was read. */
  scanned: Sequence;
  readonly #items = new Map<RecordId | symbol | PendingItem, PendingItem>();
  #messageBytes = 0;

  constructor(cursor: Sequence) {
    this.scanned = cursor;
  }

  get size(): number {
    return this.#items.size;
  }

  get messageBytes(): number {
    return this.#messageBytes;
  }

  /** Takes a change in; true when it took the place of an earlier one. */
  add(change: Change): boolean {
    if (change.op === 'message') {
      const item = itemOf(change);
      this.#items.set(item, item);
      this.#messageBytes += item.body?.byteLength ?? 0;
      return false;
    }
    const key = change.id ?? WHOLE_TABLE;
    const earlier = this.#items.get(key);
    if (earlier === undefined) {
      this.#items.set(key, itemOf(change));
      return false;
    }
    earlier.op = change.op;
    earlier.version = change.version;
    earlier.at = change.at;
    earlier.wasBroken ||= breaks(change);
    return true;
  }

  /** Takes the oldest item out. */
  shift(): PendingItem | undefined {
    for (const [key, item] of this.#items) {
      this.#items.delete(key);
      this.#messageBytes -= item.body?.byteLength ?? 0;
      return item;
    }
    return undefined;
  }

  /** Everything up to here has been told once the items taken out so far are sent. */
  safePosition(): Sequence {
    for (const item of this.#items.values()) return (item.first - 1) as Sequence;
    return this.scanned;
  }
}

const breaks = ({ op }: Change): boolean => op === 'delete' || op === 'invalidate';

const itemOf = (change: Change): PendingItem => ({
  first: change.sequence,
  firstVersion: change.version,
  wasBroken: breaks(change),
  id: change.id,
  op: change.op,
  version: change.version,
  at: change.at,
  body: change.op === 'message' ? change.after : undefined,
});
