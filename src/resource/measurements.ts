/**
 * What application code measures: `server.recordAnalytics(value, metric)` adds to a count and a
 * sum, read by the node's metrics. Names are bounded, since each is a series that is kept for ever.
 */
import { threadScope } from './thread-scope.ts';

/** Distinct combinations of metric, path, method and type that are kept on a thread. */
const SERIES_MAX = 500;
const TEXT_MAX = 100;

export interface Measurement {
  readonly labels: Readonly<Record<'metric' | 'path' | 'method' | 'type', string>>;
  count: number;
  sum: number;
}

/** Adds `value` to what was measured under these names; beyond the bound it is counted as lost. */
export function recordMeasurement(
  value: number | boolean,
  metric: string,
  path = '',
  method = '',
  type = '',
): void {
  const { measurements } = threadScope();
  const names = [metric, path, method, type].map((name) => String(name).slice(0, TEXT_MAX));
  const key = names.join('\n');
  let found = measurements.series.get(key);
  if (found === undefined) {
    if (measurements.series.size >= SERIES_MAX) {
      measurements.lost += 1;
      return;
    }
    const [m = '', p = '', me = '', t = ''] = names;
    found = { labels: { metric: m, path: p, method: me, type: t }, count: 0, sum: 0 };
    measurements.series.set(key, found);
  }
  const number = Number(value);
  if (!Number.isFinite(number)) return;
  found.count += 1;
  found.sum += number;
}
