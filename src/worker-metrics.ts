/**
 * Joins the counters of an app thread to its metrics: each metric reads what is counted elsewhere,
 * when it is asked for. Nothing here is on the way of a request.
 */
import type { CacheFigures } from './base/bounded-cache.ts';
import { type Counted, registerAppMetrics } from './observe/app-metrics.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { CacheCounts } from './observe/cache-counts.ts';
import type { OriginTimes } from './observe/origin-times.ts';
import type { ReplicaReport } from './origin/replicas.ts';
import type { OriginRuntime } from './origin/runtime.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { RunningApp } from './worker-app.ts';

export interface AppMetricParts {
  readonly app: RunningApp;
  readonly origins: ReadonlyMap<string, OriginRuntime>;
  readonly memoryCaches: readonly CacheFigures[];
  readonly cacheCounts: CacheCounts;
  readonly originTimes: OriginTimes;
}

export function connectAppMetrics(metrics: ArrayMetrics, parts: AppMetricParts): void {
  const { app, origins, cacheCounts } = parts;
  const { counters } = app.fanout;
  registerAppMetrics(metrics, {
    requests: () => app.counts.requests,
    cacheRequests: () => cacheCounts.requests(),
    collapsed: () => cacheCounts.collapsed(),
    originRequests: () => originRequests(origins),
    originDurations: () => parts.originTimes.durations(),
    originInFlight: () => perOrigin(origins, ({ inFlight }) => inFlight),
    originBreakers: () => perOrigin(origins, ({ breakerOpen }) => (breakerOpen ? 1 : 0)),
    originBytes: () => perOrigin(origins, ({ bytes }) => bytes),
    replicaRequests: () => replicaRequests(origins),
    replicasInFlight: () => perReplica(origins, ({ inFlight }) => inFlight),
    replicasEjected: () => perReplica(origins, ({ state }) => (state === 'well' ? 0 : 1)),
    connections: () => connections(app),
    subscriptions: () => byProtocol(counters.subscriptions),
    messagesSent: () => byProtocol(counters.messagesSent),
    messagesReceived: () => byProtocol({ websocket: app.gateway.messagesReceived }),
    presences: () => [{ labels: {}, value: app.presence.wanted }],
    subscriberResets: () => byProtocol(counters.resets),
    slowSubscribers: () => byProtocol(app.fanout.slowSubscribers()),
    subscriberStalls: () => byProtocol(counters.stalls),
    conflated: () => byProtocol(counters.conflated),
    snapshots: () => byProtocol(counters.snapshots),
    *deliveryLag() {
      for (const [protocol, counts] of app.counts.lag) yield { labels: { protocol }, counts };
    },
    authFailures: () => labelled(app.counts.authFailures, 'method'),
    *limitsHit() {
      yield { labels: { limit: 'measurements' }, value: threadScope().measurements.lost };
      yield* cacheCounts.limitsHit();
      yield* labelled(app.counts.refusals, 'limit');
    },
    measured: () => threadScope().measurements.series.values(),
    *memoryCacheBytes() {
      for (const [cache, { bytes }] of memory(parts)) yield { labels: { cache }, value: bytes };
    },
    *memoryCacheRequests() {
      for (const [cache, { hits, misses }] of memory(parts)) {
        yield { labels: { cache, result: 'hit' }, value: hits };
        yield { labels: { cache, result: 'miss' }, value: misses };
      }
    },
  });
}

/** The caches of one name together: each table has one of its own. */
function memory({ app, memoryCaches }: AppMetricParts): ReadonlyMap<string, CacheFigures> {
  const sums = new Map<string, CacheFigures>();
  for (const { name, bytes, hits, misses } of [...app.fanout.memory, ...memoryCaches]) {
    const sum = sums.get(name);
    sums.set(name, {
      name,
      bytes: bytes + (sum?.bytes ?? 0),
      hits: hits + (sum?.hits ?? 0),
      misses: misses + (sum?.misses ?? 0),
    });
  }
  return sums;
}

function connections({ listener, gateway, fanout }: RunningApp): Counted[] {
  return [
    { labels: { protocol: 'http' }, value: listener.connections },
    { labels: { protocol: 'websocket' }, value: gateway.connectionCount },
    { labels: { protocol: 'sse' }, value: fanout.counters.subscriptions.sse },
  ];
}

function* originRequests(origins: ReadonlyMap<string, OriginRuntime>): Generator<Counted> {
  for (const [origin, { counters }] of origins) {
    for (const [outcome, value] of counters.outcomes) {
      yield { labels: { origin, outcome: outcome.toLowerCase() }, value };
    }
  }
}

function* perOrigin(
  origins: ReadonlyMap<string, OriginRuntime>,
  read: (counters: OriginRuntime['counters']) => number,
): Generator<Counted> {
  for (const [origin, { counters }] of origins) {
    yield { labels: { origin }, value: read(counters) };
  }
}

function* perReplica(
  origins: ReadonlyMap<string, OriginRuntime>,
  read: (report: ReplicaReport) => number,
): Generator<Counted> {
  for (const [origin, { replicas }] of origins) {
    for (const report of replicas) {
      yield { labels: { origin, replica: report.replica }, value: read(report) };
    }
  }
}

function* replicaRequests(origins: ReadonlyMap<string, OriginRuntime>): Generator<Counted> {
  for (const [origin, { replicas }] of origins) {
    for (const { replica, succeeded, failed } of replicas) {
      yield { labels: { origin, replica, outcome: 'ok' }, value: succeeded };
      yield { labels: { origin, replica, outcome: 'failed' }, value: failed };
    }
  }
}

function* byProtocol(counts: Readonly<Record<string, number>>): Generator<Counted> {
  for (const [protocol, value] of Object.entries(counts)) yield { labels: { protocol }, value };
}

function* labelled(counts: ReadonlyMap<string, number>, label: string): Generator<Counted> {
  for (const [name, value] of counts) yield { labels: { [label]: name }, value };
}
