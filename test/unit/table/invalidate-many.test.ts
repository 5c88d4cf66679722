/** Invalidating many records does not keep the thread from answering reads meanwhile. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DEFAULT_POLICY } from '../../../src/cache/default-policy.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import type { StoreWriter } from '../../../src/table/store-port.ts';
import { Table } from '../../../src/table/table.ts';
import { checkRecord, definitions, FLIGHT, indexedValues } from '../../contract/store-fixture.ts';

it('commits the invalidation of many keys in parts, and resolves after the last', async () => {
  const store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
  const sizes: number[] = [];
  const writer: StoreWriter = {
    commit(ops, durability) {
      sizes.push(ops.length);
      return store.commit(ops, durability);
    },
    reserveIds: (table, count) => store.reserveIds(table, count),
  };
  const definition = definitions.find((known) => known.name === FLIGHT);
  if (definition === undefined) throw new Error('the fixture declares Flight');
  const table = new Table({
    definition,
    scope: recordScope(definition),
    policy: DEFAULT_POLICY,
    reads: { read: () => undefined },
    reader: store,
    writer,
    rules: { check: () => undefined, indexed: () => undefined },
    clock: systemClock,
    durability: 'process',
    newId: async () => 'new',
  });
  const keys = Array.from({ length: 1_200 }, (_, at) => `k${at}`);
  const count = await table.invalidate({ keys });
  expect([count, sizes]).toEqual([1_200, [500, 500, 200]]);
  expect(store.lastSequence()).toBe(1_200);
  await store.close();
});
