/**
 * What all threads of a node know together about who is at the door and how the node is: open
 * connections by address, subscriptions by user, rates, the level of pressure, whether descriptors
 * run short, and a beat of each thread for the watchdog. One block of shared memory, made at start
 * and handed to every thread; its size does not depend on the load.
 */
import { randomInt } from 'node:crypto';
import type { PressureLevel } from '../../base/pressure.ts';
import { RATE_BYTES, RateLimiter, type RateLimits } from '../../base/rate-limiter.ts';
import { COUNT_BYTES, SharedCounts } from '../../base/shared-counts.ts';

/** Threads that have words of their own: the store thread is 0, workers count from 1. */
export const GUARDED_THREADS_MAX = 128;

/** The rates there are, in the order of their memory. */
export const RATES = ['connections', 'address', 'credential', 'principal'] as const;
export type RateName = (typeof RATES)[number];

const LEVEL = 0;
const DESCRIPTORS_TIGHT = 1;
const SEED = 2;
const CONNECTIONS = 3;
const CONNECTIONS_MAX = 4;
const HEAPS = 16;
const BEATS = HEAPS + GUARDED_THREADS_MAX;
const THREAD_IDS = BEATS + GUARDED_THREADS_MAX;
const NODE_THREADS = THREAD_IDS + GUARDED_THREADS_MAX;
const WORDS = NODE_THREADS + GUARDED_THREADS_MAX;
const WORDS_BYTES = WORDS * Int32Array.BYTES_PER_ELEMENT;
const COUNTS_AT = Math.ceil(WORDS_BYTES / 8) * 8;
const SUBSCRIPTIONS_AT = COUNTS_AT + COUNT_BYTES;
const RATES_AT = SUBSCRIPTIONS_AT + COUNT_BYTES;

export class GuardMemory {
  readonly buffer: SharedArrayBuffer;
  /** Connections and what stands for them, by address. */
  readonly addresses: SharedCounts;
  /** Subscriptions over every protocol, by the name of who holds them. */
  readonly subscriptions: SharedCounts;
  readonly #words: Int32Array;

  /** Without `buffer`: new memory. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(RATES_AT + RATES.length * RATE_BYTES);
    this.#words = new Int32Array(this.buffer, 0, WORDS);
    if (buffer === undefined) {
      this.#words[SEED] = randomInt(2 ** 31);
      this.#words[CONNECTIONS_MAX] = 2 ** 31 - 1;
    }
    this.addresses = new SharedCounts(this.buffer, COUNTS_AT, this.#seed);
    this.subscriptions = new SharedCounts(this.buffer, SUBSCRIPTIONS_AT, this.#seed);
  }

  /** Read by every request: one load. */
  get level(): PressureLevel {
    return Atomics.load(this.#words, LEVEL) as PressureLevel;
  }
  set level(level: PressureLevel) {
    Atomics.store(this.#words, LEVEL, level);
  }

  get descriptorsTight(): boolean {
    return Atomics.load(this.#words, DESCRIPTORS_TIGHT) === 1;
  }
  set descriptorsTight(tight: boolean) {
    Atomics.store(this.#words, DESCRIPTORS_TIGHT, tight ? 1 : 0);
  }

  /** Open connections of the app ports of all threads. */
  get connections(): number {
    return Atomics.load(this.#words, CONNECTIONS);
  }
  /** As many as descriptors allow; set before anybody is served. */
  get connectionsMax(): number {
    return Atomics.load(this.#words, CONNECTIONS_MAX);
  }
  set connectionsMax(max: number) {
    Atomics.store(this.#words, CONNECTIONS_MAX, max);
  }
  changeConnections(by: 1 | -1): void {
    Atomics.add(this.#words, CONNECTIONS, by);
  }

  /** Share of its heap that a thread uses, in thousandths. */
  setHeap(thread: number, thousandths: number): void {
    Atomics.store(this.#words, HEAPS + thread, thousandths);
  }
  /** The fullest heap of all threads, in thousandths. */
  get fullestHeap(): number {
    let fullest = 0;
    for (let thread = 0; thread < GUARDED_THREADS_MAX; thread += 1) {
      fullest = Math.max(fullest, Atomics.load(this.#words, HEAPS + thread));
    }
    return fullest;
  }

  /** The thread's event loop turned. */
  beat(thread: number): void {
    Atomics.add(this.#words, BEATS + thread, 1);
  }
  beatsOf(thread: number): number {
    return Atomics.load(this.#words, BEATS + thread);
  }
  /** The kernel's id of a thread; 0 while it is not watched. */
  threadId(thread: number): number {
    return Atomics.load(this.#words, THREAD_IDS + thread);
  }
  /** `id`: the kernel's; `nodeThread`: Node's own number of it. */
  setThreadId(thread: number, id: number, nodeThread: number): void {
    Atomics.store(this.#words, NODE_THREADS + thread, nodeThread);
    Atomics.store(this.#words, THREAD_IDS + thread, id);
  }
  nodeThread(thread: number): number {
    return Atomics.load(this.#words, NODE_THREADS + thread);
  }

  rate(name: RateName, limits: RateLimits): RateLimiter {
    const offset = RATES_AT + RATES.indexOf(name) * RATE_BYTES;
    return new RateLimiter(this.buffer, offset, limits, this.#seed ^ RATES.indexOf(name));
  }

  get #seed(): number {
    return this.#words[SEED] ?? 0;
  }
}
