/**
 * Prometheus metrics whose values are read from elsewhere when they are scraped. They stand in a
 * prom-client registry beside its own kinds, since a registry asks a metric only for `get()`.
 */
import type { Registry } from 'prom-client';
import { DURATION_BUCKETS, type DurationCounts } from './request-meter.ts';

export type Labels = Readonly<Record<string, string | number>>;
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** How the values of several threads are put together: gauges of one owner are not added up. */
export type Aggregator = 'sum' | 'first' | 'max' | 'average';

interface MetricDocument {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: Aggregator;
  readonly values: readonly object[];
}

class ReadMetric {
  readonly name: string;
  readonly #read: () => Omit<MetricDocument, 'name'>;

  constructor(name: string, read: () => Omit<MetricDocument, 'name'>) {
    this.name = name;
    this.#read = read;
  }

  get(): Promise<MetricDocument> {
    return Promise.resolve({ name: this.name, ...this.#read() });
  }

  reset(): void {
    // Values belong to whoever counts them.
  }
}

export class ArrayMetrics {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  counter(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#add(name, () => ({ help, type: 'counter', aggregator: 'sum', values: [...read()] }));
  }

  gauge(name: string, help: string, aggregator: Aggregator, read: () => Iterable<Sample>): void {
    this.#add(name, () => ({ help, type: 'gauge', aggregator, values: [...read()] }));
  }

  histogram(
    name: string,
    help: string,
    read: () => Iterable<{ readonly labels: Labels; readonly counts: DurationCounts }>,
  ): void {
    this.#add(name, () => {
      const values: object[] = [];
      for (const { labels, counts } of read())
        values.push(...histogramValues(name, labels, counts));
      return { help, type: 'histogram', aggregator: 'sum', values };
    });
  }

  #add(name: string, read: () => Omit<MetricDocument, 'name'>): void {
    const metric = new ReadMetric(name, read);
    // The registry's type wants its own classes; it uses nothing of them but `name` and `get`.
    this.#registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
  }
}

function* histogramValues(name: string, labels: Labels, counts: DurationCounts): Generator<object> {
  let cumulative = 0;
  for (const [index, bound] of DURATION_BUCKETS.entries()) {
    cumulative += counts.buckets[index] ?? 0;
    yield { labels: { ...labels, le: bound }, value: cumulative, metricName: `${name}_bucket` };
  }
  yield { labels: { ...labels, le: '+Inf' }, value: counts.count, metricName: `${name}_bucket` };
  yield { labels, value: counts.sum, metricName: `${name}_sum` };
  yield { labels, value: counts.count, metricName: `${name}_count` };
}
