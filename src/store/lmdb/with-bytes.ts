/**
 * The only place which reads lmdb's shared value buffer. `getBinaryFast` copies a value into one
 * 16 MiB buffer and patches that buffer's `length`, while its `byteLength` stays: handed out as it
 * is, it would show whatever other records were read before. Here it is cut to the value, given to
 * a function that returns at once, and guarded while it is out: any other read puts it back.
 */
import type { Database } from 'lmdb';
import type { Key } from '../engine.ts';

// The library's own key type leaves out null and readonly sequences, both of which it encodes.
export type LmdbKey = string;
export type LmdbTree = Database<Uint8Array, LmdbKey>;
export const lmdbKey = (key: Key): LmdbKey => key as unknown as LmdbKey;

export class ValueBuffer {
  /** The value that is handed out at present. */
  #held: Uint8Array | undefined;

  withBytes<T>(tree: LmdbTree, key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    if (this.#held !== undefined) return fn(this.protect(() => tree.getBinary(lmdbKey(key))));
    const raw = tree.getBinaryFast(lmdbKey(key));
    if (raw === undefined) return fn(undefined);
    const cut = new Uint8Array(raw.buffer, raw.byteOffset, raw.length);
    this.#held = cut;
    try {
      return fn(cut);
    } finally {
      this.#held = undefined;
    }
  }

  /** As `withBytes`, within another one and without a copy: that value is put back after it. */
  withOther<T>(tree: LmdbTree, key: Key, fn: (bytes: Uint8Array | undefined) => T): T {
    const held = this.#held;
    if (held === undefined) return this.withBytes(tree, key, fn);
    const saved = held.slice();
    this.#held = undefined;
    try {
      return this.withBytes(tree, key, fn);
    } finally {
      held.set(saved);
      this.#held = held;
    }
  }

  /** Runs another read, which uses the same buffer, and restores what is handed out. */
  protect<T>(read: () => T): T {
    const held = this.#held;
    if (held === undefined) return read();
    const saved = held.slice();
    try {
      return read();
    } finally {
      held.set(saved);
    }
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }
}
