/**
 * One request and its reply on node:http. Node keeps references to chunks that wait in its buffers,
 * so every view is copied on its way out: what a caller hands over may be the store's own memory.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from '../../../base/assert.ts';
import { Stop, type StopSignal } from '../../../base/stop.ts';
import { type CuttableExchange, problemFields, refusalBody, runLeavers } from '../faults.ts';
import { CHUNKED } from '../framing.ts';
import { checkHeaders } from '../header-safety.ts';
import { Interims } from '../interim.ts';
import type { BodyWriter, HeaderList, RequestStream } from '../port.ts';
import {
  bodyTooLarge,
  RequestBody,
  SWALLOWED_BYTES_MAX,
  streamOf,
  uploadTooSlow,
} from '../request-body.ts';
import type { RequestCopy } from '../request-copy.ts';
import { isBodiless } from '../status-text.ts';
import { discardingWriter } from '../stream-writer.ts';
import { NodeBodyWriter } from './body-writer.ts';

const nothing = new Uint8Array(0);

export interface ExchangeTerms {
  /** A client that takes nothing of what waits for it for so long is cut off. */
  readonly stallMs: number;
  /** Draining: replies carry `Connection: close`. */
  readonly connections: { readonly draining: boolean };
  /** Told of exceptions which nobody else can see. */
  fault(error: unknown, request: RequestCopy): void;
  limitHit(limit: string): void;
  denied(request: RequestCopy, what: string): void;
}

