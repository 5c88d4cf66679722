/**
 * How many things each key holds (connections of an address), counted in shared memory over all
 * threads of a node. Fixed memory: a key counts in two places chosen by a seeded hash, and holds
 * the lesser of the two, so that a neighbour in one place does not count against it.
 *
 * Invariant: every `enter` is followed by one `leave` of the same key.
 */
import { hashOf } from './rate-limiter.ts';

export const COUNT_SLOTS = 65_536;
export const COUNT_BYTES = COUNT_SLOTS * Int32Array.BYTES_PER_ELEMENT;

const MASK = COUNT_SLOTS - 1;

export class SharedCounts {
  readonly #slots: Int32Array;
  readonly #seed: number;

  constructor(memory: SharedArrayBuffer, offset: number, seed: number) {
    this.#slots = new Int32Array(memory, offset, COUNT_SLOTS);
    this.#seed = seed;
  }

  /** Counts one more, and says how many that makes. */
  enter(key: string): number {
    const [first, second] = this.#places(key);
    const one = Atomics.add(this.#slots, first, 1) + 1;
    return Math.min(one, Atomics.add(this.#slots, second, 1) + 1);
  }

  /** One more or one less. */
  change(key: string, by: 1 | -1): void {
    if (by > 0) this.enter(key);
    else this.leave(key);
  }

  leave(key: string): void {
    const [first, second] = this.#places(key);
    Atomics.sub(this.#slots, first, 1);
    Atomics.sub(this.#slots, second, 1);
  }

  of(key: string): number {
    const [first, second] = this.#places(key);
    return Math.min(Atomics.load(this.#slots, first), Atomics.load(this.#slots, second));
  }

  /** Two places that differ, or one count would be taken for two. */
  #places(key: string): readonly [number, number] {
    const hash = hashOf(key, this.#seed);
    const first = hash & MASK;
    const second = (hash >>> 16) & MASK;
    return [first, second === first ? (first + 1) & MASK : second];
  }
}
