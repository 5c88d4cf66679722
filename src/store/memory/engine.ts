/**
 * The engine in memory, for tests: the same order of keys, the same transactions (one at a time,
 * taken back when they throw), nothing kept after the process.
 */
import type { Committed, Engine, Key, RangeOptions, Tree } from '../engine.ts';
import { compareKeys } from '../keys.ts';

type Undo = () => void;

export class MemoryEngine implements Engine {
  readonly #trees = new Map<string, MemoryTree>();
  #undo: Undo[] = [];
  #last: Promise<unknown> = Promise.resolve();

  tree(name: string): Tree {
    const known = this.#trees.get(name);
    if (known !== undefined) return known;
    const made = new MemoryTree((undo) => this.#undo.push(undo));
    this.#trees.set(name, made);
    return made;
  }

  transact<T>(work: () => T): Promise<Committed<T>> {
    const done = this.#last.then(() => this.#attempt(work));
    this.#last = done.catch(() => undefined);
    return done;
  }

  #attempt<T>(work: () => T): Committed<T> {
    this.#undo = [];
    try {
      return { result: work(), flushed: Promise.resolve() };
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo();
      throw error;
    }
  }

  refresh(): void {}

  reusableBytes(): number {
    return 0;
  }

  sizeBytes(): number {
    return [...this.#trees.values()].reduce((sum, tree) => sum + tree.bytes, 0);
  }

  async close(): Promise<void> {
    await this.#last;
  }
}

interface Pair {
  readonly key: Key;
  readonly value: Uint8Array;
}

class MemoryTree implements Tree {
  readonly #pairs: Pair[] = [];
  readonly #noteUndo: (undo: Undo) => void;

  constructor(noteUndo: (undo: Undo) => void) {
    this.#noteUndo = noteUndo;
  }

  get bytes(): number {
    return this.#pairs.reduce((sum, pair) => sum + pair.value.length, 0);
  }

  withBytes<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    return fn(this.get(key));
  }

  withOther<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    return fn(this.get(key));
  }

  get(key: Key): Uint8Array | undefined {
    const at = this.#place(key);
    const found = this.#pairs[at];
    return found !== undefined && compareKeys(found.key, key) === 0 ? found.value : undefined;
  }

  put(key: Key, bytes: Uint8Array): void {
    const last = this.get(key);
    this.#noteUndo(() => (last === undefined ? this.#take(key) : this.#set(key, last)));
    this.#set(key, new Uint8Array(bytes));
  }

  remove(key: Key): boolean {
    const last = this.get(key);
    if (last === undefined) return false;
    this.#noteUndo(() => this.#set(key, last));
    this.#take(key);
    return true;
  }

  range(options: RangeOptions, visit: (key: Key, value: Uint8Array) => boolean | undefined): void {
    for (const { key, value } of this.#slice(options)) if (visit(key, value) === false) return;
  }

  keys(options: RangeOptions): Key[] {
    if (options.isReverse !== true) return this.#slice(options).map((pair) => pair.key);
    const { limit, offset = 0, ...bounds } = options;
    const keys = this.#slice(bounds).map((pair) => pair.key);
    return keys.reverse().slice(offset, limit === undefined ? undefined : offset + limit);
  }

  count(options: RangeOptions): number {
    return this.#slice(options).length;
  }

  #slice(options: RangeOptions): Pair[] {
    let from = this.#place(options.start);
    const first = this.#pairs[from];
    const isStart = first !== undefined && compareKeys(first.key, options.start) === 0;
    if (isStart && options.exclusiveStart === true) from += 1;
    from += options.offset ?? 0;
    const end = Math.min(
      this.#place(options.end),
      from + (options.limit ?? Number.MAX_SAFE_INTEGER),
    );
    return this.#pairs.slice(from, end);
  }

  #set(key: Key, value: Uint8Array): void {
    const at = this.#place(key);
    const found = this.#pairs[at];
    const isThere = found !== undefined && compareKeys(found.key, key) === 0;
    this.#pairs.splice(at, isThere ? 1 : 0, { key, value });
  }

  #take(key: Key): void {
    this.#pairs.splice(this.#place(key), 1);
  }

  /** Index of the first pair whose key is not below `key`. */
  #place(key: Key): number {
    let low = 0;
    let high = this.#pairs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const pair = this.#pairs[middle];
      if (pair !== undefined && compareKeys(pair.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
