/**
 * A request body within a limit, whichever engine delivers it: gathered into one piece, or handed
 * on chunk by chunk. Chunks that nobody has taken are kept up to a window, then the sender is
 * paused: an upload that nobody reads, or that is read slowly, takes no memory.
 *
 * Invariant: settles exactly once, and an unread rejection never becomes an unhandled one.
 */
import { assert } from '../../base/assert.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { RequestStream } from './port.ts';

/** Bytes kept of a body before anybody asks for it, and of one that is streamed. */
export const EARLY_BYTES_MAX = 64 * 1024;

/** An unread request body above this is not worth swallowing: the connection is closed instead. */
export const SWALLOWED_BYTES_MAX = 1024 * 1024;

/** Of a body that comes more slowly than `bodyBytesPerSecondMin`. */
export const uploadTooSlow = {
  code: 'REQUEST_MALFORMED',
  status: 408,
  detail: 'the request body comes too slowly (limits.bodyBytesPerSecondMin)',
  limit: 'bodyBytesPerSecondMin',
} as const;

export interface BodySource {
  pause(): void;
  resume(): void;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: NodeError): void;
}

/** How the body is read: not yet, in one piece, in chunks, or not any more. */
type Reading = 'unread' | 'whole' | 'streamed' | 'abandoned';

export class RequestBody {
  readonly #source: BodySource;
  #chunks: Uint8Array[] = [];
  /** Bytes received, and those of them which are still held. */
  #bytes = 0;
  #held = 0;
  #ended = false;
  #failure: NodeError | undefined;
  #paused = false;
  #limit: number | undefined;
  #reading: Reading = 'unread';
  #whole: Waiter<Uint8Array> | undefined;
  #next: Waiter<IteratorResult<Uint8Array, undefined>> | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get receivedBytes(): number {
    return this.#bytes;
  }

  /** The sender waits for the reader, and not the other way round. */
  get isPaused(): boolean {
    return this.#paused;
  }

  get isStreamed(): boolean {
    return this.#reading === 'streamed';
  }

  /** Takes a chunk which the caller will not touch again. */
  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#failure !== undefined || this.#reading === 'abandoned') return;
    if (this.#limit !== undefined && this.#bytes > this.#limit) {
      this.#fail(bodyTooLarge(this.#limit));
      return;
    }
    if (chunk.length === 0) return;
    if (this.#next !== undefined) {
      this.#hand({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#reading !== 'whole' && this.#held > EARLY_BYTES_MAX) this.#pause();
  }

  end(): void {
    this.#ended = true;
    this.#settleIfEnded();
    if (this.#next !== undefined) this.#hand({ done: true, value: undefined });
  }

  /** The client went, or its framing broke, before the end. */
  abort(): void {
    if (this.#ended) return;
    const message = 'the client left before the end of its request body';
    this.#fail(new NodeError('REQUEST_MALFORMED', message, { blame: 'client' }));
  }

  /**
   * The whole body; rejects with `BODY_TOO_LARGE` or, when the client went, `REQUEST_MALFORMED`.
   */
  whole(maxBytes: number): Promise<Uint8Array> {
    this.#begin('whole', maxBytes);
    const body = new Promise<Uint8Array>((resolve, reject) => {
      this.#whole = { resolve, reject };
      if (this.#failure !== undefined) reject(this.#failure);
    });
    // The handler may have left already; a rejection nobody hears must not end the process.
    body.catch(() => undefined);
    this.#settleIfEnded();
    this.#resume();
    return body;
  }

  /** The body as it comes; `length` is what was announced. */
  streamed(maxBytes: number, length: number | undefined): RequestStream {
    this.#begin('streamed', maxBytes);
    const iterator: AsyncIterator<Uint8Array, undefined> = {
      next: () => this.#nextChunk(),
      return: async () => {
        this.#abandon();
        return { done: true, value: undefined };
      },
    };
    return { length, [Symbol.asyncIterator]: () => iterator };
  }

  /** The answer is complete: what nobody reads is let in and thrown away. */
  release(): void {
    if (this.#reading === 'unread') this.#abandon();
    else this.#resume();
  }

  #begin(reading: 'whole' | 'streamed', maxBytes: number): void {
    assert(this.#reading !== 'streamed', 'the body of a request is streamed once');
    this.#reading = reading;
    this.#limit = maxBytes;
    if (this.#bytes > maxBytes) this.#fail(bodyTooLarge(maxBytes));
  }

  #nextChunk(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const value = this.#chunks.shift();
    if (value !== undefined) {
      this.#held -= value.length;
      return Promise.resolve({ done: false, value });
    }
    if (this.#ended || this.#reading === 'abandoned') {
      return Promise.resolve({ done: true, value: undefined });
    }
    assert(this.#next === undefined, 'chunks are asked for one after the other');
    const next = new Promise<IteratorResult<Uint8Array, undefined>>((resolve, reject) => {
      this.#next = { resolve, reject };
    });
    this.#resume();
    return next;
  }

  #hand(result: IteratorResult<Uint8Array, undefined>): void {
    const waiter = this.#next;
    this.#next = undefined;
    waiter?.resolve(result);
  }

  #abandon(): void {
    this.#reading = 'abandoned';
    this.#drop();
    this.#resume();
  }

  /** Lets a paused sender go on. */
  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#source.resume();
  }

  #pause(): void {
    if (this.#paused || this.#ended) return;
    this.#paused = true;
    this.#source.pause();
  }

  #drop(): void {
    this.#chunks = [];
    this.#held = 0;
  }

  #fail(error: NodeError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#drop();
    this.#whole?.reject(error);
    this.#next?.reject(error);
    this.#next = undefined;
  }

  #settleIfEnded(): void {
    if (!this.#ended || this.#whole === undefined || this.#failure !== undefined) return;
    const [first] = this.#chunks;
    const only = this.#chunks.length === 1 ? first : undefined;
    this.#whole.resolve(only ?? Buffer.concat(this.#chunks));
  }
}

/** A body which is there already, or not at all, as a stream. */
export function streamOf(
  body: () => Promise<Uint8Array>,
  length: number | undefined,
): RequestStream {
  return {
    length,
    async *[Symbol.asyncIterator]() {
      const bytes = await body();
      if (bytes.length > 0) yield bytes;
    },
  };
}

const BODY_LIMITS = ['requestBodyBytesMax', 'uploadBytesMax', 'pageUploadBytesMax'] as const;

/** Named after the limit that `maxBytes` is the value of. */
export function bodyTooLarge(maxBytes: number): NodeError {
  const limit = BODY_LIMITS.find((name) => LIMITS[name] === maxBytes) ?? 'requestBodyBytesMax';
  return new NodeError('BODY_TOO_LARGE', `the request body exceeds ${maxBytes} bytes`, {
    blame: 'client',
    details: { limit, maxBytes },
  });
}
