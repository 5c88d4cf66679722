/**
 * Sends what application code answered: JSON whole, with a validator; rows and streams as they
 * come, at the client's pace.
 */
import { createHash } from 'node:crypto';
import { type EntityTag, type EpochMs, entityTag } from '../../base/brands.ts';
import { formatHttpDate, parseHttpDate } from '../../base/http-date.ts';
import type { AnswerBody, ResourceAnswer } from '../../resource/answer.ts';
import type { ReadFacts } from '../../resource/call.ts';
import { threadScope } from '../../resource/thread-scope.ts';
import { prefers } from '../http/accept.ts';
import { CBOR_ARRAY_END, CBOR_ARRAY_START, encodeCbor } from '../http/cbor.ts';
import { notModified } from '../http/conditional.ts';
import { encodeMsgpack } from '../http/msgpack.ts';
import type { BodyWriter, Exchange } from '../http/port.ts';
import { isBodiless } from '../http/status-text.ts';
import { serialized } from './formats/custom.ts';

const JSON_TYPE = 'application/json';
const LINES_TYPE = 'application/x-ndjson';
const EVENTS_TYPE = 'text/event-stream';

const VALUE_ENCODERS: Readonly<Record<string, (value: unknown) => Uint8Array>> = {
  'application/cbor': encodeCbor,
  'application/x-msgpack': encodeMsgpack,
  'application/msgpack': encodeMsgpack,
  'application/vnd.msgpack': encodeMsgpack,
};
const VALUE_TYPES = [JSON_TYPE, ...Object.keys(VALUE_ENCODERS)];
/** One value after another: an indefinite array in CBOR, a sequence in MessagePack. */
const ROW_TYPES = ['application/cbor', 'application/x-msgpack', 'application/msgpack'];

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

/** A value as JSON, or as what the client prefers of the formats that can hold any value. */
function sendValue(exchange: Exchange, answer: ResourceAnswer, value: unknown): number {
  const json = stringify(value);
  const accept = exchange.request.header('accept');
  const isOurs = !answer.headers.has('content-type');
  const { contentTypes } = threadScope();
  const offered = [...VALUE_TYPES, ...contentTypes.keys()];
  const type = isOurs && accept !== undefined ? prefers(accept, offered) : undefined;
  const added = type === undefined ? undefined : contentTypes.get(type);
  if (type !== undefined && added?.serialize !== undefined) {
    return sendWhole(exchange, answer, type, serialized(type, added, value));
  }
  const encode = type === undefined ? undefined : VALUE_ENCODERS[type];
  // By way of JSON, so that a value means the same in each format: dates as text, no functions.
  const content = encode === undefined ? json : encode(JSON.parse(json));
  return sendWhole(exchange, answer, type ?? JSON_TYPE, content);
}

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
  { status, headers }: ResourceAnswer,
  { rows }: Extract<AnswerBody, { kind: 'rows' }>,
): Promise<number> {
  const offered = [JSON_TYPE, LINES_TYPE, EVENTS_TYPE, ...ROW_TYPES];
  const type = prefers(exchange.request.header('accept'), offered) ?? JSON_TYPE;
  setDefault(headers, 'content-type', type);
  const sent = headers.get('content-type');
  const chunks = rowChunks(sent ?? JSON_TYPE, rows);
  return pour(chunks, () => exchange.stream(status, flat(headers)));
}

function rowChunks(type: string, rows: AsyncIterable<unknown>): AsyncIterable<Uint8Array | string> {
  if (type === EVENTS_TYPE) return asEvents(rows);
  if (type === LINES_TYPE) return asLines(rows);
  const encode = VALUE_ENCODERS[type];
  if (encode === undefined) return asArray(rows);
  return asBinary(rows, encode, type === 'application/cbor');
}

async function* asBinary(
  rows: AsyncIterable<unknown>,
  encode: (value: unknown) => Uint8Array,
  isArray: boolean,
): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const row of rows) {
    if (isFirst && isArray) yield CBOR_ARRAY_START;
    isFirst = false;
    yield encode(JSON.parse(stringify(row)));
  }
  if (!isArray) return;
  yield isFirst ? encode([]) : CBOR_ARRAY_END;
}

/** Begins with a comment: the client then knows that it is connected. */
async function* asEvents(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  yield ':\n\n';
  for await (const row of rows) yield `data: ${stringify(row)}\n\n`;
}

async function* asLines(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield `${stringify(row)}\n`;
}

async function* asArray(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  let before = '[';
  for await (const row of rows) {
    yield before + stringify(row);
    before = ',';
  }
  yield before === '[' ? '[]' : ']';
}

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
