/**
 * Whether a table's feed is connected, and since when without a gap. While it is, what was stored
 * since counts as fresh whatever its age; when it goes down, for one more freshness lifetime,
 * counted from the moment up to which the feed vouched for it. What is stored while it is down has
 * its own lifetime only.
 *
 * Kept in shared memory: the feed runs on the store thread, the reads on every worker.
 */
import type { DurationMs, EpochMs } from '../base/brands.ts';

const LIVE = 0;
const SINCE = 1;
const DOWN_AT = 2;
const SLOTS = 3;

/** Bytes of shared memory for so many tables. */
export const liveSourceBytes = (tables: number): number =>
  Math.max(1, tables) * SLOTS * Float64Array.BYTES_PER_ELEMENT;

export class LiveSource {
  readonly #slots: Float64Array;
  #lifetime: DurationMs;

  /** `memory` is shared by all threads; every table has its own index in it. */
  constructor(memory: SharedArrayBuffer, index: number, lifetime: DurationMs) {
    this.#slots = new Float64Array(memory, liveSourceBytes(1) * index, SLOTS);
    this.#lifetime = lifetime;
  }

  /** The lifetime that counts from now on, on this thread. */
  useFreshness(lifetime: DurationMs): void {
    this.#lifetime = lifetime;
  }

  get live(): boolean {
    return this.#slots[LIVE] === 1;
  }

  /** The feed is connected and has told of every change since `since`. */
  connected(since: EpochMs): void {
    this.#slots[SINCE] = since;
    this.#slots[LIVE] = 1;
  }

  disconnected(at: EpochMs): void {
    if (this.live) this.#slots[DOWN_AT] = at;
    this.#slots[LIVE] = 0;
  }

  /** Since when the feed vouches for what was stored; `undefined` when it does not (any more). */
  fedSince(now: EpochMs): EpochMs | undefined {
    const since = this.#slots[SINCE] as EpochMs;
    if (since === 0) return undefined;
    const vouched = this.live || now < (this.#slots[DOWN_AT] as number) + this.#lifetime;
    return vouched ? since : undefined;
  }
  /** Until when it vouched for what was stored; `undefined` while it does. */
  fedUntil(): EpochMs | undefined {
    return this.live ? undefined : (this.#slots[DOWN_AT] as EpochMs);
  }
}
