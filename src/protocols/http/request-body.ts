/**
 * Gathers a request body within a limit, whichever engine delivers it. Chunks that arrive before
 * anybody asks are kept up to `EARLY_BYTES_MAX`, then the sender is paused: an upload nobody reads
 * takes no memory.
 *
 * Invariant: settles exactly once, and an unread rejection never becomes an unhandled one.
 */
import { NodeError } from '../../base/errors.ts';

export const EARLY_BYTES_MAX = 64 * 1024;

export interface BodySource {
  pause(): void;
  resume(): void;
}

export class RequestBody {
  readonly #source: BodySource;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #failure: NodeError | undefined;
  #paused = false;
  #limit: number | undefined;
  #settle: { resolve(body: Uint8Array): void; reject(error: NodeError): void } | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get receivedBytes(): number {
    return this.#bytes;
  }

  /** Takes a chunk which the caller will not touch again. */
  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#failure !== undefined) return;
    if (this.#limit !== undefined && this.#bytes > this.#limit) {
      this.#fail(bodyTooLarge(this.#limit));
      return;
    }
    if (chunk.length > 0) this.#chunks.push(chunk);
    if (this.#limit === undefined && this.#bytes > EARLY_BYTES_MAX) this.#pause();
  }

  end(): void {
    this.#ended = true;
    this.#settleIfEnded();
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
    this.#limit = maxBytes;
    if (this.#bytes > maxBytes) this.#fail(bodyTooLarge(maxBytes));
    const body = new Promise<Uint8Array>((resolve, reject) => {
      this.#settle = { resolve, reject };
      if (this.#failure !== undefined) reject(this.#failure);
    });
    // The handler may have left already; a rejection nobody hears must not end the process.
    body.catch(() => undefined);
    this.#settleIfEnded();
    this.release();
    return body;
  }

  /** Lets a paused sender go on, so that the connection can be used again. */
  release(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#source.resume();
  }

  #pause(): void {
    if (this.#paused || this.#ended) return;
    this.#paused = true;
    this.#source.pause();
  }

  #fail(error: NodeError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#chunks.length = 0;
    this.#settle?.reject(error);
  }

  #settleIfEnded(): void {
    if (!this.#ended || this.#settle === undefined || this.#failure !== undefined) return;
    const [first] = this.#chunks;
    const only = this.#chunks.length === 1 ? first : undefined;
    this.#settle.resolve(only ?? Buffer.concat(this.#chunks));
  }
}

export function bodyTooLarge(maxBytes: number): NodeError {
  return new NodeError('BODY_TOO_LARGE', `the request body exceeds ${maxBytes} bytes`, {
    blame: 'client',
    details: { limit: 'requestBodyBytesMax', maxBytes },
  });
}
