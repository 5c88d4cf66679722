/**
 * The metrics of the store thread: what the store holds and how its commits go, and the state of
 * the feeds. Registered once a node.
 */

import type { Counted, Timed } from './app-metrics.ts';
import type { ArrayMetrics } from './array-metrics.ts';

export interface StoreMetricSources {
  /** Label `table`. */
  entries(): Iterable<Counted>;
  bytes(): Iterable<Counted>;
  /** Labels `table`, `reason`. */
  evictions(): Iterable<Counted>;
  /** Labels `table`, `kind`. */
  purges(): Iterable<Counted>;
  logEntries(): number;
  logBytes(): number;
  storeBytes(): number;
  writeQueueDepth(): number;
  commitDurations(): Iterable<Timed>;
  /** Label `origin`. */
  feedsConnected(): Iterable<Counted>;
  /** Label `origin`: of those that this node runs itself. */
  renderersUp(): Iterable<Counted>;
  rendererRestarts(): Iterable<Counted>;
  /** Labels `engine`, `reason`: which HTTP engine runs, and why. */
  engine(): Counted;
}

export function registerStoreMetrics(metrics: ArrayMetrics, from: StoreMetricSources): void {
  const one = (value: number): Iterable<Counted> => [{ labels: {}, value }];
  metrics.gauge('millrace_cache_entries', 'Entries of a table', 'first', () => from.entries());
  metrics.gauge('millrace_cache_bytes', 'Bytes of a table', 'first', () => from.bytes());
  metrics.counter('millrace_cache_evictions_total', 'Entries removed for room or age', () =>
    from.evictions(),
  );
  metrics.counter('millrace_cache_purges_total', 'Purges by what they named', () => from.purges());
  metrics.gauge('millrace_log_entries', 'Changes the log holds', 'first', () =>
    one(from.logEntries()),
  );
  metrics.gauge('millrace_log_bytes', 'Bytes of the change log', 'first', () =>
    one(from.logBytes()),
  );
  metrics.gauge('millrace_store_bytes', 'Size of the store on disk', 'first', () =>
    one(from.storeBytes()),
  );
  metrics.gauge('millrace_write_queue_depth', 'Operations waiting for a commit', 'first', () =>
    one(from.writeQueueDepth()),
  );
  metrics.histogram('millrace_store_commit_duration_seconds', 'Time of one commit', () =>
    from.commitDurations(),
  );
  metrics.gauge(
    'millrace_feed_connected',
    '1 while the feed of an origin is connected',
    'max',
    () => from.feedsConnected(),
  );
  metrics.gauge('millrace_renderer_up', '1 while a renderer of this node answers', 'max', () =>
    from.renderersUp(),
  );
  metrics.counter('millrace_renderer_restarts_total', 'Starts of a renderer after its first', () =>
    from.rendererRestarts(),
  );
  metrics.gauge('millrace_http_engine', 'The HTTP engine that runs', 'first', () => [
    from.engine(),
  ]);
}
