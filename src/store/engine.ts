/**
 * What the store needs from a key-value engine: ordered trees, reads that see this thread's newest
 * snapshot, and one transaction at a time whose reads see its own earlier writes. Implemented by
 * `lmdb/engine.ts` and `memory/engine.ts`; everything else in this folder is written against this.
 *
 * Keys are compared by kind first (null, booleans, numbers, strings), so the record ids `1` and
 * `"1"` are two keys; a sequence compares element by element.
 */

export type Key = string | number | boolean | null | Uint8Array | readonly Key[];

/** Comes after every key and every element: the open end of a range. */
export const HIGH: Uint8Array = Uint8Array.of(0xff);

export interface RangeOptions {
  /** Inclusive unless `exclusiveStart`; `null` begins at the very first key. */
  readonly start: Key;
  /** Exclusive. */
  readonly end: Key;
  readonly exclusiveStart?: boolean | undefined;
  /** `keys` only: the same keys from the end to the start. */
  readonly isReverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

export interface Tree {
  /**
   * Calls `fn` at once with the value's bytes, or `undefined` when there is none. The bytes are a
   * view on a shared buffer: they must not outlive `fn`.
   */
  withBytes<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T;
  /**
   * As `withBytes`, inside the function that was given another value: what that one sees is not
   * its value while `fn` runs, and is again afterwards.
   */
  withOther<T>(key: Key, fn: (bytes: Uint8Array | undefined) => T): T;
  /** The value's bytes, owned by the caller. */
  get(key: Key): Uint8Array | undefined;
  /** Copies `bytes`; only inside a transaction. */
  put(key: Key, bytes: Uint8Array): void;
  /** Whether there was something to remove; only inside a transaction. */
  remove(key: Key): boolean;
  /** Visits pairs in key order until `visit` returns false; the values are owned by the caller. */
  range(options: RangeOptions, visit: (key: Key, value: Uint8Array) => boolean | undefined): void;
  keys(options: RangeOptions): Key[];
  count(options: RangeOptions): number;
}

export interface Committed<T> {
  readonly result: T;
  /** Resolves when the transaction would survive a power loss. */
  readonly flushed: Promise<void>;
}

export interface Engine {
  /** The tree of that name, made when it is missing. Not inside a transaction. */
  tree(name: string): Tree;
  /**
   * Runs `work` in one transaction and resolves when it is visible to every reader of the process.
   * When `work` throws, nothing of it is kept and the promise rejects with what it threw.
   */
  transact<T>(work: () => T): Promise<Committed<T>>;
  /** Makes the next read see the newest commit of any thread. */
  refresh(): void;
  /** Bytes which the engine occupies. */
  sizeBytes(): number;
  /** Bytes of that which hold nothing any more and are written over before it grows. */
  reusableBytes(): number;
  close(): Promise<void>;
}

/**
 * A bounded way to remove everything under a range: at most `limit` pairs, true when all are gone.
 */
export function clearRange(tree: Tree, start: Key, end: Key, limit: number): boolean {
  const keys = tree.keys({ start, end, limit });
  for (const key of keys) tree.remove(key);
  return keys.length < limit;
}
