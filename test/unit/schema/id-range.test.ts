/** Generated numbers: never repeated, over restarts and between nodes that cannot talk. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createIdRange,
  type IdRangePort,
  type IdRangeState,
} from '../../../src/schema/id-range.ts';

/** A port which remembers, as a disk does. */
function disk(taken: ReadonlySet<number> = new Set()): IdRangePort & { saves: number } {
  let kept: IdRangeState | undefined;
  return {
    saves: 0,
    load: () => kept,
    save(state) {
      kept = state;
      this.saves += 1;
    },
    isTaken: (range) => taken.has(range),
  };
}

const INT_SIZE = 2 ** 20;

describe('a range of keys', () => {
  it('counts 1, 2, 3 on a node outside a cluster', () => {
    const range = createIdRange({ type: 'Long', author: undefined }, disk());
    expect([range.next(), range.next(), range.next()]).toEqual([1, 2, 3]);
  });

  it('saves once a block, before a number of it is given', () => {
    const port = disk();
    const range = createIdRange({ type: 'Long', author: undefined, block: 10 }, port);
    for (let count = 0; count < 10; count += 1) range.next();
    expect(port.saves).toBe(1);
    range.next();
    expect(port.saves).toBe(2);
  });

  it('never repeats a number after a restart, wherever it was cut off', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 30 }), { maxLength: 8 }), (runs) => {
        const port = disk();
        const given: number[] = [];
        for (const count of runs) {
          const range = createIdRange({ type: 'Int', author: 7, block: 5 }, port);
          for (let each = 0; each < count; each += 1) given.push(range.next());
        }
        expect(new Set(given).size).toBe(given.length);
      }),
    );
  });

  it('hands whole stretches to worker threads', () => {
    const range = createIdRange({ type: 'Long', author: undefined, block: 10 }, disk());
    expect(range.reserve(50)).toBe(1);
    expect(range.next()).toBe(51);
  });

  it('gives different authors different numbers', () => {
    const ranges = new Set(
      Array.from({ length: 16 }, (_, author) =>
        Math.floor(
          createIdRange({ type: 'Long', author: 1_000_003 * (author + 1) }, disk()).next() /
            2 ** 32,
        ),
      ),
    );
    expect(ranges.size).toBe(16);
    expect(ranges.has(0)).toBe(false);
  });

  it('stays below the greatest value of its type, whatever the author', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 48 - 1 }), (author) => {
        const int = createIdRange({ type: 'Int', author }, disk()).next();
        const long = createIdRange({ type: 'Long', author }, disk()).next();
        expect(int).toBeLessThan(2 ** 31);
        expect(Number.isSafeInteger(long)).toBe(true);
        expect(Math.min(int, long)).toBeGreaterThan(INT_SIZE);
      }),
    );
  });

  it('steps aside when another author is known to count there', () => {
    const first = createIdRange({ type: 'Int', author: 99 }, disk()).next();
    const taken = Math.floor(first / INT_SIZE);
    const second = createIdRange({ type: 'Int', author: 99 }, disk(new Set([taken]))).next();
    expect(Math.floor(second / INT_SIZE)).not.toBe(taken);
  });

  it('goes on in a free range when its own is used up', () => {
    const port = disk(new Set([1]));
    port.save({ range: 0, reservedUntil: INT_SIZE - 1 });
    const range = createIdRange({ type: 'Int', author: undefined, block: 10 }, port);
    expect(range.next()).toBe(INT_SIZE - 1);
    expect(range.next()).toBe(2 * INT_SIZE);
    expect(port.load()).toEqual({ range: 2, reservedUntil: 2 * INT_SIZE + 10 });
  });
});
