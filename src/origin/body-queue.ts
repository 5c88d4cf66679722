/**
 * The body of an exchange while it arrives: a bounded queue between the connection, which pushes,
 * and one reader, which pulls. Above the bound the connection is asked to pause; it goes on when
 * the reader has taken enough. What arrived before a failure is still handed over, then it throws.
 *
 * `finished` tells how it ended on the side of the connection, which may be long before the reader
 * is through: that is when the origin is done with the request.
 */
import type { ArrivingBody, FieldLines } from '../cache/pages/ports.ts';

/** Bytes held for a reader above which the connection is paused. */
const HELD_BYTES_MAX = 64 * 1024;

export interface BodySource {
  /** Lets the connection go on after `push` said to pause. */
  resume(): void;
  /** Destroys the connection. */
  abandon(): void;
}

type Ending =
  | { readonly kind: 'open' }
  | { readonly kind: 'complete' }
  | { readonly kind: 'left' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class BodyQueue implements ArrivingBody {
  readonly length: number | undefined;
  /** Rejects when the body broke; `left` when its reader gave up. */
  readonly finished: Promise<'read' | 'left'>;
  #trailers: FieldLines = [];
  readonly #source: BodySource;
  readonly #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  #isPaused = false;
  #ending: Ending = { kind: 'open' };
  #wake: (() => void) | undefined;
  #resolve: (how: 'read' | 'left') => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(length: number | undefined, source: BodySource) {
    this.length = length;
    this.#source = source;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever reads is told by the read itself.
    this.finished.catch(() => undefined);
  }

  get trailers(): FieldLines {
    return this.#trailers;
  }

  /** `false`: pause until `resume` is called. */
  push(chunk: Uint8Array): boolean {
    if (this.#ending.kind !== 'open') return true;
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.byteLength;
    this.#isPaused = this.#heldBytes >= HELD_BYTES_MAX;
    this.#wakeReader();
    return !this.#isPaused;
  }

  complete(trailers: FieldLines): void {
    if (!this.#end({ kind: 'complete' })) return;
    this.#trailers = trailers;
    this.#resolve('read');
  }

  fail(error: unknown): void {
    if (this.#end({ kind: 'failed', error })) this.#reject(error);
  }

  cancel(): void {
    this.#chunks.length = 0;
    this.#heldBytes = 0;
    if (!this.#end({ kind: 'left' })) return;
    this.#source.abandon();
    this.#resolve('left');
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#taken(chunk.byteLength);
          yield chunk;
        } else if (this.#ending.kind === 'open') {
          await this.#more();
        } else {
          if (this.#ending.kind === 'failed') throw this.#ending.error;
          return;
        }
      }
    } finally {
      this.cancel();
    }
  }

  #taken(bytes: number): void {
    this.#heldBytes -= bytes;
    if (!this.#isPaused || this.#heldBytes > HELD_BYTES_MAX / 2) return;
    this.#isPaused = false;
    if (this.#ending.kind === 'open') this.#source.resume();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #end(ending: Ending): boolean {
    if (this.#ending.kind !== 'open') return false;
    this.#ending = ending;
    this.#wakeReader();
    return true;
  }
}
