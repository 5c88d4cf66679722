/**
 * Messages on their way between a socket and application code: what `super.connect()` yields, with
 * `send` and `close`, and what `connect` is handed as `incoming`, to be read by `for await` or by
 * `on('data', …)`. What nobody reads is held up to a bound; then the stream ends.
 */

type Listener = (message?: unknown) => void;
type Event = 'data' | 'close';

const WAITING_MAX = 1_024;
const DONE: IteratorResult<unknown> = Object.freeze({ value: undefined, done: true });

export class MessageStream implements AsyncIterableIterator<unknown> {
  readonly #queue: unknown[] = [];
  readonly #listeners: { readonly event: Event; readonly fn: Listener }[] = [];
  #waiting: ((result: IteratorResult<unknown>) => void) | undefined;
  #closed = false;
  /** It was ended since too much waited. */
  overrun = false;

  get isClosed(): boolean {
    return this.#closed;
  }

  /** False: nothing is taken any more. */
  send(message: unknown): boolean {
    if (this.#closed) return false;
    const readers = this.#listeners.filter(({ event }) => event === 'data');
    if (readers.length > 0) {
      for (const { fn } of readers) fn(message);
    } else if (this.#waiting !== undefined) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting({ value: message, done: false });
    } else if (this.#queue.length < WAITING_MAX) this.#queue.push(message);
    else {
      this.overrun = true;
      this.close();
    }
    return !this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting?.(DONE);
    this.#waiting = undefined;
    for (const { event, fn } of this.#listeners) if (event === 'close') fn();
  }

  /** `data`: each message as it comes, in place of reading; `close`: the other side has gone. */
  on(event: Event, fn: Listener): this {
    this.#listeners.push({ event, fn });
    if (event === 'data') for (const message of this.#queue.splice(0)) fn(message);
    if (event === 'close' && this.#closed) fn();
    return this;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#queue.length > 0) return { value: this.#queue.shift(), done: false };
    if (this.#closed) return DONE;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.close();
    return DONE;
  }
}
