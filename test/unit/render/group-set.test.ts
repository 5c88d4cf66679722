/** What one page names: oldest versions, and a header that stays within its bounds. */
import { describe, expect, it } from 'vitest';
import { GroupSet } from '../../../src/render/group-set.ts';

const setOf = (groups: readonly string[]): GroupSet => {
  const set = new GroupSet();
  set.add(groups);
  return set;
};
const records = (table: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${table}/${index};v=${1000 + index}`);

describe('the groups of a page', () => {
  it('keep the oldest version of what was read twice', () => {
    const set = setOf(['Product/1;v=7', 'Product/1;v=5', 'Product/1;v=9', 'news']);
    expect(set.names()).toEqual(['Product/1;v=5', 'news']);
  });

  it('have no version once one was read without', () => {
    expect(setOf(['Product;v=7', 'Product', 'Product;v=9']).names()).toEqual(['Product']);
  });

  it('name the largest tables in place of their records when a header is too small', () => {
    const set = setOf([...records('Product', 300), ...records('Author', 20), 'news']);
    const { names, widened, lost } = set.told();
    expect({ widened, lost }).toEqual({ widened: ['Product'], lost: 0 });
    expect(names).toContain('Product');
    expect(names).toContain('Author/3;v=1003');
    expect(names).toContain('news');
    expect(names).toHaveLength(22);
  });

  it('widen as many tables as characters ask for', () => {
    const set = setOf([...records('Product', 100), ...records('Author', 90)]);
    const { names, widened } = set.told({ namesMax: 256, charsMax: 200 });
    expect(widened).toEqual(['Product', 'Author']);
    expect(names).toEqual(['Product', 'Author']);
  });

  it('say how many found no room at all', () => {
    const tags = Array.from({ length: 50 }, (_, index) => `tag-${index}`);
    const { names, lost } = setOf(tags).told({ namesMax: 10, charsMax: 10_000 });
    expect([names.length, lost]).toEqual([10, 40]);
  });

  it('never hold more than they may while they are gathered', () => {
    const set = new GroupSet();
    for (let index = 0; index < 20_000; index += 1) set.add([`Product/${index};v=${index}`]);
    expect(set.size).toBeLessThanOrEqual(4_097);
    expect(set.names()).toContain('Product');
  });

  it('cover a record by itself or by its table', () => {
    const set = setOf(['Product', 'Author/7;v=3']);
    expect(['Product/1;v=9', 'Author/7;v=4', 'Author/8;v=1'].map((one) => set.covers(one))).toEqual(
      [true, true, false],
    );
  });
});
