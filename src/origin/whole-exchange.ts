/**
 * One HTTP exchange whose reply is read as a whole, as undici tells of it: the head, the body in
 * pieces, the end. Nothing lies between the connection and the bytes: the stream and the iterator
 * which `request` of undici makes are a third of what a fetch costs, and a flood of ever new keys
 * is thousands of them a second.
 *
 * A redirect that is to be followed ends the exchange with its head: nobody reads its body.
 */
import type { Dispatcher } from 'undici';
import type { StopSignal } from '../base/stop.ts';

export interface ReplyHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface WholeReply extends ReplyHead {
  /** As it came over the wire. */
  readonly body: Uint8Array;
}

export interface WholeTerms {
  readonly signal: StopSignal;
  /** Bytes over the wire, at most; `tooLarge` is what a longer body ends with. */
  readonly bodyMax: number;
  readonly tooLarge: () => Error;
  /** Whether a connection is failing at this very moment; see `OriginAgent`. */
  readonly isFailing: () => boolean;
  /** What a reply ends with whose body nobody can tell the end of. */
  readonly misframed: () => Error;
  /** Whether nobody wants the body of such a reply. */
  readonly isEndedByHead: (head: ReplyHead) => boolean;
}

/**
 * Whether the parser has undone what the field says: it takes a body of any other coding for one
 * that ends with the connection, or leaves it coded [RFC9112 §6.1, §7].
 */
export const isPlainlyFramed = (
  transferEncoding: string | readonly string[] | undefined,
): boolean =>
  transferEncoding === undefined || String(transferEncoding).trim().toLowerCase() === 'chunked';

type Controller = Dispatcher.DispatchController;

const NOTHING = new Uint8Array(0);

export class WholeExchange implements Dispatcher.DispatchHandler {
  readonly reply: Promise<WholeReply>;
  readonly #terms: WholeTerms;
  #controller: Controller | undefined;
  #resolve: (reply: WholeReply) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #isOver = false;
  #head: ReplyHead = { status: 0, headers: {} };
  #size = 0;
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;

  constructor(terms: WholeTerms) {
    this.#terms = terms;
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal } = terms;
    if (signal.aborted) this.#leave();
    else signal.addEventListener('abort', this.#leave, { once: true });
  }

  /** For a request that could not even be handed over. */
  fail(error: unknown): void {
    if (this.#end()) this.#reject(error);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#isOver) this.#hangUp();
  }

  onResponseStart(_: Controller, status: number, headers: ReplyHead['headers']): void {
    // Interim responses say nothing that is asked for here.
    if (status < 200 || this.#isOver) return;
    this.#head = { status, headers };
    if (!isPlainlyFramed(headers['transfer-encoding'])) {
      this.#giveUp(this.#terms.misframed());
      return;
    }
    // undici takes the length that a 304 may tell [RFC9110 §8.6] for one that it has to have.
    const isEnded = status !== 304 && this.#terms.isEndedByHead(this.#head);
    if (status === 304 || isEnded) this.#complete();
    if (isEnded) this.#hangUp();
  }

  onResponseData(_: Controller, chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#size += chunk.byteLength;
    if (this.#size > this.#terms.bodyMax) this.#giveUp(this.#terms.tooLarge());
    else if (this.#first === undefined) this.#first = chunk;
    else if (this.#others === undefined) this.#others = [chunk];
    else this.#others.push(chunk);
  }

  onResponseEnd(): void {
    // A body which lasts until the connection closes is whole only when that was in order.
    if (this.#terms.isFailing()) this.fail(this.#terms.misframed());
    else this.#complete();
  }

  onResponseError(_: unknown, error: Error): void {
    this.fail(error);
  }

  readonly #leave = (): void => this.#giveUp(this.#terms.signal.reason);

  /** For a reason of ours: the connection is destroyed. */
  #giveUp(reason: unknown): void {
    this.fail(reason);
    this.#hangUp();
  }

  #hangUp(): void {
    this.#controller?.abort(new Error('given up'));
  }

  #complete(): void {
    if (!this.#end()) return;
    this.#resolve({ ...this.#head, body: this.#body() });
  }

  #body(): Uint8Array {
    if (this.#first === undefined) return NOTHING;
    if (this.#others === undefined) return this.#first;
    return Buffer.concat([this.#first, ...this.#others], this.#size);
  }

  /** Whether it was not over before. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#terms.signal.removeEventListener('abort', this.#leave);
    return true;
  }
}
