/**
 * A stored page as an answer: conditions, ranges and parts are evaluated on what is stored. Bytes
 * of a row go out in one call, on a view of the store; those of a file no faster than they are
 * taken.
 */
import { entityTag } from '../../base/brands.ts';
import { parseHttpDate } from '../../base/http-date.ts';
import type { Entry } from '../../cache/entry.ts';
import { fieldOf, filterFields } from '../../cache/pages/fields.ts';
import type { PageResult } from '../../cache/pages/page-request.ts';
import { formatContentRange, parseContentRange, sliceOfPart } from '../../cache/pages/partial.ts';
import type { PageBodyReader } from '../../cache/pages/ports.ts';
import { parseEntityTag } from '../../cache/reply-fields.ts';
import { memorySource, sendSegments } from '../http/byte-source.ts';
import { notModified } from '../http/conditional.ts';
import type { Exchange } from '../http/port.ts';
import { type ByteRange, contentRange, parseRange, rangeStillHolds } from '../http/range.ts';
import { multipart } from '../http/representation.ts';

/** What goes out of the stored bytes: those from `from` up to `to`. */
interface Outgoing {
  readonly status: number;
  readonly headers: readonly string[];
  readonly from: number;
  readonly to: number;
  /** Several ranges, in the place of `from` and `to`. */
  readonly parts?: readonly ByteRange[] | undefined;
}

/** `headers`: what is told. Resolves when what is sent in pieces has been sent. */
export function replyStored(
  exchange: Exchange,
  { entry, file }: Extract<PageResult, { kind: 'stored' }>,
  headers: readonly string[],
): Promise<void> | undefined {
  const outgoing = outgoingOf(exchange, entry, headers);
  const { status, from, to } = outgoing;
  if (outgoing.parts !== undefined) return sendParts(exchange, file, entry, outgoing);
  if (file !== undefined) return sendFile(exchange, file, entry.bodyLength, outgoing);
  exchange.reply(status, outgoing.headers, status === 416 ? undefined : bytesOf(entry, from, to));
  return undefined;
}

function bytesOf({ body }: Entry, from: number, to: number): Uint8Array {
  return from === 0 && to === body.length ? body : body.subarray(from, to);
}

async function sendFile(
  exchange: Exchange,
  file: PageBodyReader,
  length: number,
  { status, headers, from, to }: Outgoing,
): Promise<void> {
  try {
    if (from === to) return exchange.reply(status, headers);
    const isWhole = to - from === length;
    // Who reads a part cannot see that the whole is damaged.
    if (!isWhole && exchange.request.method === 'GET') await file.verify();
    const source = { length, read: (offset: number, max: number) => file.read(offset, max) };
    await sendSegments(exchange, status, headers, source, [{ first: from, bytes: to - from }]);
  } finally {
    file.close();
  }
}

/** Several ranges in one body [RFC9110 §15.3.7.2]. */
async function sendParts(
  exchange: Exchange,
  file: PageBodyReader | undefined,
  { body, bodyLength: length, entityTag: tag }: Entry,
  { headers, parts = [] }: Outgoing,
): Promise<void> {
  const contentType = fieldOf(headers, 'content-type');
  const sent = multipart(parts, { tag, contentType }, length);
  const told = filterFields(headers, (name) => name !== 'content-type');
  told.push('content-type', sent.contentType);
  if (file === undefined) {
    // The view of the store dies with this call, and what is sent in pieces goes on after it.
    const source = memorySource(body.slice());
    return sendSegments(exchange, 206, told, source, sent.segments);
  }
  try {
    await file.verify();
    const source = { length, read: (offset: number, max: number) => file.read(offset, max) };
    await sendSegments(exchange, 206, told, source, sent.segments);
  } finally {
    file.close();
  }
}

function outgoingOf(exchange: Exchange, entry: Entry, headers: readonly string[]): Outgoing {
  const { status, bodyLength } = entry;
  if (status === 206) return partOf(exchange, entry, headers);
  const range = exchange.request.method === 'GET' ? exchange.request.header('range') : undefined;
  if (range !== undefined && status === 200) return rangeOf(exchange, entry, headers, range);
  return { status, headers, from: 0, to: bodyLength };
}

/** [RFC9110 §14.2] Ranges of a stored whole. */
function rangeOf(
  exchange: Exchange,
  { meta, bodyLength }: Entry,
  headers: readonly string[],
  range: string,
): Outgoing {
  const condition = exchange.request.header('if-range');
  const holds = rangeStillHolds(condition, meta.originTag, meta.lastModified);
  const verdict = holds ? parseRange(range, bodyLength) : ({ kind: 'whole' } as const);
  if (verdict.kind === 'unsatisfiable') {
    const told = [...headers, 'content-range', `bytes */${bodyLength}`];
    return { status: 416, headers: told, from: 0, to: 0 };
  }
  const ranges = verdict.kind === 'parts' ? verdict.ranges : [];
  const [only] = ranges;
  if (only === undefined) return { status: 200, headers, from: 0, to: bodyLength };
  if (ranges.length > 1) return { status: 206, headers, from: 0, to: bodyLength, parts: ranges };
  const told = [...headers, 'content-range', contentRange(only, bodyLength)];
  return { status: 206, headers: told, from: only.first, to: only.last + 1 };
}

/** A stored part, as it came or cut to what lies within it. */
function partOf(exchange: Exchange, entry: Entry, headers: readonly string[]): Outgoing {
  const { meta, bodyLength } = entry;
  const range = exchange.request.header('range');
  const part = parseContentRange(fieldOf(headers, 'content-range'));
  const slice =
    meta.askedRange === range || part === undefined
      ? undefined
      : sliceOfPart(range, part, bodyLength);
  if (slice === undefined) return { status: 206, headers, from: 0, to: bodyLength };
  const told = filterFields(headers, (name) => name !== 'content-range');
  told.push('content-range', formatContentRange(slice.range));
  return { status: 206, headers: told, from: slice.from, to: slice.to };
}

/** [RFC9110 §13.1.2, §13.1.3], [RFC9111 §4.3.2]: without `Last-Modified`, `Date` stands for it. */
export function isNotModified(
  exchange: Exchange,
  status: number,
  lines: readonly string[],
): boolean {
  const { request } = exchange;
  const ifNoneMatch = request.header('if-none-match');
  const ifModifiedSince = request.header('if-modified-since');
  if (status !== 200 || (ifNoneMatch === undefined && ifModifiedSince === undefined)) return false;
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const told = fieldOf(lines, 'etag');
  const tag = parseEntityTag(told) ?? (told === undefined ? undefined : entityTag(told));
  const date = fieldOf(lines, 'last-modified') ?? fieldOf(lines, 'date');
  const modified = date === undefined ? undefined : parseHttpDate(date);
  return notModified({ ifNoneMatch, ifModifiedSince }, tag, modified);
}

/** What a 304 tells: nothing of the content that it does not bring [RFC9110 §15.4.5]. */
export const conditionFields = (headers: readonly string[]): string[] =>
  filterFields(headers, (name) => !name.startsWith('content-') || name === 'content-location');
