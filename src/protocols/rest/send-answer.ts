/**
 * Sends what application code answered: values whole, with a validator, in the format that the
 * client prefers; rows in such a format and streams as they come, at the client's pace.
 */
import { createHash } from 'node:crypto';
import { type EntityTag, type EpochMs, entityTag } from '../../base/brands.ts';
import { formatHttpDate, parseHttpDate } from '../../base/http-date.ts';
import { LIMITS } from '../../config/limits.ts';
import type { AnswerBody, ResourceAnswer } from '../../resource/answer.ts';
import type { ReadFacts } from '../../resource/call.ts';
import { prefers } from '../http/accept.ts';
import { notModified } from '../http/conditional.ts';
import type { BodyWriter, Exchange } from '../http/port.ts';
import { isBodiless } from '../http/status-text.ts';
import type { Format, RowShape, RowWriter } from './formats/format.ts';
import { JSON_FORMAT } from './formats/json.ts';
import { type Offer, offerOf, servedTypes } from './formats/negotiate.ts';
import { mediaType } from './json-body.ts';

const JSON_TYPE = 'application/json';
const EVENTS_TYPE = 'text/event-stream';

export interface AnswerSurroundings {
  readonly reads: ReadFacts;
  readonly isAnonymous: boolean;
}

/** Bytes of the body that were sent. Rejects with what the rows threw. */
export async function sendAnswer(
  exchange: Exchange,
  answer: ResourceAnswer,
  around: AnswerSurroundings,
): Promise<number> {
  const { headers, status } = answer;
  inherit(headers, around);
  if (isBodiless(status)) {
    exchange.reply(status, flat(headers));
    return 0;
  }
  const { body } = answer;
  switch (body.kind) {
    case 'none':
      exchange.reply(status, flat(headers), '');
      return 0;
    case 'json':
      return sendValue(exchange, answer, body.value);
    case 'bytes': {
      const type = typeof body.bytes === 'string' ? 'text/plain' : 'application/octet-stream';
      return sendWhole(exchange, answer, type, body.bytes);
    }
    case 'rows':
      return sendRows(exchange, answer, body);
    case 'stream':
      setDefault(headers, 'content-type', 'application/octet-stream');
      return pour(body.chunks, () => exchange.stream(status, flat(headers)));
  }
}

/** In the format that the client prefers; JSON when it takes none of them. */
function sendValue(exchange: Exchange, answer: ResourceAnswer, value: unknown): number {
  const { mediaType: type, format } = chosenOffer(exchange, answer, servedTypes());
  return sendWhole(exchange, answer, withCharset(type), encodeValue(format, value));
}

/** By the media type that the code names itself, else by what the client prefers. */
function chosenOffer(
  { request }: Exchange,
  { headers }: ResourceAnswer,
  offered: readonly string[],
): Offer {
  const said = mediaType(headers.get('content-type') ?? undefined);
  const type = said ?? prefers(request.header('accept'), offered) ?? JSON_TYPE;
  return offerOf(type) ?? { mediaType: type, format: JSON_FORMAT };
}

const withCharset = (type: string): string =>
  type.startsWith('text/') && type !== EVENTS_TYPE ? `${type}; charset=utf-8` : type;

/** By way of JSON, so that a value means the same in each format: dates as text, no functions. */
const bytesOf = (value: unknown): Uint8Array => Buffer.from(stringify(value));

/** A list is a line for each element where the format has lines. */
function encodeValue(format: Format, value: unknown): Uint8Array | string {
  if (format === JSON_FORMAT) return stringify(value);
  const isLines = format.name === 'csv' || format.name === 'ndjson';
  if (!isLines || !Array.isArray(value)) return format.encodeRecord(bytesOf(value), shapeOf(value));
  const writer = format.rowWriter(shapeOf(value[0]));
  return Buffer.concat([writer.rows(value.map(bytesOf)), writer.end()]);
}

/** The columns of rows whose table nobody declared are those of the first. */
const shapeOf = (first: unknown): RowShape => ({
  columns: typeof first === 'object' && first !== null ? Object.keys(first) : ['value'],
});

/** What the answer takes over from the records it was made of, unless the code said so itself. */
function inherit(headers: Headers, { reads, isAnonymous }: AnswerSurroundings): void {
  const vary = isAnonymous ? 'accept, accept-encoding' : 'accept, accept-encoding, authorization';
  setDefault(headers, 'cache-control', isAnonymous ? 'no-cache' : 'private, no-cache');
  setDefault(headers, 'vary', vary);
  const { lastModified, groups } = reads;
  if (lastModified !== undefined) {
    setDefault(headers, 'last-modified', formatHttpDate(lastModified));
  }
  if (groups.length > 0) {
    setDefault(headers, 'cache-groups', groups.map((group) => JSON.stringify(group)).join(', '));
  }
}

