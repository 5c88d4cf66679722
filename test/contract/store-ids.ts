/** Numbers for generated keys: consecutive, never given twice, whoever asks and how often. */
import { expect, it } from 'vitest';
import type { TableName } from '../../src/base/brands.ts';
import type { Subject } from './store.ts';
import { HISTORY, ITEM } from './store-fixture.ts';

export function idContract(subject: Subject): void {
  it('reserves blocks of numbers that follow one another, each table its own', async () => {
    const { store } = subject();
    const asked = [1, 10, 5].map((count) => store.reserveIds(ITEM, count));
    expect(await Promise.all(asked)).toEqual([1, 2, 12]);
    expect(await store.reserveIds(ITEM, 1)).toBe(17);
    expect(await store.reserveIds(HISTORY, 1)).toBe(1);
  });

  it('reserves nothing for a table which it does not have', async () => {
    const { store } = subject();
    await expect(store.reserveIds('Nowhere' as TableName, 1)).rejects.toMatchObject({
      code: 'TABLE_UNKNOWN',
    });
  });
}
