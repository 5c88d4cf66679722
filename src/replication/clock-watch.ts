/**
 * What the clocks of the connected nodes say about this one (SPEC §6). A clock elsewhere is known
 * by its distance from ours, measured by echoes; the reference is the middle of all, ours among
 * them.
 *
 * Pure: it is asked with the time, and tells what to do.
 */
import { type EpochMs, epochMs, type RecordVersion } from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import { LIMITS } from '../config/limits.ts';

/** The lower middle of distances, our own of 0 among them: how far the reference is ahead of us. */
export function referenceOffset(offsets: readonly number[]): number {
  const all = [0, ...offsets].sort((one, other) => one - other);
  return all[Math.floor((all.length - 1) / 2)] ?? 0;
}

/** The latest stamp that is taken now. */
export function stampLimit(now: EpochMs, offsets: readonly number[]): EpochMs {
  return epochMs(now + Math.max(0, referenceOffset(offsets)) + LIMITS.clockAheadMsMax);
}

/** By how much this node is so far ahead that it must not write; 0 when it is not. */
export function aheadBy(offsets: readonly number[]): number {
  const ahead = -referenceOffset(offsets);
  return ahead > LIMITS.clockAheadMsMax ? ahead : 0;
}

/** Whether all agree on the time, and the newest version is from beyond it. */
export function mustRestamp(
  now: EpochMs,
  newest: RecordVersion,
  offsets: readonly number[],
): boolean {
  const agree = offsets.every((offset) => Math.abs(offset) <= LIMITS.clockAheadMsMax);
  return offsets.length > 0 && agree && versionTime(newest) > stampLimit(now, offsets);
}
