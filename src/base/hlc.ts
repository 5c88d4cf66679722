/**
 * Hybrid logical clock: orders record versions by wall time while never going back, even when the
 * wall clock does. A reading packs milliseconds and an 11-bit counter into one safe integer, so
 * that comparing versions is comparing numbers.
 */
import { assert } from './assert.ts';
import { type EpochMs, epochMs, type RecordVersion, recordVersion } from './brands.ts';

const COUNTERS = 2048;

/** The wall-clock part of a version. */
export const versionTime = (version: RecordVersion): EpochMs =>
  epochMs(Math.floor(version / COUNTERS));

/** The smallest version of an instant. */
export const versionAt = (at: EpochMs): RecordVersion => recordVersion(at * COUNTERS);

export interface HybridClock {
  /** A version greater than every one given or seen before. */
  next(now: EpochMs): RecordVersion;
  /** Makes later versions greater than `seen`. */
  observe(seen: RecordVersion): void;
  /**
   * Goes on from `version`, even back: only when nobody has kept what was given ahead of it. The
   * clock is being put right until it is `settled`.
   */
  reset(version: RecordVersion): void;
  settle(): void;
  readonly isSettled: boolean;
  readonly last: RecordVersion;
}

/** A clock which continues after `highWater`, the greatest version the store has kept. */
export function createHybridClock(highWater: RecordVersion): HybridClock {
  let last = highWater;
  let isSettled = true;
  return {
    next(now) {
      last = recordVersion(Math.max(now * COUNTERS, last + 1));
      assert(Number.isSafeInteger(last), 'versions are safe integers');
      return last;
    },
    observe(seen) {
      if (seen > last) last = seen;
    },
    reset(version) {
      last = version;
      isSettled = false;
    },
    settle() {
      isSettled = true;
    },
    get isSettled() {
      return isSettled;
    },
    get last() {
      return last;
    },
  };
}
