/** Levels of pressure: entered at their marks, left well below them. */
import { describe, expect, it } from 'vitest';
import { nextPressure, type PressureLevel } from '../../../src/base/pressure.ts';

const levels = (uses: readonly number[]): PressureLevel[] => {
  let level: PressureLevel = 0;
  return uses.map((use) => {
    level = nextPressure(level, use);
    return level;
  });
};

describe('pressure', () => {
  it('rises at once, by as many levels as it must', () => {
    expect(levels([500, 849, 850, 925, 990])).toEqual([0, 0, 1, 2, 3]);
    expect(levels([980])).toEqual([3]);
  });

  it('falls only well below the mark at which it rose', () => {
    expect(levels([860, 840, 800, 781, 779])).toEqual([1, 1, 1, 1, 0]);
    expect(levels([980, 901, 899, 851, 849, 779])).toEqual([3, 3, 2, 2, 1, 0]);
  });
});
