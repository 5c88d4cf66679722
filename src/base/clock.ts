/**
 * Time as a parameter: core code is given a `Clock` and never reads the system's own.
 * `now` is wall time (for instants that are stored or sent); `monotonic` never steps back (for
 * measuring spans); `after` is the one way to wait.
 */
import type { DurationMs, EpochMs } from './brands.ts';

/** Stops a timer that has not fired; harmless afterwards. */
export type Cancel = () => void;

export interface Clock {
  now(): EpochMs;
  /** Milliseconds from an arbitrary start, never going back. */
  monotonic(): number;
  /** Calls `fn` once, `delay` later, without keeping the process alive. */
  after(delay: DurationMs, fn: () => void): Cancel;
}

/** The system's clock. */
export const systemClock: Clock = {
  now: () => Date.now() as EpochMs,
  monotonic: () => performance.now(),
  after(delay, fn) {
    const timer = setTimeout(fn, delay);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
