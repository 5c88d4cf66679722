/**
 * `cache_stats`: each table's entries and bytes, how its reads were answered since the start, its
 * purges, and what was evicted; of all threads together. `origin_status`: each origin's breaker,
 * calls, feed and replicas. Both read what the metrics read.
 */
import type { Operation, OperationContext } from './operation.ts';
import { type Reading, readings } from './readings.ts';
import { replicaStatus } from './replica-status.ts';

const SERVED_HERE: ReadonlySet<string> = new Set(['hit', 'stale', 'negative', 'revalidated']);

export const cacheStats: Operation = {
  name: 'cache_stats',
  takes: [],
  async run(_args, context) {
    const text = await context.metrics();
    const of = (name: string, key: string) => grouped(readings(text, name), 'table', key);
    const requests = of('millrace_cache_requests_total', 'result');
    const evictions = of('millrace_cache_evictions_total', 'reason');
    const purges = of('millrace_cache_purges_total', 'kind');
    const tables = context.tables.all().map((table) => {
      const { typeName } = table.definition;
      const own = requests[typeName] ?? {};
      const stats = { ...table.size(), requests: own, hitRatio: hitRatio(own) };
      const more = { purges: purges[typeName] ?? {}, evictions: evictions[typeName] ?? {} };
      return [typeName, { ...stats, ...more }] as const;
    });
    return { tables: Object.fromEntries(tables) };
  },
};

export const originStatus: Operation = {
  name: 'origin_status',
  takes: [],
  async run(_args, context: OperationContext) {
    const text = await context.metrics();
    const value = (name: string) => sums(readings(text, name));
    const open = value('millrace_origin_breaker_open');
    const inFlight = value('millrace_origin_in_flight');
    const bytes = value('millrace_origin_bytes_total');
    const connected = value('millrace_feed_connected');
    const requests = readings(text, 'millrace_origin_requests_total');
    const outcomes = grouped(requests, 'origin', 'outcome');
    const replicas = replicaStatus(text);
    const names = [...open.keys()];
    const origins = names.map((name) => {
      const feed = connected.get(name);
      const status = {
        // Threads judge for themselves: one with an open breaker is said.
        state: (open.get(name) ?? 0) > 0 ? 'breaker open' : 'closed',
        inFlight: inFlight.get(name) ?? 0,
        bytes: bytes.get(name) ?? 0,
        outcomes: outcomes[name] ?? {},
      };
      const own = replicas[name] === undefined ? {} : { replicas: replicas[name] };
      const fed = feed === undefined ? {} : { feedConnected: feed > 0 };
      return [name, { ...status, ...fed, ...own }] as const;
    });
    return { origins: Object.fromEntries(origins) };
  },
};

function hitRatio(requests: Readonly<Record<string, number>>): number | null {
  const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  const here = Object.entries(requests).filter(([result]) => SERVED_HERE.has(result));
  return here.reduce((sum, [, count]) => sum + count, 0) / all;
}

type Counts = Record<string, Record<string, number>>;

function grouped(found: readonly Reading[], by: string, key: string): Counts {
  const groups: Counts = {};
  for (const { labels, value } of found) {
    const group = groups[labels[by] ?? ''] ?? {};
    const name = labels[key] ?? '';
    group[name] = (group[name] ?? 0) + value;
    groups[labels[by] ?? ''] = group;
  }
  return groups;
}

function sums(found: readonly Reading[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { labels, value } of found) {
    const name = labels.origin ?? '';
    totals.set(name, (totals.get(name) ?? 0) + value);
  }
  return totals;
}
