/** Times attempts at origins, by origin: the histogram behind `origin_request_duration_seconds`. */
import type { OriginObserver } from '../origin/counters.ts';
import type { Timed } from './app-metrics.ts';
import { countDuration, type DurationCounts, durationCounts } from './request-meter.ts';

export interface OriginTimes {
  readonly observer: OriginObserver;
  durations(): Iterable<Timed>;
}

export function createOriginTimes(): OriginTimes {
  const byOrigin = new Map<string, DurationCounts>();
  return {
    observer: {
      attempted(origin, _outcome, durationMs) {
        let counts = byOrigin.get(origin);
        if (counts === undefined) {
          counts = durationCounts();
          byOrigin.set(origin, counts);
        }
        countDuration(counts, durationMs / 1000);
      },
    },
    *durations() {
      for (const [origin, counts] of byOrigin) yield { labels: { origin }, counts };
    },
  };
}
