/**
 * `GET` of a collection: the rows that match, in the format the client prefers (JSON: an array of
 * stored bytes). A small answer is sent at once with its length; a large one is streamed page by
 * page at the client's pace, and other requests have their turn between pages. An answer which
 * carries a cursor (`after()`) is gathered first, since its `Link` stands in the header.
 */
import { parseRequestDirectives } from '../../cache/directives.ts';
import { FOREVER } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Collection, FirstRows, RowDemands } from '../../table/collection.ts';
import { joinedTables } from '../../table/query/joined-tables.ts';
import { belowPrefix, parseQuery } from '../../table/query/parse-query.ts';
import type { Query } from '../../table/query/query.ts';
import type { QueryPage, QueryReader } from '../../table/query/query-reader.ts';
import { formatCacheGroups, tableGroup, versionBefore } from '../../table/record-groups.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import { formatCacheStatus } from '../http/cache-status.ts';
import { codingFor, replyCompressed, streamCompressed } from '../http/encodings.ts';
import type { BodyWriter } from '../http/port.ts';
import { NO_BYTES, type RowWriter } from './formats/format.ts';
import { contentTypeOf, negotiate, notAcceptable, type Offer } from './formats/negotiate.ts';
import {
  namesGroups,
  type RestCall,
  type RestLimits,
  seenQuery,
  unstoredHeaders,
} from './rest-call.ts';

export async function readCollection(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  const offer = negotiate(exchange);
  if (offer === undefined) throw notAcceptable();
  const query = seenQuery(call, collectionQuery(call, limitsOf(call, offer)));
  if (query === undefined) return;
  const collection = resource.table.collect(query, demandsOf(call));
  if (query.isExplain) return replyPlan(call, collection.reader);
  if (query.isCount === true) return replyCount(call, collection.reader, startedAt);
  const first = await collection.first(query.after !== undefined, async () => {
    await turn();
    return !exchange.aborted;
  });
  if (exchange.aborted) return;
  const headers = collectionHeaders(call, query, first, offer, collection.reader);
  const rows = offer.format.rowWriter({
    definition: resource.table.definition,
    columns: query.select?.selections.map((selection) => selection.name),
  });
  const bytes = first.done
    ? await replyWhole(call, first, headers, rows)
    : await replyLong(call, headers, first, collection, rows);
  collection.refreshBehind();
  resource.meter.answered(exchange.request.method, 200, 'collection', startedAt, bytes);
}

/** As in a read of one record: anonymous clients may force validation where the policy says so. */
function demandsOf({ exchange, principal, resource }: RestCall): RowDemands {
  const { request } = exchange;
  const directives = parseRequestDirectives(
    request.header('cache-control'),
    request.header('pragma'),
  );
  const { mayForceRevalidation } = resource.table.policy.settings.client;
  const mayForce = principal.kind !== 'anonymous' || mayForceRevalidation;
  // No getter: a literal that has one is a shape of its own each time, and costs a microsecond.
  return { directives, mayForce, signal: exchange.signal };
}

/** What is made of all rows at once takes no more of them than memory is for. */
function limitsOf({ limits }: RestCall, { format }: Offer): RestLimits {
  if (format.name !== 'custom') return limits;
  if (limits.rowsMax <= LIMITS.gatheredRowsMax) return limits;
  return { ...limits, rowsMax: LIMITS.gatheredRowsMax, rowsLimit: 'gatheredRowsMax' };
}

/** The query of the URL; below a prefix for `/Table/a/`. */
export function collectionQuery(call: RestCall, limits = call.limits): Query {
  const { definition, scope } = call.resource.table;
  const query = parseQuery(call.exchange.request.query, scope, limits);
  if (call.rest.length <= 1) return query;
  const prefix = recordIdFromUrl({ ...definition, primaryKeyType: 'string' }, call.rest.slice(1));
  return belowPrefix(query, definition, String(prefix));
}

function replyPlan(call: RestCall, reader: QueryReader): void {
  const headers = ['content-type', 'application/json', ...unstoredHeaders(call)];
  call.exchange.reply(200, headers, JSON.stringify(reader.explain()));
}

/** `{"count": n}`: rows of a cache which may not be served as they are count too. */
async function replyCount(call: RestCall, reader: QueryReader, startedAt: number): Promise<void> {
  const { exchange, resource } = call;
  let count = 0;
  for (let page = reader.next(); ; page = reader.next()) {
    count += page.rows.length + page.missing.length;
    if (page.done) break;
    await turn();
    if (exchange.aborted) return;
  }
  const body = JSON.stringify({ count });
  exchange.reply(200, ['content-type', 'application/json', ...unstoredHeaders(call)], body);
  resource.meter.answered(exchange.request.method, 200, 'collection', startedAt, body.length);
}

