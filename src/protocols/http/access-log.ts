/**
 * Watches every exchange for the access log: what was asked, what became of it, and under which
 * request id, which is the client's own when it is sane, is answered, and stands in the request for
 * whoever passes it on. What is fetched for others as well is asked for under an id that no client
 * chose, since an origin may repeat it. Without a log the handler is not wrapped and pays nothing.
 */
import type { Asking } from '../../access/asking.ts';
import type { StopSignal } from '../../base/stop.ts';
import type { BodyWriter, Exchange, HeaderList, HttpHandler, HttpRequest } from './port.ts';

export interface AccessFacts {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly host: string | undefined;
  readonly client: string;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
  /** Who asked; `undefined`: nobody in particular. */
  readonly principal: string | undefined;
  readonly requestId: string;
  /** Under which an origin was asked, when that is another. */
  readonly fetchId: string | undefined;
  /** 499: the client went before an answer began. */
  readonly status: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** `Cache-Status` of the answer. */
  readonly verdict: string | undefined;
}

export interface AccessLogParts {
  readonly log: (facts: AccessFacts) => void;
  readonly newId: () => string;
  readonly monotonic: () => number;
  readonly principalOf: (request: HttpRequest) => string | undefined;
}

const CLIENT_GONE = 499;
/** Neither long nor able to break out of a line, a field or a quoted string. */
const SANE_ID = /^[\w.:@=+/-]{1,128}$/;
const TRACE_PARENT = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}$/;

export function withAccessLog(
  handler: HttpHandler,
  parts: AccessLogParts | undefined,
): HttpHandler {
  if (parts === undefined) return handler;
  return (exchange) => {
    const watched = new WatchedExchange(exchange, parts);
    return handler(watched);
  };
}

/** The client's request id, else its trace's; `undefined` when it brings neither. */
export function requestIdOf(request: HttpRequest): string | undefined {
  const given = request.header('x-request-id');
  if (given !== undefined && SANE_ID.test(given)) return given;
  return TRACE_PARENT.exec(request.header('traceparent') ?? '')?.[1];
}

class WatchedExchange implements Exchange {
  readonly request: IdentifiedRequest;
  readonly #inner: Exchange;
  readonly #parts: AccessLogParts;
  readonly #startedAt: number;
  #isTold = false;
  #status = CLIENT_GONE;
  #bytes = 0;
  #verdict: string | undefined;

  constructor(inner: Exchange, parts: AccessLogParts) {
    this.#inner = inner;
    this.#parts = parts;
    this.#startedAt = parts.monotonic();
    this.request = new IdentifiedRequest(inner.request, parts.newId);
    inner.onAborted(() => this.#tell());
  }

  get aborted(): boolean {
    return this.#inner.aborted;
  }
  get replied(): boolean {
    return this.#inner.replied;
  }
  get signal(): StopSignal {
    return this.#inner.signal;
  }
  onAborted(fn: () => void): void {
    this.#inner.onAborted(fn);
  }
  body(maxBytes: number): Promise<Uint8Array> {
    return this.#inner.body(maxBytes);
  }
  requestStream(maxBytes: number): ReturnType<Exchange['requestStream']> {
    return this.#inner.requestStream(maxBytes);
  }
  interim(status: number, headers: HeaderList): void {
    this.#inner.interim(status, headers);
  }
  limitHit(limit: string): void {
    this.#inner.limitHit(limit);
  }
  denied(what: string): void {
    this.#inner.denied(what);
  }

  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void {
    this.#begin(status, headers);
    this.#inner.reply(status, this.#with(headers), body);
    this.#count(body);
    this.#tell();
  }

  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    this.#begin(status, headers);
    const writer = this.#inner.stream(status, this.#with(headers), length);
    return this.#watched(writer);
  }

  #watched(inner: BodyWriter): BodyWriter {
    return {
      write: (chunk) => {
        this.#count(chunk);
        return inner.write(chunk);
      },
      drained: () => inner.drained(),
      end: (chunk) => {
        this.#count(chunk);
        inner.end(chunk);
        this.#tell();
      },
      destroy: () => {
        inner.destroy();
        this.#tell();
      },
      get bufferedBytes() {
        return inner.bufferedBytes;
      },
      get aborted() {
        return inner.aborted;
      },
    };
  }

  #begin(status: number, headers: HeaderList): void {
    this.#status = status;
    for (let at = 0; at + 1 < headers.length; at += 2) {
      if (headers[at] === 'cache-status') this.#verdict = headers[at + 1];
    }
  }

  /** In the place of what a stored answer says of the request it was made for. */
  #with(headers: HeaderList): HeaderList {
    const fields: string[] = [];
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const [name = '', value = ''] = [headers[at], headers[at + 1]];
      if (name !== 'x-request-id') fields.push(name, value);
    }
    fields.push('x-request-id', this.request.requestId);
    return fields;
  }

  #count(chunk: Uint8Array | string | undefined): void {
    if (chunk === undefined || this.request.method === 'HEAD') return;
    this.#bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
  }

  #tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { request } = this;
    const { method, path, query } = request;
    this.#parts.log({
      ...{ method, path, query, host: request.header('host'), client: request.remoteAddress },
      ...{ userAgent: request.header('user-agent'), referer: request.header('referer') },
      principal: this.#parts.principalOf(request),
      ...{
        requestId: request.requestId,
        fetchId: request.otherId,
        status: this.#status,
        bytes: this.#bytes,
      },
      durationMs: this.#parts.monotonic() - this.#startedAt,
      verdict: this.#verdict,
    });
  }
}

/** The request with its id among its fields, so that it goes on to the origin. */
class IdentifiedRequest implements HttpRequest {
  readonly requestId: string;
  readonly #inner: HttpRequest;
  readonly #newId: () => string;
  #fetchId: string | undefined;

  constructor(inner: HttpRequest, newId: () => string) {
    const given = requestIdOf(inner);
    this.#inner = inner;
    this.#newId = newId;
    this.requestId = given ?? newId();
    if (given === undefined) this.#fetchId = this.requestId;
  }

  get fetchId(): string {
    this.#fetchId ??= this.#newId();
    return this.#fetchId;
  }
  /** That of a fetch, if there was one under another id. */
  get otherId(): string | undefined {
    return this.#fetchId === this.requestId ? undefined : this.#fetchId;
  }

  get method(): string {
    return this.#inner.method;
  }
  get path(): string {
    return this.#inner.path;
  }
  get query(): string {
    return this.#inner.query;
  }
  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }
  get toldScheme(): HttpRequest['toldScheme'] {
    return this.#inner.toldScheme;
  }
  /** What some engines know besides. */
  get certificate(): Asking['certificate'] {
    return (this.#inner as Partial<Asking>).certificate;
  }
  header(name: string): string | undefined {
    return name === 'x-request-id' ? this.requestId : this.#inner.header(name);
  }
  *headers(): Iterable<readonly [string, string]> {
    for (const field of this.#inner.headers()) if (field[0] !== 'x-request-id') yield field;
    yield ['x-request-id', this.requestId];
  }
}
