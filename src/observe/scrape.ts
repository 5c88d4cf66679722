/**
 * `/metrics`: the registries of all threads put together. A worker that does not answer in time is
 * left out and counted, so that one stuck thread does not blind the operator.
 */
import { createRequire } from 'node:module';
import type { Registry } from 'prom-client';
import type { ArrayMetrics, MetricDocument } from './array-metrics.ts';

/** A thread's metrics as data that can be posted. */
export type MetricsJson = readonly MetricDocument[];
export type AskWorker = () => Promise<MetricsJson | undefined>;

type Library = typeof import('prom-client');

/**
 * Loaded after the start, which has half a second in all. Required and not imported: an import that
 * failed once, for want of a descriptor, fails for ever.
 */
const loadLibrary = (): Library => createRequire(import.meta.url)('prom-client');

/** Node's own process metrics, under their usual names; on the main thread only. */
function processMetrics({ Registry, collectDefaultMetrics }: Library): Registry {
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
  /** Begins to watch the process; called once the node answers. */
  warm(): Promise<void>;
  read(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Scrapes this thread and asks the workers, each of which answers `undefined` when it is late. */
export function createScrape(own: ArrayMetrics, workers: () => readonly AskWorker[]): Scrape {
  let missing = 0;
  let standard: Registry | undefined;
  own.counter('millrace_metrics_threads_missing_total', 'Threads a scrape missed', () => [
    { labels: {}, value: missing },
  ]);
  const warm = async () => {
    const loaded = loadLibrary();
    standard ??= processMetrics(loaded);
    return { ...loaded, standard };
  };
  return {
    async warm() {
      // A scrape tries again, and can say what is wrong.
      await warm().catch(() => undefined);
    },
    async read() {
      const { AggregatorRegistry, Registry, standard: process } = await warm();
      const answers = await Promise.all(workers().map((ask) => ask()));
      const heard = answers.filter((answer) => answer !== undefined);
      missing += answers.length - heard.length;
      const all = [own.documents(), await process.getMetricsAsJSON(), ...heard];
      const text = await AggregatorRegistry.aggregate(all as object[]).metrics();
      return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text };
    },
  };
}
