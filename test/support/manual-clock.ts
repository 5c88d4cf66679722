/**
 * A clock that moves when told. Timers fire in order of their due time, at their due time; wall
 * time may be set apart from them, as by an operator or a time server.
 */
import { type DurationMs, type EpochMs, epochMs } from '../../src/base/brands.ts';
import type { Cancel, Clock } from '../../src/base/clock.ts';

interface Timer {
  readonly due: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #now: number;
  #elapsed = 0;
  readonly #timers = new Set<Timer>();
  /** How often the wall clock was read. */
  reads = 0;

  constructor(start = 1_000_000_000_000) {
    this.#now = start;
  }

  now(): EpochMs {
    this.reads += 1;
    return epochMs(this.#now);
  }

  /** The same instant, without counting as a read. */
  get instant(): EpochMs {
    return epochMs(this.#now);
  }

  get timers(): number {
    return this.#timers.size;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(delay: DurationMs, fn: () => void): Cancel {
    const timer = { due: this.#elapsed + delay, fire: fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass and fires what falls due. */
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#pass(Math.max(0, timer.due - this.#elapsed));
      this.#timers.delete(timer);
      timer.fire();
    }
    this.#pass(end - this.#elapsed);
  }

  /** Sets the wall clock; spans and timers do not notice. */
  step(ms: number): void {
    this.#now += ms;
  }

  #next(end: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.due <= end);
    return due.sort((a, b) => a.due - b.due)[0];
  }

  #pass(ms: number): void {
    this.#now += ms;
    this.#elapsed += ms;
  }
}

/** Lets every promise that can settle do so. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A promise and what settles it. */
export function deferred<T = void>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
} {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
