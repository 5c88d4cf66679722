/**
 * Queries that code makes: from objects (`{ conditions, sort, limit }`), or from the query string
 * of a target, in the grammar of a `GET`. The table plans and answers them page by page, as it
 * does for clients: rows of a cache are judged, fetched and refreshed alike. Rows are objects.
 */
import { NO_REQUEST_DIRECTIVES, type RequestDirectives } from '../cache/directives.ts';
import { LIMITS } from '../config/limits.ts';
import { belowPrefix, parseQuery } from '../table/query/parse-query.ts';
import type { Query } from '../table/query/query.ts';
import type { Table } from '../table/table.ts';
import { queryOfObject } from './object-query.ts';
import type { QueryObject, QuerySelect } from './query-object.ts';
import { isUntouched, RequestTarget } from './request-target.ts';
import { Results } from './results.ts';

type Row = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder();

/** Rows that match; what is wrong with a query is thrown when the iteration begins. */
export function searchTable(
  table: Table,
  asked: QueryObject,
  directives: RequestDirectives = NO_REQUEST_DIRECTIVES,
  bind: (query: Query) => Query = (query) => query,
): Results<unknown> {
  return new Results<unknown>(
    () => rowsOf(table, asked, directives, bind),
    () => heldRows(table, asked),
  );
}

async function* rowsOf(
  table: Table,
  asked: QueryObject,
  directives: RequestDirectives,
  bind: (query: Query) => Query,
): AsyncGenerator<unknown> {
  const query = bind(queryOf(table, asked));
  const collection = table.collect(query, { directives, mayForce: true });
  if (query.isExplain) {
    yield collection.reader.explain();
    return;
  }
  let page: { readonly rows: readonly Uint8Array[]; readonly done: boolean } =
    await collection.first(false, pause);
  for (;;) {
    yield* rowsIn(page.rows);
    if (page.done) break;
    await pause();
    page = collection.next();
  }
  collection.refreshBehind();
}

/** A long scan gives way to requests that wait. */
const pause = (): Promise<true> =>
  new Promise((resolve) => {
    setImmediate(() => resolve(true));
  });

function* heldRows(table: Table, asked: QueryObject): Generator<unknown> {
  const query = queryOf(table, asked);
  const reader = table.query(query);
  if (query.isExplain) {
    yield reader.explain();
    return;
  }
  for (;;) {
    const page = reader.next();
    yield* rowsIn(page.rows);
    if (page.done) return;
  }
}

function* rowsIn(rows: readonly Uint8Array[]): Generator<unknown> {
  for (const bytes of rows) yield JSON.parse(decoder.decode(bytes));
}

function queryOf(table: Table, asked: QueryObject): Query {
  const { definition, scope } = table;
  if (!(asked instanceof RequestTarget)) return queryOfObject(scope, asked);
  const query = isUntouched(asked)
    ? parseQuery(asked.search.slice(1), scope, rowLimits())
    : queryOfObject(scope, asked);
  return asked.id === undefined ? query : belowPrefix(query, definition, `${asked.id}/`);
}

const rowLimits = () => ({
  rowsDefault: LIMITS.collectionRowsDefault,
  rowsMax: LIMITS.collectionRowsMax,
});

/** Of a record that is at hand as an object: one name is its bare value, several an object. */
export function pickAttributes(row: Row, select: QuerySelect): unknown {
  if (typeof select === 'string') return row[select];
  const picked = select.map((one) => {
    const { name, select: inner } = typeof one === 'string' ? { name: one } : one;
    const value = row[name];
    const isWhole = inner === undefined || typeof value !== 'object' || value === null;
    return [name, isWhole ? value : pickAttributes(value as Row, inner)] as const;
  });
  if (select.asArray === true) return picked.map(([, value]) => value ?? null);
  return Object.fromEntries(picked.filter(([, value]) => value !== undefined));
}
