/**
 * Reading the change log: the ring first, which has the rows before and after, and the log itself
 * for who is further behind. Changes that were decoded once are kept for the other cursors of this
 * thread, which all want the same ones.
 */
import { type Sequence, sequence } from '../base/brands.ts';
import type { Change, ChangeBatch } from '../table/store-port.ts';
import { decodeChange } from './change-format.ts';
import type { ChangeRing } from './change-ring.ts';
import { HIGH, type Tree } from './engine.ts';

/** Decoded changes kept by a thread; a power of two. */
const RECENT_MAX = 512;
/** Larger rows are copied from the ring again for each cursor. */
const RECENT_BYTES_MAX = 64 * 1024;

const rowBytes = (change: Change): number =>
  (change.before?.length ?? 0) + (change.after?.length ?? 0);

const isQuiet = ({ relay }: Change): boolean => relay?.isQuiet === true;

export class ChangeReader {
  readonly #ring: ChangeRing;
  readonly #log: Tree;
  readonly #recent: (Change | undefined)[] = new Array(RECENT_MAX);

  constructor(ring: ChangeRing, log: Tree) {
    this.#ring = ring;
    this.#log = log;
  }

  /** As `allAfter`, without those of which nobody here is told. */
  changesAfter(after: Sequence, max: number, first: Sequence, last: Sequence): ChangeBatch {
    const batch = this.allAfter(after, max, first, last);
    if (!batch.changes.some(isQuiet)) return batch;
    return { ...batch, changes: batch.changes.filter((change) => !isQuiet(change)) };
  }

  /** Changes with `after` < sequence <= `last`, at most `max`, given what the log still holds. */
  allAfter(after: Sequence, max: number, first: Sequence, last: Sequence): ChangeBatch {
    const truncated = after + 1 < first || after > last;
    const from = Math.max(after + 1, first);
    const end = Math.min(last, from + max - 1);
    const changes: Change[] = [];
    for (let at = from; at <= end; ) {
      const recent = this.#recentChange(sequence(at));
      if (recent === undefined) {
        // Older than the ring: the rest of this batch comes from the log in one scan.
        this.#readLog(at, end, changes);
        break;
      }
      changes.push(recent);
      at += 1;
    }
    const next = changes.at(-1)?.sequence ?? sequence(Math.max(Math.min(after, last), first - 1));
    return { changes, truncated, next };
  }

  #recentChange(at: Sequence): Change | undefined {
    const slot = at % RECENT_MAX;
    const known = this.#recent[slot];
    if (known?.sequence === at) return known;
    const change = this.#ring.read(at);
    // An older change than the one kept belongs to a cursor far behind: it does not push it out.
    const isNewer = known === undefined || known.sequence < at;
    if (change !== undefined && isNewer && rowBytes(change) <= RECENT_BYTES_MAX) {
      this.#recent[slot] = change;
    }
    return change;
  }

  #readLog(from: number, end: number, into: Change[]): void {
    this.#log.range({ start: from, end: HIGH }, (key, value) => {
      if (typeof key !== 'number' || key > end) return false;
      into.push(decodeChange(sequence(key), value));
      return true;
    });
  }
}
