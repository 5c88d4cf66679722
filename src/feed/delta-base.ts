/**
 * What is known of the values that a subscriber who asked for patches holds, in O(1): whether the
 * row before a change is the one it was last sent. Live it is, for it was handed every change. One
 * that is behind was perhaps shown a row newer than its place in the log, or was not shown one that
 * did not match when it was looked at, or came back with such a picture: it gets whole values until
 * it has been live, and then where a change is newer than all rows it was shown.
 */
import type { RecordId, RecordVersion, Sequence } from '../base/brands.ts';

const NEVER = Number.MAX_SAFE_INTEGER as Sequence;

/** Records invalidated and not told anew, of one subscriber; with more it gets no patches. */
const UNSURE_MAX = 1_000;

export class DeltaBase {
  #liveAt = NEVER;
  #newestShown = 0 as RecordVersion;
  #unsure: Set<RecordId> | undefined;
  #isOff = false;

  /** Whole values until it is live again. */
  restart(): void {
    this.#liveAt = NEVER;
  }

  /** It has been told of everything, rows that were read ahead included, up to the log's end. */
  live(end: Sequence): void {
    this.#liveAt = end;
  }

  /** A row was sent that may be newer than the place in the log. */
  rowShown(version: RecordVersion): void {
    if (version > this.#newestShown) this.#newestShown = version;
  }

  /** The client may have dropped the value: the next is sent whole. */
  invalidated(id: RecordId | undefined): void {
    if (id === undefined) return;
    this.#unsure ??= new Set();
    this.#unsure.add(id);
    if (this.#unsure.size <= UNSURE_MAX) return;
    this.#isOff = true;
    this.#unsure = undefined;
  }

  /** The record was sent whole, or is gone. */
  sent(id: RecordId | undefined): void {
    if (id !== undefined) this.#unsure?.delete(id);
  }

  /** Whether what it holds of the record may be changed by a patch. */
  holds(id: RecordId | undefined): boolean {
    return id !== undefined && !this.#isOff && this.#unsure?.has(id) !== true;
  }

  /** Whether all it was shown is older than a change of that place and version. */
  isBefore(first: Sequence, version: RecordVersion): boolean {
    return first > this.#liveAt && version > this.#newestShown;
  }
}
