/**
 * What is known of the values that a subscriber who asked for patches holds, in O(1): whether the
 * row before a change is the one it was last sent. Live it is, for it was handed every change. One
 * that is behind was perhaps shown a row newer than its place in the log, or held such a one when
 * it came back: then it gets whole values until every change is newer than all it was shown.
 */
import type { RecordId, RecordVersion, Sequence } from '../base/brands.ts';

/** Records invalidated and not told anew, of one subscriber; with more it gets no patches. */
const UNSURE_MAX = 1_000;

export class DeltaBase {
  #resumedAt = 0 as Sequence;
  #newestShown = 0 as RecordVersion;
  #unsure: Set<RecordId> | undefined;
  #isOff = false;

  /** It holds what it was told before, up to the end of the log at most. */
  resumed(at: Sequence): void {
    this.#resumedAt = at;
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
    return first > this.#resumedAt && version > this.#newestShown;
  }
}
