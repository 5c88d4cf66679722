/**
 * A streamed answer on node:http. Chunks are copied, since Node keeps what it cannot send at once.
 * A client that takes nothing for a while is cut off: its buffer is our memory.
 */
import type { ServerResponse } from 'node:http';
import { AssertionFailure } from '../../../base/assert.ts';
import type { BodyWriter } from '../port.ts';

export class NodeBodyWriter implements BodyWriter {
  readonly #response: ServerResponse;
  readonly #length: number | undefined;
  readonly #stallMs: number;
  #written = 0;
  #ended = false;
  #aborted = false;
  #room = true;
  #waiters: (() => void)[] = [];

  constructor(response: ServerResponse, length: number | undefined, stallMs: number) {
    this.#response = response;
    this.#length = length;
    this.#stallMs = stallMs;
    response.on('drain', () => this.#drain());
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get bufferedBytes(): number {
    return this.#aborted ? 0 : this.#response.writableLength;
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.#aborted || this.#ended) return false;
    const bytes = Buffer.from(chunk as Uint8Array);
    this.#written += bytes.length;
    if (this.#length !== undefined && this.#written > this.#length) {
      throw new AssertionFailure(`a body of ${this.#length} bytes must not exceed its length`);
    }
    if (bytes.length === 0) return this.#room;
    this.#room = this.#response.write(bytes);
    if (!this.#room) this.#watchStall();
    return this.#room;
  }

  drained(): Promise<void> {
    if (this.#room || this.#aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  end(chunk?: Uint8Array | string): void {
    if (this.#aborted || this.#ended) return;
    if (chunk !== undefined) this.write(chunk);
    this.#ended = true;
    // Too short a body cannot be ended well: the client must see that it is incomplete.
    if (this.#length !== undefined && this.#written < this.#length) this.#response.destroy();
    else this.#response.end();
    if (!this.#room) this.#watchStall();
  }

  destroy(): void {
    this.#response.destroy();
    this.abort();
  }

  /** The client has gone. */
  abort(): void {
    this.#aborted = true;
    this.#drain();
  }

  #drain(): void {
    this.#room = true;
    if (!this.#ended) this.#response.socket?.setTimeout(0);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #watchStall(): void {
    this.#response.socket?.setTimeout(this.#stallMs);
  }
}
