/**
 * One request and its reply on uWS. The only file which touches `res`: a call on a response that is
 * complete or whose client has gone throws, and a throw inside an engine callback aborts the
 * process.
 *
 * Rules kept here: everything of `req` is copied before the handler runs; `onAborted` is attached
 * before the engine's callback ends unless the reply is complete, and before any bodiless end;
 * writes after the callback are corked; large bodies go through `tryEnd`, which takes only what the
 * kernel takes, so that pipelined requests cannot pile answers up in memory.
 *
 *   in turn ──reply──► complete            in turn ──return──► waiting ──reply──► complete
 *                                                              waiting ──abort──► gone
 */
import { assert } from '../../../base/assert.ts';
import { Stop, type StopSignal } from '../../../base/stop.ts';
import { type CuttableExchange, problemFields, refusalBody, runLeavers } from '../faults.ts';
import { CHUNKED } from '../framing.ts';
import { checkHeaders } from '../header-safety.ts';
import { Interims } from '../interim.ts';
import type { BodyWriter, HeaderList, RequestStream } from '../port.ts';
import { addressText } from '../remote-address.ts';
import {
  bodyTooLarge,
  RequestBody,
  SWALLOWED_BYTES_MAX,
  streamOf,
  uploadTooSlow,
} from '../request-body.ts';
import type { RequestCopy } from '../request-copy.ts';
import { isBodiless, statusLine } from '../status-text.ts';
import { discardingWriter, StreamWriter, type Taking } from '../stream-writer.ts';
import { giveBack, keepRest } from './rest-buffers.ts';
import type { SlowReader, SlowReaders } from './slow-readers.ts';
import type { Sender, SlowSenders } from './slow-senders.ts';
import type { UwsContext, UwsResponse } from './types.ts';

/** Bodies above this are sent by `tryEnd`. */
const WHOLE_BODY_BYTES_MAX = 8 * 1024;
/** Pieces of a stream that surely fit into the engine's cork, of 16 KiB, with their frame. */
const CORKED_PIECE_MAX = 8 * 1024;

const nothing = new Uint8Array(0);
const ignore = () => undefined;

/** The client's key, and what is answered to it. */
export interface Handshake {
  readonly key: string;
  readonly protocol: string;
  readonly headers: HeaderList;
}

/** What exchanges share with their listener. */
export interface ExchangeHost {
  /** Replies carry `Connection: close`. */
  draining: boolean;
  readonly slowReaders: SlowReaders;
  readonly slowSenders: SlowSenders;
  /** The exchange outlives its callback; and is over. */
  hold(request: RequestCopy): void;
  release(request: RequestCopy): void;
  limitHit(limit: string): void;
  denied(request: RequestCopy, what: string): void;
  /** Told of exceptions which nobody else can see. */
  fault(error: unknown, request: RequestCopy): void;
}

export class UwsExchange implements CuttableExchange, SlowReader, Sender {
  readonly request: RequestCopy;
  readonly #res: UwsResponse;
  readonly #host: ExchangeHost;
  #inTurn = true;
  #beyondAscii = false;
  #replied = false;
  #complete = false;
  #gone = false;
  #attached = false;
  #body: RequestBody | undefined;
  #onGone: (() => void)[] | undefined;
  #abort: Stop | undefined;
  #writer: StreamWriter | undefined;
  #interims: Interims | undefined;
  #interimText = '';
  /** What is still to be sent of a whole answer, of so many bytes in all. */
  #rest: Buffer | undefined;
  #total = 0;
  place = -1;
  stillVisits = 0;

  constructor(res: UwsResponse, request: RequestCopy, host: ExchangeHost) {
    this.#res = res;
    this.request = request;
    this.#host = host;
    request.peer = this;
  }

  get aborted(): boolean {
    return this.#gone;
  }

  get replied(): boolean {
    return this.#replied;
  }

