/**
 * Waiting times between attempts: exponential with full jitter, so that many who failed together
 * do not return together.
 */
import { type DurationMs, durationMs } from './brands.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * The wait before attempt number `attempt` (the first retry is 1), in milliseconds:
 * between half of and the whole of `base * 2^(attempt-1)`, at most `max`.
 * `random` yields a number in [0, 1).
 */
export function backoffDelay(
  attempt: number,
  options: BackoffOptions,
  random: () => number,
): DurationMs {
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt - 1, 30));
  return durationMs(Math.round(ceiling * (0.5 + random() / 2)));
}
