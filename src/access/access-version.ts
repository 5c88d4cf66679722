/**
 * A counter of the facts that grants are made of: users, roles, keys, tokens. Whoever changes one
 * of them adds one; a long-lived connection compares the number with the one it was judged by, and
 * asks `authenticate` anew when they differ. So a revocation reaches what is open already, and
 * nothing that is open costs anything while nobody is changed.
 */

/** Shared by the threads of a node, so that a change on one is seen by all. */
export class AccessVersion {
  readonly #cell: Int32Array;

  /** Threads of one node give the same memory. */
  constructor(memory: SharedArrayBuffer = AccessVersion.newMemory()) {
    this.#cell = new Int32Array(memory);
  }

  static newMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  }

  get memory(): SharedArrayBuffer {
    return this.#cell.buffer as SharedArrayBuffer;
  }

  get current(): number {
    return Atomics.load(this.#cell, 0);
  }

  /** To be called after the change can be seen by `authenticate`. */
  advance(): void {
    Atomics.add(this.#cell, 0, 1);
  }
}
