/** Behaves as a map does, before it holds anything and after. */
import { describe, expect, it } from 'vitest';
import { SparseMap } from '../../../src/base/sparse-map.ts';

describe('a map that nearly always stays empty', () => {
  it('says that nothing is in it before anything was', () => {
    const map = new SparseMap<string, number>();
    expect([map.size, map.has('a'), map.get('a'), map.delete('a')]).toEqual([
      0,
      false,
      undefined,
      false,
    ]);
    expect([[...map.keys()], [...map.values()], [...map]]).toEqual([[], [], []]);
  });

  it('is a map once something is', () => {
    const map = new SparseMap<string, number>();
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    expect([map.size, map.has('a'), map.get('a')]).toEqual([2, true, 3]);
    expect([[...map.keys()], [...map.values()], [...map]]).toEqual([
      ['a', 'b'],
      [3, 2],
      [
        ['a', 3],
        ['b', 2],
      ],
    ]);
    expect(map.delete('a')).toBe(true);
    expect(map.size).toBe(1);
    map.clear();
    expect([map.size, [...map]]).toEqual([0, []]);
  });
});
