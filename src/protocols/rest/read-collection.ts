/**
 * `GET` of a collection: the rows that match, in the format the client prefers (JSON: an array of
 * stored bytes). A small answer is sent at once with its length; a large one is streamed page by
 * page at the client's pace, and other requests have their turn between pages. An answer which
 * carries a cursor (`after()`) is gathered first, since its `Link` stands in the header.
 */
import { LIMITS } from '../../config/limits.ts';
import { belowPrefix, parseQuery } from '../../table/query/parse-query.ts';
import type { Query } from '../../table/query/query.ts';
import type { QueryPage, QueryReader } from '../../table/query/query-reader.ts';
import { formatCacheGroups, tableGroup, versionBefore } from '../../table/record-groups.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { BodyWriter, Exchange } from '../http/port.ts';
import { codingFor, replyCompressed, streamCompressed } from './encodings.ts';
import { NO_BYTES, type RowWriter } from './formats/format.ts';
import { contentTypeOf, negotiate, type Offer } from './formats/negotiate.ts';
import { namesGroups, type RestCall, unstoredHeaders } from './rest-call.ts';

export async function readCollection(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  const offer = negotiate(exchange);
  const query = collectionQuery(call);
  const reader = resource.table.query(query);
  if (query.isExplain) return replyPlan(call, reader);
  const first = await gathered(exchange, reader, query.after !== undefined);
  if (exchange.aborted) return;
  const headers = collectionHeaders(call, first, offer, reader);
  const rows = offer.format.rowWriter({
    definition: resource.table.definition,
    columns: query.select?.selections.map((selection) => selection.name),
  });
  const bytes = first.done
    ? await replyWhole(call, first, headers, rows)
    : await replyLong(call, headers, first, reader, rows);
  resource.meter.answered(exchange.request.method, 200, 'collection', startedAt, bytes);
}

/** The query of the URL; below a prefix for `/Table/a/`. */
export function collectionQuery(call: RestCall, limits = call.limits): Query {
  const { definition } = call.resource.table;
  const query = parseQuery(call.exchange.request.query, definition, limits);
  if (call.rest.length <= 1) return query;
  const prefix = recordIdFromUrl({ ...definition, primaryKeyType: 'string' }, call.rest.slice(1));
  return belowPrefix(query, definition, String(prefix));
}

function replyPlan(call: RestCall, reader: QueryReader): void {
  const headers = ['content-type', 'application/json', ...unstoredHeaders(call)];
  call.exchange.reply(200, headers, JSON.stringify(reader.explain()));
}

/** Lets everything else that waits have its turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The first pages as one: all of a small answer, else enough to be worth sending. */
async function gathered(
  exchange: Exchange,
  reader: QueryReader,
  isWhole: boolean,
): Promise<QueryPage> {
  let page = reader.next();
  if (page.done) return page;
  const rows: Uint8Array[] = [...page.rows];
  let { stale, leftOut } = page;
  let bytes = bytesOf(page.rows);
  while (!page.done && !exchange.aborted && (isWhole || bytes < LIMITS.queryPageBytesMax)) {
    await turn();
    page = reader.next();
    rows.push(...page.rows);
    bytes += bytesOf(page.rows);
    stale += page.stale;
    leftOut += page.leftOut;
  }
  return { rows, stale, leftOut, done: page.done };
}

const bytesOf = (rows: readonly Uint8Array[]): number =>
  rows.reduce((sum, row) => sum + row.length, 0);

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
  first: QueryPage,
  reader: QueryReader,
  rows: RowWriter,
): Promise<number> {
  const writer = openStream(call, headers);
  if (call.exchange.request.method !== 'HEAD') return streamPages(writer, first, reader, rows);
  writer.end();
  return 0;
}

async function streamPages(
  writer: BodyWriter,
  first: QueryPage,
  reader: QueryReader,
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
      page = reader.next();
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
  first: QueryPage,
  offer: Offer,
  { cursor, now }: QueryReader,
): readonly string[] {
  const headers = ['content-type', contentTypeOf(offer), 'cache-status', worstRow(first)];
  if (cursor !== undefined) headers.push('link', nextLink(call.exchange.request.query, cursor));
  if (namesGroups(call)) {
    // Any change of a row is one of the table: naming the rows would add nothing.
    const group = tableGroup(call.resource.table.definition.typeName, versionBefore(now));
    headers.push('cache-groups', formatCacheGroups([group]));
  }
  return [...headers, ...unstoredHeaders(call)];
}

/** [RFC9211] speaks of one response: the worst of the rows known when the header is sent. */
function worstRow({ stale, leftOut }: QueryPage): string {
  if (leftOut > 0) return 'millrace; hit; detail=rows-left-out';
  return stale > 0 ? 'millrace; hit; detail=stale-rows' : 'millrace; hit';
}

/** [RFC8288 §3] The same query behind the last row, relative to the request's own URL. */
function nextLink(query: string, cursor: string): string {
  const next = query.replace(/(^|[&|([])after\([^()]*\)/, `$1after(${cursor})`);
  const safe = next.replace(/[^\x21-\x7e]|[<>"]/g, encodeURIComponent);
  return `<?${safe}>; rel="next"`;
}
