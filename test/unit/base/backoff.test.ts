/** Waiting times between attempts: growth, bound, and spread. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffDelay } from '../../../src/base/backoff.ts';

const options = { baseMs: 100, maxMs: 10_000 };
const longest = () => 1;
const shortest = () => 0;

describe('backoffDelay', () => {
  it('doubles the longest wait with each attempt until the maximum', () => {
    const waits = [1, 2, 3, 7, 8, 9].map((attempt) => backoffDelay(attempt, options, longest));
    expect(waits).toEqual([100, 200, 400, 6_400, 10_000, 10_000]);
  });

  it('never waits less than half of the longest wait', () => {
    expect(backoffDelay(1, options, shortest)).toBe(50);
    expect(backoffDelay(9, options, shortest)).toBe(5_000);
  });

  it('stays within its bounds for any attempt and any random number', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), random, (attempt, fraction) => {
        const wait = backoffDelay(attempt, options, () => fraction);
        const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** (attempt - 1));
        expect(wait).toBeGreaterThanOrEqual(Math.floor(ceiling / 2));
        expect(wait).toBeLessThanOrEqual(ceiling);
        expect(Number.isInteger(wait)).toBe(true);
      }),
    );
  });
});
