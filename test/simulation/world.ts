/**
 * Virtual time: events in order of their instants, of one instant in the order in which they were
 * asked for. Nothing waits for real; promises that were settled by an event run before the next.
 */
import { type DurationMs, type EpochMs, epochMs } from '../../src/base/brands.ts';
import type { Cancel, Clock } from '../../src/base/clock.ts';

interface Happening {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class World {
  /** Milliseconds since the beginning. */
  now = 0;
  /** Wall time at the beginning, where no clock is wrong. */
  readonly epoch = 1_800_000_000_000;
  #order = 0;
  readonly #heap: Happening[] = [];
  events = 0;

  after(delay: number, run: () => void): Cancel {
    this.#order += 1;
    const happening: Happening = { at: this.now + Math.max(0, delay), order: this.#order, run };
    this.#push(happening);
    return () => {
      happening.run = undefined;
    };
  }

  /** Runs what happens up to an instant. */
  runUntil(instant: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settled = Promise.resolve();
      // Asked for by a promise, it comes up when none is left that could go on.
      const whenCalm = (): void => process.nextTick(step);
      const step = (): void => {
        try {
          const run = this.#next(instant);
          if (run === undefined) {
            this.now = Math.max(this.now, instant);
            resolve();
            return;
          }
          run();
          void settled.then(whenCalm);
        } catch (error) {
          reject(error);
        }
      };
      step();
    });
  }

  /** What happens next, no later than an instant: it is taken off, and the time is set. */
  #next(instant: number): (() => void) | undefined {
    for (let next = this.#heap[0]; next !== undefined && next.at <= instant; next = this.#heap[0]) {
      this.#pop();
      if (next.run === undefined) continue;
      this.now = next.at;
      this.events += 1;
      return next.run;
    }
    return undefined;
  }

  #isBefore(one: Happening | undefined, other: Happening | undefined): boolean {
    if (one === undefined || other === undefined) return false;
    return one.at < other.at || (one.at === other.at && one.order < other.order);
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    heap.push(happening);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(heap[at], heap[parent])) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const least = this.#isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
      if (!this.#isBefore(heap[least], heap[at])) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(one: number, other: number): void {
    const [first, second] = [this.#heap[one], this.#heap[other]];
    if (first === undefined || second === undefined) return;
    this.#heap[one] = second;
    this.#heap[other] = first;
  }
}

/** The clock of one run of a node: its wall time may be wrong, and step; its timers end with it. */
export class RunClock implements Clock {
  readonly #world: World;
  readonly #startedAt: number;
  /** How far the wall clock is ahead. */
  skew: number;
  isOver = false;

  constructor(world: World, skew: number) {
    this.#world = world;
    this.#startedAt = world.now;
    this.skew = skew;
  }

  now(): EpochMs {
    return epochMs(this.#world.epoch + this.#world.now + this.skew);
  }

  monotonic(): number {
    return this.#world.now - this.#startedAt;
  }

  after(delay: DurationMs, fn: () => void): Cancel {
    return this.#world.after(delay, () => {
      if (!this.isOver) fn();
    });
  }
}
