/**
 * Generated queries over awkward records, with and without indexes, against a plain
 * reading of the grammar that was written apart (`support/naive-query.ts`). For a long run set
 * MILLRACE_QUERY_RUNS and MILLRACE_QUERY_RECORDS.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import type { TableDefinition } from '../../../../src/schema/definition.ts';
import { compileIndexedValues } from '../../../../src/schema/indexed-values.ts';
import { openMemoryStore } from '../../../../src/store/memory/open.ts';
import type { Store } from '../../../../src/store/store-options.ts';
import { parseQuery } from '../../../../src/table/query/parse-query.ts';
import { QueryReader } from '../../../../src/table/query/query-reader.ts';
import { recordScope } from '../../../../src/table/query/scope.ts';
import { put } from '../../../contract/store-fixture.ts';
import {
  holds,
  makeRecord,
  type NaiveFilter,
  type NaiveRecord,
  type NaiveSort,
  naiveFilter,
  naiveSort,
  sorted,
  textOf,
} from '../../../support/naive-query.ts';
import { indexedTable, plainTable, ROWS } from '../../../support/query-table.ts';

const RECORDS = Number(process.env.MILLRACE_QUERY_RECORDS ?? 1_200);
const RUNS = Number(process.env.MILLRACE_QUERY_RUNS ?? 300);

/** The same records in every run. */
function pickWith(seed: number): <T>(from: readonly T[]) => T {
  let state = seed;
  return (from) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return from[Math.floor((state / 2 ** 32) * from.length)] as (typeof from)[number];
  };
}

const pick = pickWith(7);
const records = Array.from({ length: RECORDS }, (_, at) => makeRecord(at, pick));

async function filled(definition: TableDefinition): Promise<Store> {
  const values = compileIndexedValues(definition);
  const store = openMemoryStore({
    definitions: [definition],
    clock: systemClock,
    indexedValues: (_table, record) => values(record),
    checkRecord: () => undefined,
  });
  const ops = records.map((record) =>
    put(record.id as string, record, {
      table: definition.name,
      meta: { indexed: values(JSON.parse(JSON.stringify(record))) },
    }),
  );
  await store.commit(ops, 'process');
  await store.indexesReady;
  return store;
}

describe.each([
  ['with indexes', indexedTable],
  ['without indexes', plainTable],
])('queries %s', (_title, definition) => {
  let store: Store;
  beforeAll(async () => {
    store = await filled(definition);
  });
  afterAll(() => store.close());

  const reader = (text: string) =>
    new QueryReader(parseQuery(text, recordScope(definition), ROWS), {
      definition,
      reader: store,
      clock: systemClock,
    });

  function answer(text: string): {
    readonly rows: NaiveRecord[];
    readonly cursor: string | undefined;
  } {
    const query = reader(text);
    const rows: NaiveRecord[] = [];
    for (;;) {
      const page = query.next();
      for (const row of page.rows)
        rows.push(JSON.parse(Buffer.from(row).toString()) as NaiveRecord);
      if (page.done) return { rows, cursor: query.cursor };
    }
  }

  const idsOf = (rows: readonly NaiveRecord[]) => rows.map((row) => row.id as string);
  const expected = (filter: NaiveFilter) => records.filter((record) => holds(filter, record));
  const sortText = (keys: readonly NaiveSort[]) =>
    `sort(${keys.map((key) => `${key.descending ? '-' : '+'}${key.name}`).join()})`;

  it('yield exactly the records that a plain reading yields, each once', () => {
    fc.assert(
      fc.property(naiveFilter, (filter) => {
        const text = `${textOf(filter)}&limit(10000)`;
        const found = idsOf(answer(text).rows);
        expect([text, found.toSorted()]).toEqual([text, idsOf(expected(filter)).toSorted()]);
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  it('yield them in the order asked for, cut where asked', () => {
    fc.assert(
      fc.property(
        naiveFilter,
        naiveSort,
        fc.nat(20),
        fc.nat(50),
        fc.boolean(),
        (filter, keys, start, count, isAll) => {
          if (keys.length === 0) return;
          const cut = isAll ? 'limit(10000)' : `limit(${start},${start + count})`;
          const text = `${textOf(filter)}&${sortText(keys)}&${cut}`;
          const all = idsOf(sorted(expected(filter), keys));
          const wanted = isAll ? all : all.slice(start, start + count);
          expect([text, idsOf(answer(text).rows)]).toEqual([text, wanted]);
        },
      ),
      { numRuns: RUNS },
    );
  }, 120_000);

  it('yield them page by page behind a cursor, none lost and none twice', () => {
    fc.assert(
      fc.property(
        naiveFilter,
        naiveSort,
        fc.integer({ min: 200, max: 700 }),
        (filter, keys, size) => {
          const sort = keys.length === 0 ? '' : `&${sortText(keys)}`;
          const pages: string[] = [];
          let cursor: string | undefined = '';
          while (cursor !== undefined) {
            const text = `${textOf(filter)}${sort}&limit(${size})&after(${cursor})`;
            const page = answer(text);
            pages.push(...idsOf(page.rows));
            cursor = page.cursor;
          }
          const wanted = idsOf(sorted(expected(filter), keys));
          const found = keys.length === 0 ? pages.toSorted() : pages;
          expect([textOf(filter), sort, found]).toEqual([
            textOf(filter),
            sort,
            keys.length === 0 ? wanted.toSorted() : wanted,
          ]);
        },
      ),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  }, 120_000);

  it('are answered without a condition, in the order of the keys', () => {
    expect(idsOf(answer('limit(10000)').rows)).toEqual(
      idsOf(sorted(records, [{ name: 'id', descending: false }])),
    );
  });
});
