/**
 * The stream that `super.subscribe()` of a source yields: events go in by `send`, the feed takes
 * them out in order. For sources that are called back (a socket, a queue of somebody else's
 * library) instead of being asked for the next event.
 */
import { NodeError } from '../base/errors.ts';
import type { FeedEvent } from '../origin/feed-events.ts';

/** Events that wait for the feed; beyond them the feed begins anew. */
const WAITING_MAX = 10_000;

const DONE: IteratorResult<FeedEvent> = Object.freeze({ value: undefined, done: true });

export class SourceEvents implements AsyncIterableIterator<FeedEvent> {
  readonly #queue: FeedEvent[] = [];
  #waiting:
    | { resolve: (result: IteratorResult<FeedEvent>) => void; reject: (error: unknown) => void }
    | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  send(event: FeedEvent): void {
    if (this.#closed || this.#failure !== undefined) return;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ value: event, done: false });
    } else if (this.#queue.length < WAITING_MAX) this.#queue.push(event);
    else {
      this.#queue.length = 0;
      const message = `a source sent ${WAITING_MAX} events more than the store could take`;
      this.error(new NodeError('ORIGIN_FAILED', message, { blame: 'origin', retry: 'later' }));
    }
  }

  /** Ends the stream with an error: the feed subscribes again later. */
  error(error: unknown): void {
    this.#failure ??= { error };
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#waiting?.resolve(DONE);
    this.#waiting = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<FeedEvent>> {
    const event = this.#queue.shift();
    if (event !== undefined) return { value: event, done: false };
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#closed) return DONE;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<FeedEvent>> {
    this.close();
    return DONE;
  }
}
