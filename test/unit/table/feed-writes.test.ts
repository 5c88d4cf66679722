/** What becomes of feed events which the schema refuses: the feed vouches for nothing they name. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DEFAULT_POLICY } from '../../../src/cache/default-policy.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import { type FeedTarget, feedOps, followUps } from '../../../src/table/feed-writes.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { Table } from '../../../src/table/table.ts';
import {
  checkRecord,
  definitions,
  FLIGHT,
  indexedValues,
  put,
} from '../../contract/store-fixture.ts';

it.each([
  ['put', { price: -1 }],
  ['put', 'no record'],
  ['patch', { price: -1 }],
] as const)('makes stale what a refused %s of %j is about, and goes on', async (type, value) => {
  const store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
  const definition = definitions.find((known) => known.name === FLIGHT);
  if (definition === undefined) throw new Error('the fixture declares Flight');
  const table = new Table({
    definition,
    scope: recordScope(definition),
    policy: DEFAULT_POLICY,
    reads: { read: () => undefined },
    reader: store,
    writer: store,
    rules: {
      // A patch is found wrong only when it is merged.
      check: (record, mode) => (mode === 'put' ? checkRecord(FLIGHT, record) : undefined),
      indexed: () => undefined,
    },
    clock: systemClock,
    durability: 'process',
    newId: async () => 'new',
  });
  const refused: unknown[] = [];
  const target: FeedTarget = { table: () => table, onRefused: (id) => void refused.push(id) };
  await store.commit([put('a', { id: 'a', price: 1 }, { table: FLIGHT })], 'process');
  const good = { type: 'put', id: 'b', value: { price: 2 } } as const;
  const bad = { type, id: 'a', value };
  const ops = feedOps({ type: 'transaction', writes: [bad, good] }, target);
  const outcomes = await store.commit(ops, 'process');
  await store.commit(followUps(ops, outcomes, target), 'process');
  const verdicts = ['a', 'b'].map((id) =>
    store.withEntry(FLIGHT, id, '', (entry) =>
      entry === undefined ? 'absent' : store.invalidations(FLIGHT).judge(entry).kind,
    ),
  );
  expect([refused, verdicts]).toEqual([['a'], ['soft', 'valid']]);
  await store.close();
});