  /** Only while the response lives; the request keeps it for later. */
  get peerAddress(): string {
    if (this.#complete || this.#gone) return '';
    return addressText(new Uint8Array(this.#res.getRemoteAddress()));
  }

  onAborted(fn: () => void): void {
    if (this.#gone) {
      fn();
      return;
    }
    // Made with what is in it: one that grows has room for sixteen more.
    if (this.#onGone === undefined) this.#onGone = [fn];
    else this.#onGone.push(fn);
  }

  get signal(): StopSignal {
    if (this.#abort === undefined) {
      this.#abort = new Stop();
      if (this.#gone) this.#abort.abort();
    }
    return this.#abort;
  }

  body(maxBytes: number): Promise<Uint8Array> {
    const declared = this.request.bodyFraming;
    if (declared === 0) return Promise.resolve(nothing);
    if (declared !== CHUNKED && declared > maxBytes) {
      const refused = Promise.reject(bodyTooLarge(maxBytes));
      refused.catch(ignore);
      return refused;
    }
    return this.#requestBody().whole(maxBytes);
  }

  requestStream(maxBytes: number): RequestStream {
    const declared = this.request.bodyFraming;
    const isTaken = declared === CHUNKED || (declared > 0 && declared <= maxBytes);
    if (!isTaken) return streamOf(() => this.body(maxBytes), declared);
    return this.#requestBody().streamed(maxBytes, declared === CHUNKED ? undefined : declared);
  }

  limitHit(limit: string): void {
    this.#host.limitHit(limit);
  }

  denied(what: string): void {
    this.#host.denied(this.request, what);
  }

  /** The engine has no call for it, but its status line may hold one; see `#writeStatus`. */
  interim(status: number, headers: HeaderList): void {
    if (this.#gone || this.#replied) return;
    this.#interims ??= new Interims();
    this.#interimText += this.#interims.textOf(status, headers) ?? '';
  }

  reply(status: number, headers: HeaderList, body?: Uint8Array | string): void {
    if (this.#gone) return;
    assert(!this.#replied, 'an exchange is answered once');
    // Before anything is written: a refused value leaves room for a 500.
    this.#beyondAscii = checkHeaders(headers);
    this.#replied = true;
    if (this.#inTurn) this.#writeWhole(status, headers, body);
    else this.#res.cork(() => this.#writeWhole(status, headers, body));
  }

  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    if (this.#gone) return discardingWriter(true);
    assert(!this.#replied, 'an exchange is answered once');
    this.#beyondAscii = checkHeaders(headers);
    if (this.request.method === 'HEAD' || isBodiless(status) || length === 0) {
      this.#replied = true;
      this.#corked(() => this.#writeWithoutBody(status, headers, length));
      return discardingWriter(false);
    }
    this.#corked(() => this.#writeHead(status, headers));
    this.#replied = true;
    this.#attach();
    return this.#openStream(length);
  }

  cut(): void {
    this.#writer?.destroy();
  }

  /** Whether the client takes what waits for it; keeps the engine from giving it up meanwhile. */
  probe(): Taking {
    if (!this.#live()) return 'unknown';
    if (this.#writer === undefined) return this.#probeRest();
    const taking = this.#writer.probe();
    // A client that sends may be paused for another reason.
    if (this.#body === undefined) this.keepAlive();
    return taking;
  }

  giveUp(): void {
    if (this.#writer !== undefined) this.#writer.destroy();
    else if (this.#live()) this.#res.close();
  }

  /**
   * The engine cuts off a client ten seconds after it could not send it everything, however much it
   * took since, unless it has said `writable`, and one that sends slowly. To be paused and resumed
   * makes it count anew.
   */
  keepAlive(): void {
    if (!this.#live()) return;
    this.#res.pause();
    this.#res.resume();
  }

  get upload(): RequestBody {
    return this.#requestBody();
  }

  /** Answers when nothing was answered, and closes. */
  cutUpload(): void {
    this.limitHit(uploadTooSlow.limit);
    this.#host.slowSenders.forget(this);
    if (!this.#live()) return;
    if (this.#replied) {
      this.#res.close();
      return;
    }
    this.#end(uploadTooSlow.status, problemFields, refusalBody(uploadTooSlow));
    this.#body?.abort();
  }

  /** The engine's callback ends: from here on the response must know of an abort. */
  leaveTurn(): void {
    this.#inTurn = false;
    if (this.#complete || this.#gone) return;
    this.request.keepAddress();
    this.#attach();
    this.#host.hold(this.request);
    if (!this.#replied && this.request.bodyFraming !== 0) this.#requestBody();
  }

  /**
   * Answers and closes. Not in this turn: the engine would go on with the bytes behind the refused
   * head. While a response is pending it closes the connection instead of executing them.
   */
  refuse(status: number, headers: HeaderList, body: string): void {
    this.leaveTurn();
    setImmediate(() => {
      if (!this.#gone) this.#end(status, headers, body);
    });
  }

  /** The answer after which nothing is read. */
  #end(status: number, headers: HeaderList, body: string): void {
    this.#replied = true;
    this.#res.cork(() => {
      this.#writeHead(status, headers);
      this.#finish();
      this.#res.end(body, true);
    });
  }

  /** Hands the connection over to the WebSocket side. */
  upgrade(state: object, { key, protocol, headers }: Handshake, context: UwsContext): void {
    if (this.#gone) return;
    this.#beyondAscii = checkHeaders(headers);
    this.#corked(() => {
      this.#replied = true;
      // The engine writes the status line itself unless there was one.
      if (headers.length > 0) this.#writeHead(101, headers);
      this.#finish();
      this.#res.upgrade(state, key, protocol, '', context);
    });
  }

  /** Nothing is written for a client that has gone, whoever still tries. */
  #corked(write: () => void): void {
    if (this.#gone) return;
    if (this.#inTurn) write();
    else this.#res.cork(write);
  }

  #writeWhole(status: number, headers: HeaderList, body: Uint8Array | string | undefined): void {
    if (this.request.method === 'HEAD' || isBodiless(status)) {
      const length = typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0);
      this.#writeWithoutBody(status, headers, length);
      return;
    }
    this.#writeHead(status, headers);
    if (body !== undefined && body.length > WHOLE_BODY_BYTES_MAX) {
      this.#writeLarge(typeof body === 'string' ? Buffer.from(body) : body);
      return;
    }
    const closes = this.#closes();
    this.#finish();
    if (closes) this.#res.end(body ?? nothing, true);
    else this.#res.end(body ?? nothing);
  }

  #writeHead(status: number, headers: HeaderList): void {
    const res = this.#res;
    if (status !== 200 || this.#interimText !== '') this.#writeStatus(status);
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i] as string;
      const value = headers[i + 1] as string;
      // The engine writes its own, always: a second Date line would contradict it.
      if (name === 'date') continue;
      // The engine writes UTF-8; HTTP field values are single bytes.
      res.writeHeader(name, this.#beyondAscii ? Buffer.from(value, 'latin1') : value);
    }
  }

  /**
   * The engine writes `HTTP/1.1 `, the text as it is, and a line end. So that text may be whole
   * interim responses, every field of which was checked, and then the rest of a status line.
   */
  #writeStatus(status: number): void {
    const line = statusLine(status);
    if (this.#interimText === '') {
      this.#res.writeStatus(line);
      return;
    }
    const text = `${this.#interimText}HTTP/1.1 ${line}`.slice('HTTP/1.1 '.length);
    this.#res.writeStatus(Buffer.from(text, 'latin1'));
  }

  #writeWithoutBody(status: number, headers: HeaderList, length: number | undefined): void {
    this.#writeHead(status, headers);
    if (!isBodiless(status) && length !== undefined) {
      this.#res.writeHeader('content-length', String(length));
    }
    // 20.30 aborts the process when a bodiless end meets a response without onAborted.
    if (!this.#attached) this.#res.onAborted(ignore);
    this.#finish();
    this.#res.endWithoutBody();
  }

  #writeLarge(body: Uint8Array): void {
    const total = body.length;
    const [, done] = this.#res.tryEnd(body, total);
    if (done) {
      this.#finish();
      return;
    }
    const sent = this.#res.getWriteOffset();
    // The caller's view dies with this call.
    const rest = keepRest(body.subarray(sent));
    this.#rest = rest;
    this.#total = total;
    this.#attach();
    this.#res.onWritable((offset) => (this.#live() ? this.#sendRest(rest, offset) : true));
    this.#host.slowReaders.watch(this);
  }

  #sendRest(rest: Uint8Array, offset: number): boolean {
    const [ok, ended] = this.#res.tryEnd(
      rest.subarray(offset - this.#total + rest.length),
      this.#total,
    );
    if (ended) this.#finish();
    return ok;
  }

  #probeRest(): Taking {
    const rest = this.#rest;
    if (rest === undefined) return 'unknown';
    let isTaking = false;
    this.#corked(() => {
      const before = this.#res.getWriteOffset();
      this.#sendRest(rest, before);
      isTaking = this.#complete || this.#res.getWriteOffset() > before;
    });
    return isTaking ? 'taking' : 'still';
  }

  #openStream(length: number | undefined): StreamWriter {
    const res = this.#res;
    const writer = new StreamWriter({
      length,
      push: (piece) => {
        let accepted = piece.length;
        let room = true;
        if (length === undefined) {
          // Corked, a chunk and its frame are one system call instead of four, and the engine does
          // not warn on stderr of each. Pieces that fit its cork: 20.30 mangles the chunking of a
          // larger one. Whether the kernel took all is said by the next write, or by `writable`.
          const part =
            piece.length > CORKED_PIECE_MAX ? piece.subarray(0, CORKED_PIECE_MAX) : piece;
          accepted = part.length;
          this.#corked(() => {
            room = res.write(part);
          });
          if (!room) this.#host.slowReaders.watch(this);
          return { accepted, room };
        }
        this.#corked(() => {
          const before = res.getWriteOffset();
          const [ok, done] = res.tryEnd(piece, length);
          room = ok;
          if (done) this.#finish();
          else accepted = res.getWriteOffset() - before;
        });
        if (!room) this.#host.slowReaders.watch(this);
        return { accepted, room };
      },
      // An empty cork makes the engine flush what it holds; without it, nobody would.
      flush: () => this.#corked(ignore),
      end: () => {
        if (this.#complete) return;
        this.#corked(() => {
          this.#finish();
          res.end();
        });
      },
      destroy: () => {
        if (!this.#complete && !this.#gone) res.close();
      },
    });
    this.#writer = writer;
    this.onAborted(() => writer.abort());
    res.onWritable(() => {
      this.#host.slowReaders.forget(this);
      return this.#live() ? writer.writable() : true;
    });
    return writer;
  }

  #requestBody(): RequestBody {
    if (this.#body !== undefined) return this.#body;
    const body = new RequestBody({
      pause: () => void (this.#live() && this.#res.pause()),
      resume: () => void (this.#live() && this.#res.resume()),
    });
    this.#body = body;
    // The engine reuses the memory of a chunk after the call.
    this.#res.onData((chunk, isLast) => {
      body.push(new Uint8Array(chunk.slice(0)));
      if (!isLast) return;
      this.#host.slowSenders.forget(this);
      body.end();
    });
    this.#attach();
    this.#host.slowSenders.watch(this);
    return body;
  }

  #live(): boolean {
    return !this.#complete && !this.#gone;
  }

  #closes(): boolean {
    if (this.#host.draining) return true;
    const declared = this.request.bodyFraming;
    return declared - (this.#body?.receivedBytes ?? 0) > SWALLOWED_BYTES_MAX;
  }

  #dropRest(): void {
    if (this.#rest === undefined) return;
    giveBack(this.#rest);
    this.#rest = undefined;
  }

  #dropUpload(): void {
    if (this.#body !== undefined) this.#host.slowSenders.forget(this);
  }

  /** Before the engine's last call, after which the response is not to be touched. */
  #finish(): void {
    this.#host.slowReaders.forget(this);
    this.#dropRest();
    this.#dropUpload();
    this.#body?.release();
    this.#complete = true;
    if (!this.#inTurn) this.#host.release(this.request);
  }

  #attach(): void {
    if (this.#attached) return;
    this.#attached = true;
    this.#res.onAborted(() => this.#leave());
  }

  #leave(): void {
    if (this.#gone || this.#complete) return;
    this.#gone = true;
    this.#host.slowReaders.forget(this);
    this.#dropRest();
    this.#dropUpload();
    if (!this.#inTurn) this.#host.release(this.request);
    this.#body?.abort();
    this.#abort?.abort();
    runLeavers(this.#onGone ?? [], (error) => this.#host.fault(error, this.request));
  }
}
