/**
 * A page's body on its way from the origin to everybody who waits for it, and to the store. The
 * origin is read once; every reader begins at the start and goes on at its own pace.
 *
 *   small ──grows──► spilled ──complete──► whole (a body in a file)
 *     │                 └── beyond keepMax, or the disk fails ──► passing
 *     └── told to be larger than keepMax, or not to be kept ────► passing
 *
 * A small body is kept in memory. A spilled one goes to a file at the pace of the disk; its last
 * bytes stay in memory as well, so that readers who keep up read no file, and so that a disk that
 * fails takes nothing from anybody. A passing body is read no faster than its slowest reader.
 *
 * Invariants: memory is `fileMin` and a window at most; a body that broke off is never `whole`, and
 * each of its readers is told by an exception; when nobody reads what is not kept, the origin is
 * given up; every file is finished or discarded.
 */
import { must } from '../../base/assert.ts';
import { asNodeError, type NodeError } from '../../base/errors.ts';
import type { StoredBody } from '../entry.ts';
import type { ArrivingBody, PageBodies, PageBodyDraft, PageBodyReader } from './ports.ts';

/** What one reader may be ahead of the slowest, once the body is not kept. */
const WINDOW_BYTES = 256 * 1024;

export interface Keeping {
  /** Bodies up to so many bytes are kept; 0: none. */
  readonly max: number;
  readonly bodies: PageBodies;
  /** Told why a body that should have been kept was not. */
  readonly onLost: (error: unknown) => void;
}

interface Reader {
  offset: number;
}

interface Spilled {
  readonly draft: PageBodyDraft;
  readonly reader: PageBodyReader;
  /** The bytes given to the file when it last had room. */
  given: number;
}

export class SharedBody {
  /** The whole body when it was kept to its end; `undefined` when it was not, or broke off. */
  readonly whole: Promise<Uint8Array | StoredBody | undefined>;
  readonly #source: ArrivingBody;
  readonly #keeping: Keeping;
  readonly #chunks: Uint8Array[] = [];
  readonly #readers = new Set<Reader>();
  /** Where the bytes in memory begin and end. */
  #first = 0;
  #end = 0;
  #isKept: boolean;
  #spilled: Spilled | undefined;
  /** The file takes no more readers: it is being finished, or has gone. */
  #isSettled = false;
  #isOver = false;
  #error: NodeError | undefined;
  #waiting: (() => void)[] = [];

  constructor(source: ArrivingBody, keeping: Keeping) {
    this.#source = source;
    this.#keeping = keeping;
    this.#isKept = keeping.max > 0 && (source.length ?? 0) <= keeping.max;
    this.whole = this.#take();
  }

  /** Whether somebody who comes now still gets the body from its beginning. */
  get isJoinable(): boolean {
    if (this.#error !== undefined) return false;
    return this.#first === 0 || (this.#spilled !== undefined && !this.#isSettled);
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

  /** Nobody will read it. */
  drop(): void {
    this.#isKept = false;
    if (!this.#isOver) this.#source.cancel();
  }

  async #next(reader: Reader): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = await this.#at(reader);
      if (chunk !== undefined) {
        reader.offset += chunk.length;
        this.#release();
        return { done: false, value: chunk };
      }
      if (this.#error !== undefined || this.#isOver) {
        this.#leave(reader);
        if (this.#error !== undefined) throw this.#error;
        return { done: true, value: undefined };
      }
      await this.#change();
    }
  }

  async #at(reader: Reader): Promise<Uint8Array | undefined> {
    if (reader.offset < this.#first) return this.#fromFile(reader);
    let at = this.#first;
    for (const chunk of this.#chunks) {
      if (reader.offset < at + chunk.length) return chunk.subarray(reader.offset - at);
      at += chunk.length;
    }
    return undefined;
  }

  /** What is not in memory any more, and lies in the file to its last byte. */
  async #fromFile(reader: Reader): Promise<Uint8Array> {
    try {
      const bytes = this.#first - reader.offset;
      const chunk = await this.#spilled?.reader.read(reader.offset, bytes);
      if (chunk !== undefined && chunk.length > 0) return chunk;
    } catch (error) {
      this.#leave(reader);
      throw error;
    }
    this.#leave(reader);
    throw new Error('the file of an arriving body ended early');
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    this.#release();
    if (this.#readers.size > 0) return;
    if (!this.#isKept && !this.#isOver) this.#source.cancel();
    this.#closeFile();
  }

  async #take(): Promise<Uint8Array | StoredBody | undefined> {
    try {
      for await (const chunk of this.#source) {
        this.#chunks.push(chunk);
        this.#end += chunk.length;
        if (this.#isKept) await this.#keep(chunk);
        this.#release();
        this.#wake();
        while (!this.#isKept && this.#end - this.#slowest() > WINDOW_BYTES) await this.#change();
      }
    } catch (error) {
      this.#error = asNodeError(error);
    }
    this.#isOver = true;
    const isWhole = this.#error === undefined && this.#isKept;
    this.#wake();
    if (this.#spilled !== undefined) return this.#settle(this.#spilled, isWhole);
    if (!isWhole) return undefined;
    const [only] = this.#chunks;
    return only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
  }

  async #keep(chunk: Uint8Array): Promise<void> {
    const { bodies, max, onLost } = this.#keeping;
    if (this.#end > max) {
      this.#isKept = false;
      return;
    }
    if (this.#spilled === undefined && this.#end <= bodies.fileMin) return;
    try {
      if (this.#spilled === undefined) this.#spill(bodies.create());
      else this.#spilled.draft.write(chunk);
      this.#wake();
      const spilled = must(this.#spilled, 'a spilled body has its file');
      await spilled.draft.drained();
      spilled.given = this.#end;
    } catch (error) {
      this.#isKept = false;
      onLost(error);
    }
  }

  #spill(draft: PageBodyDraft): void {
    this.#spilled = { draft, reader: draft.read(), given: 0 };
    for (const chunk of this.#chunks) draft.write(chunk);
  }

  async #settle({ draft }: Spilled, isWhole: boolean): Promise<StoredBody | undefined> {
    this.#isSettled = true;
    if (!isWhole) {
      // Who is behind reads on in the file: it is gone by name only.
      draft.discard();
      this.#closeFile();
      return undefined;
    }
    try {
      return await draft.finish();
    } catch (error) {
      this.#keeping.onLost(error);
      return undefined;
    } finally {
      this.#closeFile();
    }
  }

  #closeFile(): void {
    if (this.#isSettled && this.#readers.size === 0) this.#spilled?.reader.close();
  }

  /** Where the slowest reader stands; the end when there is none. */
  #slowest(): number {
    let slowest = this.#end;
    for (const { offset } of this.#readers) slowest = Math.min(slowest, offset);
    return slowest;
  }

  /** Lets go of what is in the file, or of what everybody has read when it is not kept. */
  #release(): void {
    const until = this.#isKept ? this.#safelyWritten() : this.#slowest();
    for (;;) {
      const [chunk] = this.#chunks;
      if (chunk === undefined || this.#first + chunk.length > until) break;
      this.#first += chunk.length;
      this.#chunks.shift();
    }
    if (!this.#isKept) this.#wake();
  }

  /** A draft that has room lacks less than its window in the file. */
  #safelyWritten(): number {
    if (this.#spilled === undefined) return 0;
    return this.#spilled.given - this.#keeping.bodies.windowBytes;
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
