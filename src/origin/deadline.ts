/**
 * Runs a task under a deadline and its caller's signal. The task is given a signal and may ignore
 * it: the promise settles at the deadline all the same, and a late result is dropped.
 */
import { type DurationMs, durationMs } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { Stop, type StopSignal } from '../base/stop.ts';

/** Rejects with `expired()` after `ms`, or with the parent's reason when that aborts first. */
export function withDeadline<T>(
  task: (signal: StopSignal) => Promise<T>,
  ms: DurationMs,
  parent: StopSignal,
  clock: Clock,
  expired: () => Error,
): Promise<T> {
  const stop = new Stop();
  return new Promise<T>((resolve, reject) => {
    const give = (reason: unknown) => {
      reject(reason);
      stop.abort(reason);
    };
    const leave = () => give(parent.reason);
    if (parent.aborted) return leave();
    const cancel = clock.after(ms, () => give(expired()));
    parent.addEventListener('abort', leave, { once: true });
    const done = () => {
      cancel();
      parent.removeEventListener('abort', leave);
    };
    task(stop).then(
      (value) => {
        done();
        resolve(value);
      },
      (error) => {
        done();
        reject(error);
      },
    );
  });
}

/** Waits, or rejects with the signal's reason when it aborts first. */
export function pause(ms: number, signal: StopSignal, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(durationMs(ms), () => {
      signal.removeEventListener('abort', leave);
      resolve();
    });
    signal.addEventListener('abort', leave, { once: true });
  });
}
