/**
 * Rates by key (an address, a principal) in shared memory, for all threads of a node: a token
 * bucket each, kept as the one instant at which it would be full again (the generic cell rate
 * algorithm). Memory is fixed, whatever the number of keys: a key has two places, chosen by a hash
 * that is seeded at start, and is refused only when both are over. So two keys that meet in one
 * place do not limit each other, and a flood of new keys cannot push anybody out.
 *
 * Two threads that take at the same instant may both be admitted by one token: a rate is a matter
 * of many, and a lock would cost every request.
 */

export interface RateLimits {
  /** Requests a second in the long run. 0: no limit. */
  readonly perSecond: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** Places of one limiter: two for each key, of eight bytes. */
export const RATE_SLOTS = 32_768;
export const RATE_BYTES = RATE_SLOTS * Float64Array.BYTES_PER_ELEMENT;

const MASK = RATE_SLOTS - 1;

export class RateLimiter {
  readonly #fullAt: Float64Array;
  readonly #everyMs: number;
  readonly #windowMs: number;
  readonly #seed: number;

  constructor(memory: SharedArrayBuffer, offset: number, limits: RateLimits, seed: number) {
    this.#fullAt = new Float64Array(memory, offset, RATE_SLOTS);
    this.#everyMs = limits.perSecond === 0 ? 0 : 1000 / limits.perSecond;
    this.#windowMs = this.#everyMs * Math.max(1, limits.burst);
    this.#seed = seed;
  }

  /** False when there is no limit to ask about. */
  get isOn(): boolean {
    return this.#everyMs > 0;
  }

  /** Takes a token of `key`: 0 when there was one, else the milliseconds until there is. */
  take(key: string, nowMs: number): number {
    if (this.#everyMs === 0) return 0;
    const hash = hashOf(key, this.#seed);
    const first = hash & MASK;
    const second = (hash >>> 16) & MASK;
    const one = this.#owed(first, nowMs);
    const other = this.#owed(second, nowMs);
    const wait = Math.min(one, other) + this.#everyMs - this.#windowMs;
    // A hair: sums of fractions must not refuse the last token of a burst.
    if (wait > 1e-6) return Math.ceil(wait);
    this.#fullAt[first] = nowMs + one + this.#everyMs;
    this.#fullAt[second] = nowMs + other + this.#everyMs;
    return 0;
  }

  /** Milliseconds until the bucket is full; a clock that went back owes at most one window. */
  #owed(slot: number, nowMs: number): number {
    const left = (this.#fullAt[slot] ?? 0) - nowMs;
    return left <= 0 ? 0 : Math.min(left, this.#windowMs);
  }
}

/** FNV-1a with a seed and a last mixing: short keys that differ little must part. */
export function hashOf(key: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193) >>> 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}
