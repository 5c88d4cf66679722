/**
 * From what a method returned to an answer: plain values, `{ status, headers, data }`, a fetch
 * `Response`, bytes, iterables. Knows nothing of how it is sent.
 */

export type AnswerBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array | string }
  /** Values, to be sent as a list as they come. */
  | { readonly kind: 'rows'; readonly rows: AsyncIterable<unknown> }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };

export interface ResourceAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AnswerBody;
}

const NONE: AnswerBody = { kind: 'none' };

/** Throws a `TypeError` that says what cannot be an answer. */
export function toAnswer(result: unknown, isRead: boolean): ResourceAnswer {
  if (result === undefined || result === null) {
    return { status: isRead ? 404 : 204, headers: new Headers(), body: NONE };
  }
  if (isResponse(result)) return fromResponse(result);
  if (isEnvelope(result)) return fromEnvelope(result, isRead);
  return { status: 200, headers: new Headers(), body: bodyOf(result) };
}

interface Envelope {
  readonly status?: unknown;
  readonly headers?: unknown;
  readonly data?: unknown;
  readonly body?: unknown;
  readonly contentType?: unknown;
}

const ENVELOPE_KEYS: ReadonlySet<string> = new Set([
  'status',
  'headers',
  'data',
  'body',
  'contentType',
]);

/** An object that has nothing but the parts of an answer, a status or a media type among them. */
function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (Symbol.asyncIterator in value || Symbol.iterator in value) return false;
  const keys = Object.keys(value);
  if (!keys.every((key) => ENVELOPE_KEYS.has(key))) return false;
  if ('contentType' in value && 'data' in value) return true;
  return 'status' in value && typeof value.status === 'number' && keys.length > 1;
}

function fromEnvelope(envelope: Envelope, isRead: boolean): ResourceAnswer {
  const content = envelope.data ?? envelope.body;
  const empty = content === undefined || content === null;
  const status = checkedStatus(envelope.status ?? (empty && !isRead ? 204 : 200));
  const headers = new Headers((envelope.headers ?? {}) as Record<string, string>);
  if (typeof envelope.contentType === 'string') headers.set('content-type', envelope.contentType);
  if (empty) return { status, headers, body: NONE };
  // A text with a media type of its own is that text, not a JSON string.
  const type = headers.get('content-type');
  if (typeof content === 'string' && type !== null && !/[/+]json\b/.test(type)) {
    return { status, headers, body: { kind: 'bytes', bytes: content } };
  }
  return { status, headers, body: bodyOf(content) };
}

function checkedStatus(status: unknown): number {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599) {
    return status;
  }
  throw new TypeError(`${String(status)} is no status of an answer: use 200 to 599`);
}

const isResponse = (value: unknown): value is Response =>
  value instanceof Response ||
  (typeof value === 'object' && value !== null && value.constructor?.name === 'Response');

/** Fields of the connection; and of a body which `fetch` has decoded already. */
const CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'content-length'];

function fromResponse(response: Response): ResourceAnswer {
  const headers = new Headers(response.headers);
  for (const name of CONNECTION) headers.delete(name);
  if (response.url !== '') headers.delete('content-encoding');
  const status = checkedStatus(response.status);
  if (response.body === null) return { status, headers, body: NONE };
  const chunks = response.body as unknown as AsyncIterable<Uint8Array>;
  return { status, headers, body: { kind: 'stream', chunks } };
}

function bodyOf(value: unknown): AnswerBody {
  if (value instanceof Uint8Array) return { kind: 'bytes', bytes: value };
  if (value instanceof ArrayBuffer) return { kind: 'bytes', bytes: new Uint8Array(value) };
  if (value instanceof ReadableStream) {
    return { kind: 'stream', chunks: value as unknown as AsyncIterable<Uint8Array> };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'json', value };
  }
  if (Symbol.asyncIterator in value) {
    return { kind: 'rows', rows: value as AsyncIterable<unknown> };
  }
  if (Symbol.iterator in value) return { kind: 'rows', rows: rowsOf(value as Iterable<unknown>) };
  return { kind: 'json', value };
}

async function* rowsOf(values: Iterable<unknown>): AsyncGenerator<unknown> {
  yield* values;
}
