/**
 * `GET` of a collection: the rows that match, as one JSON array of stored bytes. A small answer is
 * sent at once with its length; a large one is streamed page by page at the client's pace.
 */
import type { CollectionPage, CollectionQuery, CollectionReader } from '../../table/collection.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { BodyWriter } from '../http/port.ts';
import { parseCollectionQuery } from './query.ts';
import { type RestCall, unstoredHeaders } from './rest-call.ts';

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

export async function readCollection(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  const reader = resource.table.collection(collectionQuery(call));
  const first = reader.next();
  const headers = collectionHeaders(call, first);
  const bytes = first.done
    ? replyWhole(call, first, headers)
    : await streamPages(exchange.stream(200, headers), first, reader);
  resource.meter.answered(exchange.request.method, 200, 'collection', startedAt, bytes);
}

function collectionQuery(call: RestCall): CollectionQuery {
  const { definition } = call.resource.table;
  const query = parseCollectionQuery(call.exchange.request.query, definition, call.limits);
  if (call.rest.length <= 1) return query;
  // `/Table/a/`: what is below `a/`.
  const prefix = recordIdFromUrl({ ...definition, primaryKeyType: 'string' }, call.rest.slice(1));
  return { ...query, prefix: String(prefix) };
}

function replyWhole(call: RestCall, page: CollectionPage, headers: readonly string[]): number {
  const body = joined(OPEN, page.rows, CLOSE);
  call.exchange.reply(200, headers, body);
  return body.length;
}

async function streamPages(
  writer: BodyWriter,
  first: CollectionPage,
  reader: CollectionReader,
): Promise<number> {
  let page = first;
  let sent = 0;
  let before: Uint8Array = OPEN;
  while (!writer.aborted) {
    const chunk = page.rows.length === 0 ? new Uint8Array(0) : joined(before, page.rows);
    if (page.rows.length > 0) before = COMMA;
    sent += chunk.length;
    if (chunk.length > 0 && !writer.write(chunk)) await writer.drained();
    if (page.done) break;
    page = reader.next();
  }
  writer.end(before === OPEN ? Buffer.concat([OPEN, CLOSE]) : CLOSE);
  return sent;
}

function joined(before: Uint8Array, rows: readonly Uint8Array[], after?: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [before];
  rows.forEach((row, index) => {
    if (index > 0) parts.push(COMMA);
    parts.push(row);
  });
  if (after !== undefined) parts.push(after);
  return Buffer.concat(parts);
}

function collectionHeaders(call: RestCall, first: CollectionPage): readonly string[] {
  const status = first.stale > 0 ? 'millrace; hit; detail=stale-rows' : 'millrace; hit';
  return ['content-type', 'application/json', 'cache-status', status, ...unstoredHeaders(call)];
}
