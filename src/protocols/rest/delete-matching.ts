/**
 * `DELETE` with a query: removes every record that matches, up to a bound, page by page. A record
 * that was changed after it was found is left as it is and counted: it may match no longer.
 */
import { type EntityTag, entityTag, type RecordId } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { KEY_AND_TAG } from '../../table/query/project.ts';
import type { Query } from '../../table/query/query.ts';
import { allOf, type RowView } from '../../table/query/row-view.ts';
import type { Table } from '../../table/table.ts';
import { staysHere } from './confirmed-write.ts';
import { originTakes } from './origin-writes.ts';
import { collectionQuery, turn } from './read-collection.ts';
import { accessed, type RestCall, seenQuery } from './rest-call.ts';

interface Found {
  readonly id: RecordId;
  readonly tag: EntityTag;
}

/** Whether a `DELETE` means the records of a query, not one record. */
export const namesMany = ({ rest, exchange }: RestCall): boolean =>
  exchange.request.query !== '' && (rest === '' || rest.endsWith('/'));

export async function deleteMatching(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  const access = accessed(call, 'delete');
  if (access === undefined || !originTakes(call, 'delete')) return;
  const seen = seenQuery(call, queryOf(call));
  if (seen === undefined) return;
  const query = access === 'whole' ? seen : amongCovered(seen, access);
  const reader = resource.table.query(query);
  const counts = { deleted: 0, changed: 0 };
  for (;;) {
    const page = reader.next();
    const outcomes = await deleteAll(resource.table, page.rows.map(foundIn), staysHere(exchange));
    for (const isDeleted of outcomes) counts[isDeleted ? 'deleted' : 'changed'] += 1;
    if (page.done || exchange.aborted) break;
    await turn();
  }
  if (exchange.aborted) return;
  const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
  exchange.reply(200, headers, JSON.stringify({ ...counts, more: reader.isCut }));
  resource.meter.answered('DELETE', 200, 'written', startedAt, 0);
}

/** Of what is seen, the rows that may be deleted; the tag holds each to what was looked at. */
function amongCovered(query: Query, { filter }: RowView): Query {
  return filter === undefined
    ? query
    : { ...query, filter: query.filter === undefined ? filter : allOf([query.filter, filter]) };
}

function queryOf(call: RestCall): Query {
  const most = LIMITS.deleteRowsMax;
  const rows = { rowsDefault: most, rowsMax: most, rowsLimit: 'deleteRowsMax' } as const;
  const limits = { ...call.limits, ...rows };
  const query = collectionQuery(call, limits);
  const { select, after, isExplain, isCount, filter } = query;
  if (filter === undefined) {
    throw invalid('DELETE of a collection needs a condition: it would remove every record');
  }
  if (select !== undefined || after !== undefined || isExplain || isCount === true) {
    throw invalid('DELETE takes conditions, sort() and limit() only');
  }
  return { ...query, select: KEY_AND_TAG };
}

function foundIn(row: Uint8Array): Found {
  const [id, tag] = JSON.parse(Buffer.from(row).toString()) as [RecordId, string];
  return { id, tag: entityTag(tag) };
}

/** Whether each was deleted. Commits of one page are made together; an origin is asked in turn. */
async function deleteAll(
  table: Table,
  rows: readonly Found[],
  isLocal: boolean,
): Promise<readonly boolean[]> {
  const remove = async ({ id, tag }: Found): Promise<boolean> => {
    const outcome = await table.delete(id, { condition: { ifMatch: [tag] }, isLocal });
    return outcome.kind === 'deleted';
  };
  if (table.definition.sourcedFrom === undefined) return Promise.all(rows.map(remove));
  const outcomes: boolean[] = [];
  for (const row of rows) outcomes.push(await remove(row));
  return outcomes;
}

const invalid = (message: string): NodeError =>
  new NodeError('QUERY_INVALID', message, { blame: 'client' });
