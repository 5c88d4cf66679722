/**
 * Whether a table's feed is connected, and since when without a gap: while it is, what the feed or a
 * fetch stored counts as fresh whatever its age; when it goes down, entries fall back to their
 * freshness lifetime, counted from that moment.
 *
 * Kept in shared memory: the feed runs on the store thread, the reads on every worker.
 */
import { type DurationMs, type EpochMs, epochMs } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import { FOREVER } from '../cache/entry.ts';

const LIVE = 0;
const SINCE = 1;
const DOWN_AT = 2;
const SLOTS = 3;

export const LIVE_SOURCE_BYTES = SLOTS * Float64Array.BYTES_PER_ELEMENT;

export class LiveSource {
  readonly #slots: Float64Array;
  readonly #lifetime: DurationMs;

  /** `memory` is shared by all threads; one offset a table. */
  constructor(memory: SharedArrayBuffer, index: number, lifetime: DurationMs) {
    this.#slots = new Float64Array(memory, index * LIVE_SOURCE_BYTES, SLOTS);
    this.#lifetime = lifetime;
  }

  get live(): boolean {
    return this.#slots[LIVE] === 1;
  }

  /** The feed is connected. Without `resumed`, changes may have been missed before `at`. */
  connected(at: EpochMs, resumed: boolean): void {
    if (!resumed || this.#slots[SINCE] === 0) this.#slots[SINCE] = at;
    this.#slots[LIVE] = 1;
  }

  disconnected(at: EpochMs): void {
    if (this.live) this.#slots[DOWN_AT] = at;
    this.#slots[LIVE] = 0;
  }

  /** Until when the feed vouches for the entry, beyond its own freshness; 0 when it does not. */
  vouchedUntil(entry: Entry): EpochMs {
    if (entry.storedAt < (this.#slots[SINCE] as number) || this.#slots[SINCE] === 0)
      return epochMs(0);
    if (this.live) return FOREVER;
    return epochMs((this.#slots[DOWN_AT] as number) + this.#lifetime);
  }
}