export class NodeExchange implements CuttableExchange {
  readonly request: RequestCopy;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #terms: ExchangeTerms;
  #replied = false;
  #complete = false;
  #gone = false;
  #closes = false;
  #body: RequestBody | undefined;
  #onGone: (() => void)[] = [];
  #abort: Stop | undefined;
  #interims: Interims | undefined;

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    request: RequestCopy,
    terms: ExchangeTerms,
  ) {
    this.#message = message;
    this.#response = response;
    this.request = request;
    this.#terms = terms;
    // Node calls an answer finished too when its bytes were thrown away with the connection.
    response.once('finish', () => {
      this.#complete = !message.socket.destroyed;
    });
    response.once('close', () => this.#leave());
    response.on('error', () => this.#leave());
    message.on('error', () => this.#leave());
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
    if (declared !== CHUNKED && declared > maxBytes) {
      const refused = Promise.reject(bodyTooLarge(maxBytes));
      refused.catch(() => undefined);
      this.#closes = true;
      return refused;
    }
    return this.#requestBody(maxBytes).whole(maxBytes);
  }

  requestStream(maxBytes: number): RequestStream {
    const declared = this.request.bodyFraming;
    const isTaken = declared === CHUNKED || (declared > 0 && declared <= maxBytes);
    if (!isTaken) return streamOf(() => this.body(maxBytes), declared);
    const length = declared === CHUNKED ? undefined : declared;
    return this.#requestBody(maxBytes).streamed(maxBytes, length);
  }

  /**
   * Cuts the client off whose body comes too slowly: below `rate` bytes a second after a grace,
   * where the time that its reader made it wait does not count.
   */
  limitUpload(graceSeconds: number, rate: number): void {
    const message = this.#message;
    let seconds = 0;
    let isCut = false;
    const upload = setInterval(() => {
      if (message.complete) clearInterval(upload);
      else if (!this.#body?.isPaused) seconds += 1;
      const received = this.#body?.receivedBytes ?? 0;
      if (received >= (seconds - graceSeconds) * rate) return;
      // It may take another look until the connection has ended: it is one client all the same.
      if (!isCut) this.limitHit(uploadTooSlow.limit);
      isCut = true;
      this.#cutUpload();
    }, 1000).unref();
    message.once('close', () => clearInterval(upload));
  }

  /** Answers when nothing was answered, and closes. */
  #cutUpload(): void {
    if (this.#replied || this.#gone) {
      this.#message.socket.destroy();
      return;
    }
    this.#closes = true;
    this.reply(uploadTooSlow.status, problemFields, refusalBody(uploadTooSlow));
    this.#body?.abort();
  }

  limitHit(limit: string): void {
    this.#terms.limitHit(limit);
  }

  denied(what: string): void {
    this.#terms.denied(this.request, what);
  }

  interim(status: number, headers: HeaderList): void {
    if (this.#gone || this.#replied) return;
    this.#interims ??= new Interims();
    const text = this.#interims.textOf(status, headers);
    // Without a socket of its own, the answer is pipelined behind one that is not complete.
    const { socket } = this.#response;
    if (text === undefined || socket === null || this.#message.httpVersion === '1.0') return;
    socket.write(text, 'latin1');
  }

  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void {
    if (this.#gone) return;
    assert(!this.#replied, 'an exchange is answered once');
    checkHeaders(headers);
    this.#replied = true;
    const bytes = body === undefined ? nothing : Buffer.from(body);
    this.#writeHead(status, headers, isBodiless(status) ? undefined : bytes.length);
    const silent = this.request.method === 'HEAD' || isBodiless(status);
    this.#response.end(silent ? undefined : bytes);
    // Node's own time-out sees progress inside a large write, and is reset with the next request.
    if (this.#response.writableLength > 0) this.#message.socket.setTimeout(this.#terms.stallMs);
  }

  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    if (this.#gone) return discardingWriter(true);
    assert(!this.#replied, 'an exchange is answered once');
    checkHeaders(headers);
    this.#replied = true;
    this.#writeHead(status, headers, isBodiless(status) ? undefined : length);
    if (this.request.method === 'HEAD' || isBodiless(status) || length === 0) {
      this.#response.end();
      return discardingWriter(false);
    }
    this.#response.flushHeaders();
    const writer = new NodeBodyWriter(this.#response, length, (stalls) => {
      this.#response.socket?.setTimeout(stalls ? this.#terms.stallMs : 0);
    });
    this.onAborted(() => writer.abort());
    return writer;
  }

  cut(): void {
    if (!this.#response.writableEnded) this.#response.destroy();
  }

  /** The reply ends the connection. */
  closeAfterReply(): void {
    this.#closes = true;
  }

  #writeHead(status: number, headers: HeaderList, length: number | undefined): void {
    const fields: string[] = [...headers];
    if (length !== undefined) fields.push('content-length', String(length));
    if (this.#closesAfter()) fields.push('connection', 'close');
    this.#response.writeHead(status, fields);
  }

  /** A large rest of a body that nobody reads is not worth swallowing. */
  #closesAfter(): boolean {
    if (this.#closes || this.#terms.connections.draining) return true;
    // The client may send the body that nobody asked for, or not [RFC9110 §10.1.1].
    if (this.#waitsForContinue()) return true;
    if (this.#message.complete) return false;
    const declared = this.request.bodyFraming;
    if (declared === CHUNKED) return this.#body !== undefined;
    return declared - (this.#body?.receivedBytes ?? 0) > SWALLOWED_BYTES_MAX;
  }

  /** The client said `Expect: 100-continue`, and was not told to go on. */
  #waitsForContinue(): boolean {
    return this.#body === undefined && this.#message.headers.expect !== undefined;
  }

  #requestBody(maxBytes: number): RequestBody {
    if (this.#body !== undefined) return this.#body;
    const message = this.#message;
    if (this.#waitsForContinue() && !this.#replied && !this.#gone) this.#response.writeContinue();
    const body = new RequestBody({
      pause: () => void message.pause(),
      resume: () => void message.resume(),
    });
    this.#body = body;
    message.on('data', (chunk: Buffer) => {
      body.push(chunk);
      // Only the last chunk would tell the length: stop swallowing it.
      if (body.receivedBytes > maxBytes) this.#closes = true;
    });
    message.on('end', () => body.end());
    if (this.#gone) body.abort();
    return body;
  }

  #leave(): void {
    if (this.#gone || this.#complete) return;
    this.#gone = true;
    this.#body?.abort();
    this.#abort?.abort();
    runLeavers(this.#onGone, (error) => this.#terms.fault(error, this.request));
    this.#onGone = [];
  }
}
