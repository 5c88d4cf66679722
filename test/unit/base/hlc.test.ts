/** The hybrid logical clock: versions only grow, and stay close to wall time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochMs, recordVersion } from '../../../src/base/brands.ts';
import { createHybridClock, versionAt, versionTime } from '../../../src/base/hlc.ts';

const NOON = epochMs(1_790_000_000_000);

describe('createHybridClock', () => {
  it('gives versions of the wall time while it moves on', () => {
    const clock = createHybridClock(recordVersion(0));
    expect(clock.next(NOON)).toBe(versionAt(NOON));
    expect(clock.next(epochMs(NOON + 5))).toBe(versionAt(epochMs(NOON + 5)));
  });

  it('counts within a millisecond', () => {
    const clock = createHybridClock(recordVersion(0));
    const first = clock.next(NOON);
    expect(clock.next(NOON)).toBe(first + 1);
    expect(versionTime(clock.last)).toBe(NOON);
  });

  it('goes on growing when the wall clock steps back', () => {
    const clock = createHybridClock(recordVersion(0));
    const before = clock.next(NOON);
    expect(clock.next(epochMs(NOON - 3_600_000))).toBe(before + 1);
  });

  it('continues after the version the store has kept', () => {
    const kept = versionAt(epochMs(NOON + 1_000));
    expect(createHybridClock(kept).next(NOON)).toBe(kept + 1);
  });

  it('gives versions above any it has seen, and is not set back by an old one', () => {
    const clock = createHybridClock(recordVersion(0));
    const remote = versionAt(epochMs(NOON + 250));
    clock.observe(remote);
    clock.observe(versionAt(epochMs(NOON - 250)));
    expect(clock.next(NOON)).toBe(remote + 1);
  });

  it('never repeats or goes back whatever the wall clock and the peers do', () => {
    const step = fc.record({ at: fc.integer({ min: 0, max: 10_000 }), seen: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const clock = createHybridClock(recordVersion(0));
        let last = 0;
        for (const { at, seen } of steps) {
          const now = epochMs(NOON + at);
          if (seen) clock.observe(versionAt(now));
          const version = clock.next(now);
          expect(version).toBeGreaterThan(last);
          expect(version).toBeGreaterThanOrEqual(versionAt(now));
          last = version;
        }
      }),
    );
  });
});

describe('versionTime', () => {
  it('is the wall time of a version, whatever its counter', () => {
    expect(versionTime(versionAt(NOON))).toBe(NOON);
    expect(versionTime(recordVersion(versionAt(NOON) + 2_047))).toBe(NOON);
    expect(versionTime(recordVersion(versionAt(NOON) + 2_048))).toBe(NOON + 1);
  });
});
