/**
 * One request and its reply on a stream of HTTP/2. What the framing guard is for cannot happen
 * here: frames say where a body ends. The rest is as on HTTP/1.1: views are copied, a client that
 * leaves is told of once, one that takes nothing is cut off.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { assert } from '../../../base/assert.ts';
import { Stop, type StopSignal } from '../../../base/stop.ts';
import { type CuttableExchange, runLeavers } from '../faults.ts';
import { CHUNKED } from '../framing.ts';
import { checkHeaders } from '../header-safety.ts';
import type { BodyWriter, HeaderList, RequestStream } from '../port.ts';
import { bodyTooLarge, RequestBody, streamOf } from '../request-body.ts';
import type { RequestCopy } from '../request-copy.ts';
import { isBodiless } from '../status-text.ts';
import { discardingWriter } from '../stream-writer.ts';
import { NodeBodyWriter } from './body-writer.ts';
import type { ExchangeTerms } from './exchange.ts';

/** Fields that mean a connection, of which a stream has none [RFC9113 §8.2.2]. */
const OF_CONNECTIONS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
const nothing = new Uint8Array(0);

export class Http2Exchange implements CuttableExchange {
  readonly request: RequestCopy;
  readonly #stream: ServerHttp2Stream;
  readonly #terms: ExchangeTerms;
  #replied = false;
  #gone = false;
  #body: RequestBody | undefined;
  #onGone: (() => void)[] = [];
  #abort: Stop | undefined;

  constructor(stream: ServerHttp2Stream, request: RequestCopy, terms: ExchangeTerms) {
    this.#stream = stream;
    this.request = request;
    this.#terms = terms;
    // The error is told of by `close` as well; unheard it would end the process.
    stream.on('error', () => undefined);
    stream.once('close', () => this.#closed());
  }

  get aborted(): boolean {
    return this.#gone;
  }

  get replied(): boolean {
    return this.#replied;
  }

  onAborted(fn: () => void): void {
    if (this.#gone) fn();
    else this.#onGone.push(fn);
  }

  get signal(): StopSignal {
    this.#abort ??= new Stop();
    if (this.#gone) this.#abort.abort();
    return this.#abort;
  }

  body(maxBytes: number): Promise<Uint8Array> {
    const declared = this.request.bodyFraming;
    if (declared === 0) return Promise.resolve(nothing);
    if (declared !== CHUNKED && declared > maxBytes) return rejected(bodyTooLarge(maxBytes));
    return this.#requestBody().whole(maxBytes);
  }

  requestStream(maxBytes: number): RequestStream {
    const declared = this.request.bodyFraming;
    const isTaken = declared === CHUNKED || (declared > 0 && declared <= maxBytes);
    if (!isTaken) return streamOf(() => this.body(maxBytes), declared);
    const length = declared === CHUNKED ? undefined : declared;
    return this.#requestBody().streamed(maxBytes, length);
  }

  /** Cuts a body off that comes too slowly; as on HTTP/1.1. */
  limitUpload(graceSeconds: number, rate: number): void {
    const stream = this.#stream;
    let seconds = 0;
    const look = setInterval(() => {
      if (stream.readableEnded || stream.destroyed) clearInterval(look);
      else if (!this.#body?.isPaused) seconds += 1;
      if ((this.#body?.receivedBytes ?? 0) >= (seconds - graceSeconds) * rate) return;
      clearInterval(look);
      this.limitHit('bodyBytesPerSecondMin');
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }, 1000).unref();
    stream.once('close', () => clearInterval(look));
  }

  interim(status: number, headers: HeaderList): void {
    if (this.#gone || this.#replied || status === 101) return;
    checkHeaders(headers);
    this.#stream.additionalHeaders({ ':status': status, ...fieldsOf(headers) });
  }

  limitHit(limit: string): void {
    this.#terms.limitHit(limit);
  }

  denied(what: string): void {
    this.#terms.denied(this.request, what);
  }

  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void {
    if (this.#gone) return;
    const bytes = body === undefined ? nothing : Buffer.from(body);
    const silent = this.#begin(status, headers, bytes.length);
    if (silent) return;
    this.#stream.end(bytes);
    if (this.#stream.writableLength > 0) this.#stream.setTimeout(this.#terms.stallMs, this.#cutOff);
  }

  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    if (this.#gone) return discardingWriter(true);
    if (this.#begin(status, headers, length) || length === 0) {
      this.#stream.end();
      return discardingWriter(false);
    }
    const stream = this.#stream;
    const writer = new NodeBodyWriter(stream, length, (stalls) =>
      stream.setTimeout(stalls ? this.#terms.stallMs : 0, this.#cutOff),
    );
    this.onAborted(() => writer.abort());
    return writer;
  }

  cut(): void {
    if (!this.#stream.writableEnded) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  readonly #cutOff = (): void => this.#stream.close(constants.NGHTTP2_CANCEL);

  /** Sends the head; true when nothing may follow it. */
  #begin(status: number, headers: HeaderList, length: number | undefined): boolean {
    assert(!this.#replied, 'an exchange is answered once');
    checkHeaders(headers);
    this.#replied = true;
    const silent = this.request.method === 'HEAD' || isBodiless(status);
    const fields = fieldsOf(headers);
    if (length !== undefined && !isBodiless(status)) fields['content-length'] = String(length);
    this.#stream.respond({ ':status': status, ...fields }, { endStream: silent });
    return silent;
  }

  #requestBody(): RequestBody {
    if (this.#body !== undefined) return this.#body;
    const stream = this.#stream;
    const expects = this.request.header('expect') !== undefined;
    if (expects && !this.#replied && !this.#gone) stream.additionalHeaders({ ':status': 100 });
    const body = new RequestBody({
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
    });
    this.#body = body;
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('end', () => body.end());
    if (this.#gone) body.abort();
    return body;
  }

  #closed(): void {
    const { rstCode, writableFinished } = this.#stream;
    if (this.#replied && writableFinished && rstCode === constants.NGHTTP2_NO_ERROR) return;
    if (this.#gone) return;
    this.#gone = true;
    this.#body?.abort();
    this.#abort?.abort();
    runLeavers(this.#onGone, (error) => this.#terms.fault(error, this.request));
    this.#onGone = [];
  }
}

function rejected(error: Error): Promise<never> {
  const refused = Promise.reject(error);
  refused.catch(() => undefined);
  return refused;
}

/** Fields of the same name become a list: each is sent in a line of its own. */
function fieldsOf(headers: HeaderList): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (OF_CONNECTIONS.has(name)) continue;
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else fields[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return fields;
}
