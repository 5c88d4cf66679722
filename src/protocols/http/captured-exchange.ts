/**
 * An exchange whose answer waits, so that application code around the node's own handler can look
 * at it and change its fields. A whole answer is kept; the body of a streamed one is held back, at
 * its first chunk, until `begin` or `drop`.
 */
import type { StopSignal } from '../../base/stop.ts';
import type { BodyWriter, Exchange, HeaderList, RequestStream } from './port.ts';
import { streamOf } from './request-body.ts';

export type CapturedAnswer =
  | {
      readonly kind: 'whole';
      readonly status: number;
      readonly headers: HeaderList;
      readonly body: Uint8Array | string | undefined;
    }
  | {
      readonly kind: 'streamed';
      readonly status: number;
      readonly headers: HeaderList;
      /** Sends what there is and goes on, under these fields. */
      begin(status: number, headers: HeaderList): void;
      /** Something else was answered instead. */
      drop(): void;
    };

export class CapturedExchange implements Exchange {
  readonly request: Exchange['request'];
  /** Resolves as soon as the answer begins. */
  readonly answered: Promise<CapturedAnswer>;
  readonly #inner: Exchange;
  readonly #readBody: (maxBytes: number) => Promise<Uint8Array>;
  #settle: (answer: CapturedAnswer) => void = () => undefined;
  #replied = false;

  /** `readBody`: the body may have been read already. */
  constructor(inner: Exchange, readBody: (maxBytes: number) => Promise<Uint8Array>) {
    this.request = inner.request;
    this.#inner = inner;
    this.#readBody = readBody;
    this.answered = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get aborted(): boolean {
    return this.#inner.aborted;
  }
  get replied(): boolean {
    return this.#replied;
  }
  get signal(): StopSignal {
    return this.#inner.signal;
  }
  onAborted(fn: () => void): void {
    this.#inner.onAborted(fn);
  }
  body(maxBytes: number): Promise<Uint8Array> {
    return this.#readBody(maxBytes);
  }
  requestStream(maxBytes: number): RequestStream {
    const declared = this.request.header('content-length');
    const length = declared === undefined ? undefined : Number(declared);
    return streamOf(() => this.#readBody(maxBytes), length);
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
    // The view that a caller hands over ends with this call.
    const kept = typeof body === 'string' || body === undefined ? body : new Uint8Array(body);
    this.#replied = true;
    this.#settle({ kind: 'whole', status, headers, body: kept });
  }
  stream(status: number, headers: HeaderList, length?: number): BodyWriter {
    const writer = new HeldWriter(this.#inner);
    this.#replied = true;
    this.#settle({
      kind: 'streamed',
      status,
      headers,
      begin: (first, fields) => writer.begin(this.#inner.stream(first, fields, length)),
      drop: () => writer.drop(),
    });
    return writer;
  }
}

/** Asks its caller to wait after the first chunk, until it knows where to write. */
class HeldWriter implements BodyWriter {
  readonly #exchange: Exchange;
  readonly #held: (Uint8Array | string)[] = [];
  readonly #decided: Promise<void>;
  #decide: () => void = () => undefined;
  #target: BodyWriter | undefined;
  #fate: 'open' | 'ended' | 'destroyed' = 'open';
  #dropped = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    exchange.onAborted(() => this.#decide());
  }

  begin(target: BodyWriter): void {
    this.#target = target;
    for (const chunk of this.#held.splice(0)) target.write(chunk);
    if (this.#fate === 'ended') target.end();
    if (this.#fate === 'destroyed') target.destroy();
    this.#decide();
  }
  drop(): void {
    this.#dropped = true;
    this.#held.length = 0;
    this.#decide();
  }

  get aborted(): boolean {
    return this.#dropped || (this.#target ?? this.#exchange).aborted;
  }
  get bufferedBytes(): number {
    return this.#target?.bufferedBytes ?? 0;
  }
  write(chunk: Uint8Array | string): boolean {
    if (this.#target !== undefined) return this.#target.write(chunk);
    if (!this.aborted) this.#held.push(typeof chunk === 'string' ? chunk : chunk.slice());
    return false;
  }
  async drained(): Promise<void> {
    await this.#decided;
    await this.#target?.drained();
  }
  end(chunk?: Uint8Array | string): void {
    if (chunk !== undefined) this.write(chunk);
    this.#fate = 'ended';
    this.#target?.end();
  }
  destroy(): void {
    this.#fate = 'destroyed';
    this.#target?.destroy();
  }
}
