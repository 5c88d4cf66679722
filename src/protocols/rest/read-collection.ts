/**
 * `GET` of a collection: the rows that match, in the format the client prefers (JSON: an array of
 * stored bytes). A small answer is sent at once with its length; a large one is streamed page by
 * page at the client's pace.
 */
import type { CollectionPage, CollectionQuery, CollectionReader } from '../../table/collection.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { BodyWriter } from '../http/port.ts';
import { NO_BYTES, type RowWriter } from './formats/format.ts';
import { contentTypeOf, negotiate, type Offer } from './formats/negotiate.ts';
import { parseCollectionQuery } from './query.ts';
import { type RestCall, unstoredHeaders } from './rest-call.ts';

export async function readCollection(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  const offer = negotiate(exchange);
  const reader = resource.table.collection(collectionQuery(call));
  const first = reader.next();
  const headers = collectionHeaders(call, first, offer);
  const rows = offer.format.rowWriter({ definition: resource.table.definition });
  const bytes = first.done
    ? replyWhole(call, first, headers, rows)
    : await streamPages(exchange.stream(200, headers), first, reader, rows);
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

function replyWhole(
  call: RestCall,
  page: CollectionPage,
  headers: readonly string[],
  rows: RowWriter,
): number {
  const body = Buffer.concat([rows.rows(page.rows), rows.end()]);
  call.exchange.reply(200, headers, body);
  return body.length;
}

async function streamPages(
  writer: BodyWriter,
  first: CollectionPage,
  reader: CollectionReader,
  rows: RowWriter,
): Promise<number> {
  let page = first;
  let sent = 0;
  while (!writer.aborted) {
    const chunk = page.rows.length === 0 ? NO_BYTES : rows.rows(page.rows);
    sent += chunk.length;
    if (chunk.length > 0 && !writer.write(chunk)) await writer.drained();
    if (page.done) break;
    page = reader.next();
  }
  writer.end(rows.end());
  return sent;
}

function collectionHeaders(call: RestCall, first: CollectionPage, offer: Offer): readonly string[] {
  const status = first.stale > 0 ? 'millrace; hit; detail=stale-rows' : 'millrace; hit';
  return ['content-type', contentTypeOf(offer), 'cache-status', status, ...unstoredHeaders(call)];
}
