/**
 * Bounded concurrency: p-limit with a bound on its queue. Work beyond the bound is refused at
 * once, work whose signal was aborted while it queued never starts. The only user of p-limit.
 */
import pLimit from 'p-limit';
import { NodeError } from './errors.ts';
import type { StopSignal } from './stop.ts';

export interface LimitOptions {
  /** Name for errors and metrics, such as `origin flights`. */
  readonly name: string;
  readonly concurrency: number;
  /** Tasks that may wait for a slot; one more is refused with `ORIGIN_BUSY`. */
  readonly queueMax: number;
}

export interface Limit {
  /**
   * Runs `task` when a slot is free. Rejects with `ORIGIN_BUSY` when the queue is full, or with the
   * signal's reason when it aborts before the task began.
   */
  run<T>(task: () => Promise<T>, signal?: StopSignal | undefined): Promise<T>;
  readonly activeCount: number;
  readonly pendingCount: number;
}

export function createLimit(options: LimitOptions): Limit {
  const limit = pLimit(options.concurrency);
  return {
    run(task, signal) {
      // Both counts: a task just given to p-limit is pending for a tick even when a slot is free.
      if (limit.activeCount + limit.pendingCount >= options.concurrency + options.queueMax) {
        return Promise.reject(
          new NodeError('ORIGIN_BUSY', `${options.name}: ${options.queueMax} tasks wait already`, {
            retry: 'later',
            details: { limit: options.name, value: options.queueMax },
          }),
        );
      }
      return limit(() => {
        if (signal?.aborted === true) throw signal.reason;
        return task();
      });
    },
    get activeCount() {
      return limit.activeCount;
    },
    get pendingCount() {
      return limit.pendingCount;
    },
  };
}
