/** The keys of the rows of a cache that a query finds, wherever they are in their freshness. */
import type { RecordId } from '../base/brands.ts';
import { LIMITS } from '../config/limits.ts';
import { parseQuery } from '../table/query/parse-query.ts';
import type { Table } from '../table/table.ts';
import { usage } from './operation.ts';

const decoder = new TextDecoder();

/** `more`: there may be others; the purge is to be repeated. Throws `QUERY_INVALID`. */
export async function matchingRows(
  table: Table,
  text: string,
): Promise<{ readonly ids: readonly RecordId[]; readonly more: boolean }> {
  const { purgeRowsMax } = LIMITS;
  const { primaryKey } = table.definition;
  const limits = { rowsDefault: purgeRowsMax, rowsMax: purgeRowsMax };
  const written = parseQuery(text, table.scope, limits);
  if ((written.select ?? written.after) !== undefined || written.isCount === true) {
    throw usage('query: takes conditions, sort() and limit() only');
  }
  if (written.filter === undefined)
    throw usage('query: a condition is needed; all: true means all');
  const reader = table.query(parseQuery(`${text}&select(${primaryKey})`, table.scope, limits));
  const ids = new Set<RecordId>();
  for (let page = reader.next(); ; page = reader.next()) {
    for (const row of page.rows) ids.add(JSON.parse(decoder.decode(row)) as RecordId);
    for (const id of page.missing) ids.add(id);
    if (page.done) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ids: [...ids], more: reader.isCut };
}