const setDefault = (headers: Headers, name: string, value: string): void => {
  if (!headers.has(name)) headers.set(name, value);
};

const stringify = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each)) ??
  'null';

function sendWhole(
  exchange: Exchange,
  { status, headers }: ResourceAnswer,
  type: string,
  content: Uint8Array | string,
): number {
  setDefault(headers, 'content-type', type);
  const { method } = exchange.request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (isRead && status === 200) {
    setDefault(headers, 'etag', tagOf(content));
    if (isUnchanged(exchange, headers)) {
      exchange.reply(304, flat(headers));
      return 0;
    }
  }
  exchange.reply(status, flat(headers), content);
  return Buffer.byteLength(content);
}

function isUnchanged({ request }: Exchange, headers: Headers): boolean {
  const since = parseHttpDate(headers.get('last-modified') ?? '');
  const conditions = {
    ifNoneMatch: request.header('if-none-match'),
    ifModifiedSince: request.header('if-modified-since'),
  };
  return notModified(
    conditions,
    entityTag(headers.get('etag') ?? '') as EntityTag,
    since as EpochMs | undefined,
  );
}

/** The digest of tables' tags would do as well; these need only differ when the bytes do. */
const tagOf = (content: Uint8Array | string): string =>
  `"${createHash('sha1').update(content).digest('base64url').slice(0, 16)}"`;

function sendRows(
  exchange: Exchange,
  answer: ResourceAnswer,
  { rows }: Extract<AnswerBody, { kind: 'rows' }>,
): Promise<number> {
  const { status, headers } = answer;
  const { mediaType: type, format } = chosenOffer(exchange, answer, [
    ...servedTypes(),
    EVENTS_TYPE,
  ]);
  setDefault(headers, 'content-type', withCharset(type));
  const chunks = type === EVENTS_TYPE ? asEvents(rows) : inFormat(rows, format);
  return pour(chunks, () => exchange.stream(status, flat(headers)));
}

/** Begins with a comment: the client then knows that it is connected. */
async function* asEvents(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  yield ':\n\n';
  for await (const row of rows) yield eventOf(row);
}

/** `{ event, data, id }` is a named event; anything else is the data of one without a name. */
function eventOf(row: unknown): string {
  if (typeof row !== 'object' || row === null || !('data' in row) || !('event' in row)) {
    return `data: ${stringify(row)}\n\n`;
  }
  const { event, data, id } = row as { event: unknown; data: unknown; id?: unknown };
  const said = id === undefined ? '' : `id: ${oneLine(id)}\n`;
  return `${said}event: ${oneLine(event)}\ndata: ${stringify(data)}\n\n`;
}

/** A line end would begin another field. */
const oneLine = (value: unknown): string => String(value).replace(/[\r\n\0]+/g, ' ');

async function* inFormat(rows: AsyncIterable<unknown>, format: Format): AsyncGenerator<Uint8Array> {
  let writer: RowWriter | undefined;
  let gathered = 0;
  for await (const row of rows) {
    if (format.name === 'custom') gathered += 1;
    if (gathered > LIMITS.gatheredRowsMax) throw tooManyRows(format);
    writer ??= format.rowWriter(shapeOf(row));
    yield writer.rows([bytesOf(row)]);
  }
  writer ??= format.rowWriter({ columns: [] });
  yield writer.end();
}

/** A format of the application's own is made of all rows at once: those must have an end. */
const tooManyRows = ({ mediaTypes }: Format): TypeError =>
  new TypeError(`${mediaTypes.join()} takes at most ${LIMITS.gatheredRowsMax} rows of an answer`);

/** The answer begins with its first chunk: what fails before can still say so by its status. */
async function pour(
  chunks: AsyncIterable<Uint8Array | string>,
  begin: () => BodyWriter,
): Promise<number> {
  let sent = 0;
  let writer: BodyWriter | undefined;
  try {
    for await (const chunk of chunks) {
      writer ??= begin();
      if (writer.aborted) return sent;
      sent += Buffer.byteLength(chunk);
      if (!writer.write(chunk)) await writer.drained();
    }
  } catch (error) {
    writer?.destroy();
    throw error;
  }
  writer ??= begin();
  writer.end();
  return sent;
}

function flat(headers: Headers): readonly string[] {
  const list: string[] = [];
  for (const [name, value] of headers) if (!WRITTEN_BELOW.has(name)) list.push(name, value);
  return list;
}

/** Fields which only the HTTP engine may write. */
const WRITTEN_BELOW: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);
