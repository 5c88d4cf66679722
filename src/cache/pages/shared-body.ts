/**
 * A page's body on its way from the origin to everybody who waits for it, and to the store. The
 * origin is read once. While the body is kept (to be stored) every reader begins at its start and
 * goes on at its own pace; a body that is not kept, or grew beyond `keepMax`, is read no faster
 * than its slowest reader, and what all have read is let go.
 *
 * Invariants: memory is at most `keepMax` while kept, a window after that; a body that broke off is
 * never `complete`, and each of its readers is told by an exception; when nobody reads what is not
 * kept, the origin is given up.
 */
import type { NodeError } from '../../base/errors.ts';
import { asNodeError } from '../../base/errors.ts';
import type { ArrivingBody } from './ports.ts';

/** What one reader may be ahead of the slowest, once the body is not kept. */
const WINDOW_BYTES = 256 * 1024;

interface Reader {
  offset: number;
}

export class SharedBody {
  readonly length: number | undefined;
  /** The whole body when it was kept to its end; `undefined` when it was not, or broke off. */
  readonly whole: Promise<Uint8Array | undefined>;
  readonly #source: ArrivingBody;
  readonly #keepMax: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #readers = new Set<Reader>();
  #first = 0;
  #end = 0;
  #isKept: boolean;
  #isOver = false;
  #error: NodeError | undefined;
  #waiting: (() => void)[] = [];

  constructor(source: ArrivingBody, keepMax: number) {
    this.#source = source;
    this.#keepMax = keepMax;
    this.length = source.length;
    this.#isKept = keepMax > 0 && (source.length ?? 0) <= keepMax;
    this.whole = this.#pump();
  }

  /** Whether somebody who comes now still gets the body from its beginning. */
  get isJoinable(): boolean {
    return this.#first === 0 && this.#error === undefined;
  }

  /** Every byte has come. */
  get isComplete(): boolean {
    return this.#isOver && this.#error === undefined;
  }

  /**
   * Reads from the beginning; throws what the origin failed with. Only while it is joinable. Who
   * does not read to the end says so with `return`.
   */
  read(): AsyncIterableIterator<Uint8Array> {
    const reader: Reader = { offset: 0 };
    this.#readers.add(reader);
    const iterator: AsyncIterableIterator<Uint8Array> = {
      next: () => this.#next(reader),
      return: async () => {
        this.#leave(reader);
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async #next(reader: Reader): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = this.#at(reader.offset);
      if (chunk !== undefined) {
        reader.offset += chunk.length;
        this.#release();
        return { done: false, value: chunk };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) {
        this.#readers.delete(reader);
        return { done: true, value: undefined };
      }
      await this.#change();
    }
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    this.#release();
    if (this.#readers.size === 0 && !this.#isKept && !this.#isOver) this.#source.cancel();
  }

  /** Nobody will read it. */
  drop(): void {
    this.#isKept = false;
    if (!this.#isOver) this.#source.cancel();
  }

  async #pump(): Promise<Uint8Array | undefined> {
    try {
      for await (const chunk of this.#source) {
        this.#chunks.push(chunk);
        this.#end += chunk.length;
        if (this.#isKept && this.#end > this.#keepMax) this.#isKept = false;
        this.#release();
        this.#wake();
        while (!this.#isKept && this.#end - this.#slowest() > WINDOW_BYTES) await this.#change();
      }
    } catch (error) {
      this.#error = asNodeError(error);
    }
    this.#isOver = true;
    this.#wake();
    if (this.#error !== undefined || !this.#isKept) return undefined;
    const [only] = this.#chunks;
    return only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
  }

  /** Where the slowest reader stands; the end when there is none. */
  #slowest(): number {
    let slowest = this.#end;
    for (const { offset } of this.#readers) slowest = Math.min(slowest, offset);
    return slowest;
  }

  #at(offset: number): Uint8Array | undefined {
    let at = this.#first;
    for (const chunk of this.#chunks) {
      if (offset < at + chunk.length) return chunk.subarray(offset - at);
      at += chunk.length;
    }
    return undefined;
  }

  /** Lets go of what everybody has read, unless it is kept. */
  #release(): void {
    if (this.#isKept) return;
    const slowest = this.#slowest();
    for (;;) {
      const [chunk] = this.#chunks;
      if (chunk === undefined || this.#first + chunk.length > slowest) break;
      this.#first += chunk.length;
      this.#chunks.shift();
    }
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
