/** What the clocks of others say about this one (SPEC §6). */
import { describe, expect, it } from 'vitest';
import { epochMs } from '../../../src/base/brands.ts';
import { versionAt } from '../../../src/base/hlc.ts';
import { aheadBy, mustRestamp, stampLimit } from '../../../src/replication/clock-watch.ts';

const HOUR = 3_600_000;
const NOW = epochMs(1_800_000_000_000);
const BOUND = 60_000;

describe('a clock among others [R7]', () => {
  it('is ahead when the middle of all is behind it', () => {
    expect(aheadBy([-HOUR, -HOUR])).toBe(HOUR);
    expect(aheadBy([-HOUR])).toBe(HOUR);
  });

  it('is not ahead because one other is behind, nor by less than the bound', () => {
    expect(aheadBy([-HOUR, 10])).toBe(0);
    expect(aheadBy([-30_000, -20_000])).toBe(0);
    expect(aheadBy([])).toBe(0);
  });

  it('takes stamps up to the bound, and those of the others when it is behind', () => {
    expect(stampLimit(NOW, [])).toBe(NOW + BOUND);
    expect(stampLimit(NOW, [HOUR, HOUR])).toBe(NOW + HOUR + BOUND);
    expect(stampLimit(NOW, [HOUR, 0])).toBe(NOW + BOUND);
    expect(stampLimit(NOW, [HOUR])).toBe(NOW + BOUND);
    expect(stampLimit(NOW, [-HOUR, -HOUR])).toBe(NOW + BOUND);
  });

  it('has rows stamped anew only when all agree on the time', () => {
    const ahead = versionAt(epochMs(NOW + HOUR));
    expect(mustRestamp(NOW, ahead, [0, 5])).toBe(true);
    expect(mustRestamp(NOW, ahead, [0, HOUR])).toBe(false);
    expect(mustRestamp(NOW, ahead, [])).toBe(false);
    expect(mustRestamp(NOW, versionAt(epochMs(NOW + 1)), [0])).toBe(false);
  });
});
