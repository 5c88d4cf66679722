/**
 * A streamed answer on node:http. Chunks are copied, since Node keeps what it cannot send at once.
 * A client that takes nothing for a while is cut off: its buffer is our memory.
 */
import type { Writable } from 'node:stream';
import { AssertionFailure } from '../../../base/assert.ts';
import type { BodyWriter } from '../port.ts';

export class NodeBodyWriter implements BodyWriter {
  readonly #response: Writable;
  readonly #length: number | undefined;
  readonly #watch: (stalls: boolean) => void;
  #written = 0;
  #ended = false;
  #aborted = false;
  #room = true;
  #waiters: (() => void)[] = [];

  /** `watch`: told whether the client takes nothing just now. */
  constructor(response: Writable, length: number | undefined, watch: (stalls: boolean) => void) {
    this.#response = response;
    this.#length = length;
    this.#watch = watch;
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
    if (!this.#ended) this.#watch(false);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #watchStall(): void {
    this.#watch(true);
  }
}
