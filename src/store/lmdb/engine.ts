/**
 * The engine on lmdb. A transaction runs as an lmdb *child* transaction: when our code throws
 * inside it, all of it is taken back, which lmdb-js does not do for an ordinary asynchronous one
 * (it commits what was written before the throw). Reads inside it see its own writes.
 *
 * `flushed` must be asked for in the same turn as the transaction: later it speaks of a later one.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Committed, Engine, Key, RangeOptions, Tree } from '../engine.ts';
import { type LmdbTree, lmdbKey, ValueBuffer } from './with-bytes.ts';

export interface LmdbEngineOptions {
  readonly path: string;
  /** Named trees that will be opened. */
  readonly treesMax: number;
  /** Address space to reserve; the map grows beyond it when it must. */
  readonly mapBytes?: number | undefined;
}

const MAP_BYTES = 16 * 1024 ** 3;
const READERS_MAX = 256;
const TREES_SPARE = 8;

const META_PAGES = 2;

interface PageCounts {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** What the library gives, of which its types say nothing. */
interface EnvironmentStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly root: PageCounts;
  readonly free: PageCounts;
}

const pagesOf = (counts: PageCounts): number =>
  counts.treeBranchPageCount + counts.treeLeafPageCount + counts.overflowPages;

export class LmdbEngine implements Engine {
  readonly #path: string;
  readonly #root: RootDatabase<Uint8Array, string>;
  readonly #values = new ValueBuffer();
  readonly #trees: LmdbTree[] = [];

  constructor(options: LmdbEngineOptions) {
    this.#path = options.path;
    this.#root = open<Uint8Array, string>({
      path: options.path,
      noSubdir: false,
      encoding: 'binary',
      mapSize: options.mapBytes ?? MAP_BYTES,
      maxDbs: options.treesMax + TREES_SPARE,
      maxReaders: READERS_MAX,
      separateFlushed: true,
    });
    // Slots of readers that were killed would pin old pages for ever.
    this.#root.readerCheck();
  }

  tree(name: string): Tree {
    const tree = this.#root.openDB<Uint8Array, string>(name, { encoding: 'binary' });
    this.#trees.push(tree);
    return new LmdbEngineTree(tree, this.#values);
  }

  async transact<T>(work: () => T): Promise<Committed<T>> {
    let outcome: { readonly result: T } | undefined;
    const committing = this.#root.childTransaction(() => {
      outcome = { result: work() };
    });
    const flushed = this.#flushed();
    try {
      await committing;
    } catch (error) {
      ignoreCommitError(error);
      throw error;
    }
    if (outcome === undefined) throw new Error('lmdb committed a transaction that did not run');
    const { result } = outcome;
    // lmdb keeps the closure longer than the commit takes, and with it whatever it has captured.
    outcome = undefined;
    return { result, flushed };
  }

  /** When what was written so far is on the disk. Apart, so that it keeps nothing of a commit. */
  #flushed(): Promise<void> {
    const flushed = new Promise<void>((resolve, reject) => {
      this.#root.flushed.then(() => resolve(), reject);
    });
    flushed.catch(() => undefined);
    return flushed;
  }

  refresh(): void {
    this.#root.resetReadTxn();
  }

  sizeBytes(): number {
    return statSync(join(this.#path, 'data.mdb')).size;
  }

  /** What neither a tree nor the list of free pages takes: the engine has no count of its own. */
  reusableBytes(): number {
    const whole = this.#root.getStats() as EnvironmentStats;
    const trees = this.#trees.map((tree) => pagesOf(tree.getStats() as PageCounts));
    const used = trees.reduce(
      (sum, pages) => sum + pages,
      pagesOf(whole.root) + pagesOf(whole.free),
    );
    return Math.max(0, whole.lastPageNumber + 1 - META_PAGES - used) * whole.pageSize;
  }

  /**
   * Writes a consistent copy of the environment into an empty folder, while others read and write.
   */
  async copyTo(folder: string): Promise<void> {
    await this.#root.backup(folder, false);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

/** A failed commit carries a second promise that rejects by itself and would end the process. */
function ignoreCommitError(error: unknown): void {
  if (typeof error !== 'object' || error === null || !('commitError' in error)) return;
  Promise.resolve(error.commitError).catch(() => undefined);
}

class LmdbEngineTree implements Tree {
  readonly #tree: LmdbTree;
  readonly #values: ValueBuffer;

  constructor(tree: LmdbTree, values: ValueBuffer) {
    this.#tree = tree;
    this.#values = values;
  }

  withBytes<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    return this.#values.withBytes(this.#tree, key, fn);
  }

  withOther<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    return this.#values.withOther(this.#tree, key, fn);
  }

  get(key: Key): Uint8Array | undefined {
    return this.#values.protect(() => this.#tree.getBinary(lmdbKey(key)));
  }

  put(key: Key, bytes: Uint8Array): void {
    this.#tree.putSync(lmdbKey(key), bytes);
  }

  remove(key: Key): boolean {
    return this.#tree.removeSync(lmdbKey(key));
  }

  range(options: RangeOptions, visit: (key: Key, value: Uint8Array) => boolean | undefined): void {
    const pairs = this.#tree.getRange(rangeOf(options));
    if (!this.#values.isHeld) {
      for (const { key, value } of pairs) if (visit(key, value) === false) return;
      return;
    }
    // A value is handed out: the pairs are read first, in one go, and it is put back.
    const all = this.#values.protect(() => [...pairs]);
    for (const { key, value } of all) if (visit(key, value) === false) return;
  }

  keys(options: RangeOptions): Key[] {
    const range = options.isReverse === true ? reverseOf(options) : rangeOf(options);
    return [...this.#tree.getKeys(range)];
  }

  count(options: RangeOptions): number {
    if (options.limit === undefined) return this.#tree.getKeysCount(rangeOf(options));
    let count = 0;
    for (const _key of this.#tree.getKeys(rangeOf(options))) count += 1;
    return count;
  }
}

const rangeOf = (options: RangeOptions) => ({
  start: lmdbKey(options.start),
  end: lmdbKey(options.end),
  ...(options.exclusiveStart === true && { exclusiveStart: true }),
  ...(options.limit !== undefined && { limit: options.limit }),
  ...(options.offset !== undefined && { offset: options.offset }),
});

/** lmdb goes back from its start to its end: the bounds change places, and so does who is open. */
const reverseOf = (options: RangeOptions) => ({
  ...rangeOf({ ...options, start: options.end, end: options.start }),
  reverse: true,
  exclusiveStart: true,
  inclusiveEnd: options.exclusiveStart !== true,
});
