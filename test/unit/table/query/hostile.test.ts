/**
 * Text that means harm: whatever is sent, the grammar answers or refuses with a position, and a
 * query that would cost too much ends. MILLRACE_FUZZ_MS makes the fuzzing last as long.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { NodeError } from '../../../../src/base/errors.ts';
import type { Entry } from '../../../../src/cache/entry.ts';
import { LIMITS } from '../../../../src/config/limits.ts';
import { compileIndexedValues } from '../../../../src/schema/indexed-values.ts';
import { openMemoryStore } from '../../../../src/store/memory/open.ts';
import type { Store } from '../../../../src/store/store-options.ts';
import { parseQuery } from '../../../../src/table/query/parse-query.ts';
import { QueryReader } from '../../../../src/table/query/query-reader.ts';
import { recordScope } from '../../../../src/table/query/scope.ts';
import type { StoreReader } from '../../../../src/table/store-port.ts';
import { put } from '../../../contract/store-fixture.ts';
import { indexedTable, ROWS } from '../../../support/query-table.ts';

const FUZZ_MS = Number(process.env.MILLRACE_FUZZ_MS ?? 0);
const FUZZ_RUNS = 20_000;
const { name: table } = indexedTable;
const values = compileIndexedValues(indexedTable);

const PIECES = [
  ...['tag', 'count', 'any', 'at', 'big', 'id', 'place', 'nope', '__proto__', 'constructor', 'lt'],
  ...['=', '==', '===', '!=', '!==', '=gt=', '=lt=', '=ge=', '=sw=', '=ct=', '=zz=', '!', '*'],
  ...[
    '&',
    '|',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    '.',
    '+',
    '-',
    '%',
    '%00',
    '%ff',
    '%F0%9F%98%80',
  ],
  ...['null', 'true', '5', '-1e9', '1e999', 'number:', 'date:', 'string:', '2026-01-01', 'x', ''],
  ...['select(', 'sort(', 'limit(', 'after(', 'explain()', 'limit(5)', 'sort(-any)', '\u0000', 'é'],
];

/** The same text for the same seed. */
function hostileText(seed: number): string {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: next(24) }, () => PIECES[next(PIECES.length)] ?? '').join('');
}

describe('hostile queries', () => {
  let store: Store;
  beforeAll(async () => {
    store = openMemoryStore({
      definitions: [indexedTable],
      clock: systemClock,
      indexedValues: (_table, record) => values(record),
      checkRecord: () => undefined,
    });
    const records = Array.from({ length: 300 }, (_, at) => ({
      ...{ id: `k${at}`, tag: `t${at % 10}`, count: at, any: at % 3 === 0 ? [at] : `${at}` },
    }));
    await store.commit(
      records.map((record) => put(record.id, record, { table, meta: { indexed: values(record) } })),
      'process',
    );
  });
  afterAll(() => store.close());

  function run(text: string, reader: StoreReader = store): number {
    const query = parseQuery(text, recordScope(indexedTable), ROWS);
    const answer = new QueryReader(query, { definition: indexedTable, reader, clock: systemClock });
    let rows = 0;
    for (;;) {
      const page = answer.next();
      rows += page.rows.length;
      if (page.done) return rows;
    }
  }

  const refusal = (text: string): unknown => {
    try {
      run(text);
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it('are answered or refused, never anything else', () => {
    const until = performance.now() + FUZZ_MS;
    for (let seed = 1; seed <= FUZZ_RUNS || performance.now() < until; seed += 1) {
      const text = hostileText(seed);
      const error = refusal(text);
      if (error === undefined) continue;
      expect([text, error]).toEqual([text, expect.any(NodeError)]);
      expect([text, error]).toEqual([text, expect.objectContaining({ code: 'QUERY_INVALID' })]);
    }
  });

  it('of ten thousand clauses are refused, of a thousand answered', () => {
    const clauses = (count: number) =>
      Array.from({ length: count }, (_, at) => `count=${at}`).join('|');
    expect(refusal(clauses(10_000))).toMatchObject({ code: 'QUERY_INVALID' });
    expect(run(clauses(LIMITS.queryConditionsMax))).toBe(300);
    const mixed = Array.from({ length: 400 }, (_, at) => `count=${at}|tag=sw=t${at % 7}`).join('|');
    expect(run(mixed)).toBe(300);
  });

  it.each([
    ['brackets without end', '('.repeat(16_000)],
    ['brackets without beginning', `tag=x${')'.repeat(16_000)}`],
    ['percent signs', `tag=${'%'.repeat(16_000)}`],
    ['digits', `count=${'9'.repeat(16_000)}`],
    ['a number that never ends well', `count=${'1.'.repeat(8_000)}`],
    ['a big integer', `big=${'9'.repeat(16_000)}`],
    ['a date of spaces', `at=${'+'.repeat(16_000)}`],
    ['dots', `any${'.'.repeat(16_000)}=1`],
    ['braces', `select(${'any{'.repeat(4_000)}`],
    ['commas', `sort(${'tag,'.repeat(4_000)}`],
    ['a name', `${'n'.repeat(16_000)}=1`],
    ['a cursor', `after(${'A'.repeat(16_000)})`],
  ])('of %s are refused', (_what, text) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'QUERY_INVALID' });
    expect((error as NodeError).message.length).toBeLessThan(500);
  });

  it.each([
    ['any.'.repeat(4_000).replace(/\.$/, '=1'), 0],
    [`tag=ct=${'a'.repeat(16_000)}`, 0],
    [`tag=${'('.repeat(16_000)}`, 0],
    ['__proto__.x=1', 'QUERY_INVALID'],
    ['any.__proto__.x=1', 0],
    ['any.constructor!=null', 0],
  ])('meet nothing that is not in the record: %s', (text, expected) => {
    const error = refusal(text) as NodeError | undefined;
    expect(error === undefined ? run(text) : error.code).toBe(expected);
  });

  it('end with 422 when they look at too many rows, and stop after each page meanwhile', () => {
    const entry = { id: 'k', kind: 'tombstone' } as Entry;
    let looked = 0;
    let most = 0;
    const endless = new Proxy(store as StoreReader, {
      get(target, name) {
        if (name !== 'scan') return Reflect.get(target, name).bind(target) as unknown;
        return (_table: string, _options: unknown, visit: (each: Entry) => boolean | undefined) => {
          const before = looked;
          while (visit(entry) !== false) looked += 1;
          most = Math.max(most, looked - before);
          return { next: 'k' };
        };
      },
    });
    expect(() => run('place.city=x', endless)).toThrow(
      expect.objectContaining({ code: 'QUERY_TOO_EXPENSIVE' }),
    );
    expect(looked).toBeGreaterThan(LIMITS.queryRowsScannedMax * 0.9);
    expect(most).toBeLessThanOrEqual(LIMITS.queryPageRowsMax);
  });
});
