/** Rates and counts in shared memory: what they admit, and that strangers do not share a fate. */
import { describe, expect, it } from 'vitest';
import { RATE_BYTES, RateLimiter } from '../../../src/base/rate-limiter.ts';
import { COUNT_BYTES, SharedCounts } from '../../../src/base/shared-counts.ts';

const SEED = 12_345;
const limiter = (perSecond: number, burst: number, memory = new SharedArrayBuffer(RATE_BYTES)) =>
  new RateLimiter(memory, 0, { perSecond, burst }, SEED);

/** How many of `count` takes at one instant are admitted. */
const admitted = (rate: RateLimiter, key: string, count: number, nowMs: number): number =>
  Array.from({ length: count }, () => rate.take(key, nowMs)).filter((wait) => wait === 0).length;

describe('a rate', () => {
  it('admits a burst, then as many as the time that passed is worth', () => {
    const rate = limiter(10, 20);
    expect(admitted(rate, 'a', 100, 1_000)).toBe(20);
    expect(admitted(rate, 'a', 100, 1_500)).toBe(5);
    expect(admitted(rate, 'a', 100, 100_000)).toBe(20);
  });

  it('says how long to wait', () => {
    const rate = limiter(2, 1);
    expect(rate.take('a', 1_000)).toBe(0);
    expect(rate.take('a', 1_100)).toBe(400);
    expect(rate.take('a', 1_500)).toBe(0);
  });

  it('keeps keys apart, whatever flood of others there is', () => {
    const rate = limiter(1, 5);
    for (let i = 0; i < 4_000; i += 1) rate.take(`flood-${i}`, 1_000);
    const honest = Array.from({ length: 200 }, (_, i) => rate.take(`honest-${i}`, 1_000));
    expect(honest.filter((wait) => wait > 0)).toEqual([]);
  });

  it('is one for all threads that share the memory', () => {
    const memory = new SharedArrayBuffer(RATE_BYTES);
    const [one, other] = [limiter(1, 3, memory), limiter(1, 3, memory)];
    expect(admitted(one, 'a', 2, 1_000) + admitted(other, 'a', 2, 1_000)).toBe(3);
  });

  it('does not shut anybody out for long when the clock goes back', () => {
    const rate = limiter(1, 3);
    expect(admitted(rate, 'a', 3, 1_000_000)).toBe(3);
    expect(rate.take('a', 10_000)).toBeLessThanOrEqual(1_000);
  });

  it('of zero is none', () => {
    const rate = limiter(0, 0);
    expect(rate.isOn).toBe(false);
    expect(admitted(rate, 'a', 1_000, 1_000)).toBe(1_000);
  });
});

describe('counts by key', () => {
  it('count each key for itself and come back to nothing', () => {
    const counts = new SharedCounts(new SharedArrayBuffer(COUNT_BYTES), 0, SEED);
    const keys = Array.from({ length: 2_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    for (const key of keys) counts.enter(key);
    const over = keys.filter((key) => counts.of(key) > 2);
    expect(over).toEqual([]);
    for (let i = 0; i < 5; i += 1) counts.enter('10.9.9.9');
    expect(counts.of('10.9.9.9')).toBeGreaterThanOrEqual(5);
    for (let i = 0; i < 5; i += 1) counts.leave('10.9.9.9');
    for (const key of keys) counts.leave(key);
    expect([...keys, '10.9.9.9'].map((key) => counts.of(key)).filter((n) => n !== 0)).toEqual([]);
  });
});