/** Lets everything else that waits have its turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function replyWhole(
  call: RestCall,
  page: QueryPage,
  headers: readonly string[],
  rows: RowWriter,
): Promise<number> {
  const body = Buffer.concat([rows.rows(page.rows), rows.end()]);
  const { exchange, resource } = call;
  const { encodings } = resource;
  const coding = codingFor(encodings, exchange, '', body.length);
  if (encodings !== undefined && coding !== undefined) {
    return replyCompressed(exchange, headers, body, encodings, coding);
  }
  exchange.reply(200, headers, body);
  return body.length;
}

function openStream({ exchange, resource }: RestCall, headers: readonly string[]): BodyWriter {
  const { encodings } = resource;
  const coding = codingFor(encodings, exchange, '', Number.POSITIVE_INFINITY);
  return streamCompressed(exchange, headers, encodings, coding);
}

async function replyLong(
  call: RestCall,
  headers: readonly string[],
  first: FirstRows,
  collection: Collection,
  rows: RowWriter,
): Promise<number> {
  const writer = openStream(call, headers);
  if (call.exchange.request.method !== 'HEAD') return streamPages(writer, first, collection, rows);
  writer.end();
  return 0;
}

async function streamPages(
  writer: BodyWriter,
  first: QueryPage,
  collection: Collection,
  rows: RowWriter,
): Promise<number> {
  let page = first;
  let sent = 0;
  try {
    while (!writer.aborted) {
      const chunk = page.rows.length === 0 ? NO_BYTES : rows.rows(page.rows);
      sent += chunk.length;
      await (chunk.length > 0 && !writer.write(chunk) ? writer.drained() : turn());
      if (page.done) break;
      page = collection.next();
    }
  } catch (error) {
    // The status has been sent: only a body that breaks off says that rows are missing.
    writer.destroy();
    throw error;
  }
  writer.end(rows.end());
  return sent;
}

function collectionHeaders(
  call: RestCall,
  query: Query,
  first: FirstRows,
  offer: Offer,
  { cursor, now }: QueryReader,
): readonly string[] {
  const headers = ['content-type', contentTypeOf(offer), 'cache-status', worstRow(first, now)];
  // The answer is as old as its oldest row.
  const isCache = call.resource.table.definition.sourcedFrom !== undefined;
  const age = Math.max(0, Math.floor((now - first.bornAt) / 1000));
  if (isCache) headers.push('age', String(age));
  if (cursor !== undefined) headers.push('link', nextLink(call.exchange.request.query, cursor));
  if (namesGroups(call)) {
    // Any change of a row is one of the table: naming the rows would add nothing.
    const tables = [call.resource.table.definition, ...joinedTables(query)];
    const groups = tables.map(({ typeName }) => tableGroup(typeName, versionBefore(now)));
    headers.push('cache-groups', formatCacheGroups([...new Set(groups)]));
  }
  return [...headers, ...unstoredHeaders(call)];
}

/**
 * [RFC9211] speaks of one response: the worst of the rows known when the header is sent, and the
 * shortest freshness of them.
 */
function worstRow(
  { missing, unseen, stale, fetched, freshUntil, listed }: FirstRows,
  now: number,
): string {
  // Where the origin was asked for the list, that is what the answer is made of.
  if (listed?.hit === false) return formatCacheStatus(listed);
  const isAsked = fetched > 0;
  const ttl = freshUntil === FOREVER ? undefined : Math.floor((freshUntil - now) / 1000);
  const detail =
    missing.length + unseen > 0
      ? 'rows-left-out'
      : stale > 0
        ? 'stale-rows'
        : isAsked
          ? 'rows-fetched'
          : undefined;
  return formatCacheStatus({
    hit: !isAsked,
    fwd: isAsked ? 'partial' : undefined,
    stored: isAsked || undefined,
    ttl,
    detail,
  });
}

/** [RFC8288 §3] The same query behind the last row, relative to the request's own URL. */
function nextLink(query: string, cursor: string): string {
  const next = query.replace(/(^|[&|([])after\([^()]*\)/, `$1after(${cursor})`);
  const safe = next.replace(/[^\x21-\x7e]|[<>"]/g, encodeURIComponent);
  return `<?${safe}>; rel="next"`;
}
