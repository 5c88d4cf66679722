/**
 * Prometheus metrics whose values are read from elsewhere when they are scraped: nothing is counted
 * twice, and a thread's metrics are plain data which can be posted to the thread that answers.
 */
import { DURATION_BUCKETS, type DurationCounts } from './request-meter.ts';

export type Labels = Readonly<Record<string, string | number>>;
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** How the values of several threads are put together: gauges of one owner are not added up. */
export type Aggregator = 'sum' | 'first' | 'max' | 'average';

/** One metric as the client library passes it between threads. */
export interface MetricDocument {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: Aggregator;
  readonly values: readonly object[];
}

export class ArrayMetrics {
  readonly #reads: (() => MetricDocument)[] = [];

  /** Every metric with its values of now. */
  documents(): readonly MetricDocument[] {
    return this.#reads.map((read) => read());
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
    this.#reads.push(() => ({ name, ...read() }));
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
