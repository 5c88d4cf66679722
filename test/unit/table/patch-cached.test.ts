/** A patch of a record which a cache does not hold: the origin has the rest of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { NodeError } from '../../../src/base/errors.ts';
import { DEFAULT_POLICY } from '../../../src/cache/default-policy.ts';
import type { ReadResult } from '../../../src/cache/read-request.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { Table } from '../../../src/table/table.ts';
import {
  checkRecord,
  definitions,
  FLIGHT,
  indexedValues,
  put,
  textOf,
} from '../../contract/store-fixture.ts';

const CLOSED: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of CLOSED.splice(0)) await close();
});

function make(fetched: { readonly record?: object; readonly error?: NodeError }) {
  const store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
  CLOSED.push(() => store.close());
  const definition = definitions.find((known) => known.name === FLIGHT);
  if (definition === undefined) throw new Error('the fixture declares Flight');
  const cacheStatus = { hit: false };
  const reads = {
    async read(request: { id: string | number }, answer: (result: ReadResult) => void) {
      if (fetched.error !== undefined)
        answer({ kind: 'failed', error: fetched.error, cacheStatus });
      else if (fetched.record !== undefined) {
        await store.commit([put(request.id, fetched.record, { table: FLIGHT })], 'process');
      }
    },
  };
  const table = new Table({
    definition,
    scope: recordScope(definition),
    policy: DEFAULT_POLICY,
    reads,
    reader: store,
    writer: store,
    rules: { check: () => undefined, indexed: () => undefined },
    clock: systemClock,
    durability: 'process',
    newId: async () => 'new',
  });
  return { store, table };
}

describe('a patch of a record which a cache does not hold', () => {
  it('is merged into what the origin has', async () => {
    const { store, table } = make({ record: { id: 'a', gate: 'A1' } });
    const outcome = await table.patch('a', { late: true }, 'merge');
    expect(outcome.kind).toBe('stored');
    expect(JSON.parse(textOf(store, 'a', FLIGHT) ?? '')).toMatchObject({
      ...{ id: 'a', gate: 'A1', late: true },
    });
  });

  it('finds nothing when the origin has nothing, rather than make a part pass for a whole', async () => {
    const { store, table } = make({});
    const outcome = await table.patch('a', { late: true }, 'merge');
    expect(outcome.kind).toBe('absent');
    expect(textOf(store, 'a', FLIGHT)).toBeUndefined();
  });

  it('fails as the origin fails', async () => {
    const { table } = make({ error: new NodeError('ORIGIN_UNREACHABLE', 'gone') });
    await expect(table.patch('a', { late: true }, 'merge')).rejects.toMatchObject({
      code: 'ORIGIN_UNREACHABLE',
    });
  });
});
