/**
 * `/metrics`: the registries of all threads put together. A worker that does not answer in time is
 * left out and counted, so that one stuck thread does not blind the operator.
 */
import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client';
import { ArrayMetrics } from './array-metrics.ts';

/** A thread's metrics as data that can be posted. */
export type MetricsJson = readonly object[];
export type AskWorker = () => Promise<MetricsJson | undefined>;

export interface Observation {
  readonly metrics: ArrayMetrics;
  toJson(): Promise<MetricsJson>;
}

export function createObservation(): Observation {
  const registry = new Registry();
  return {
    metrics: new ArrayMetrics(registry),
    toJson: () => registry.getMetricsAsJSON(),
  };
}

/** Node's own process metrics, under their usual names; on the main thread only. */
function processMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Their names end in `_total` although they are gauges, which promtool refuses.
  for (const name of [
    'nodejs_active_handles_total',
    'nodejs_active_requests_total',
    'nodejs_active_resources_total',
  ]) {
    registry.removeSingleMetric(name);
  }
  return registry;
}

export interface Scrape {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Scrapes this thread and asks the workers, each of which answers `undefined` when it is late. */
export function createScrape(own: Observation, workers: () => readonly AskWorker[]): Scrape {
  const standard = processMetrics();
  let missing = 0;
  own.metrics.counter('millrace_metrics_threads_missing_total', 'Threads a scrape missed', () => [
    { labels: {}, value: missing },
  ]);
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async text() {
      const answers = await Promise.all(workers().map((ask) => ask()));
      const heard = answers.filter((answer): answer is MetricsJson => answer !== undefined);
      missing += answers.length - heard.length;
      const all = [await own.toJson(), await standard.getMetricsAsJSON(), ...heard];
      return AggregatorRegistry.aggregate(all as object[]).metrics();
    },
  };
}
