/**
 * The metrics of a thread which serves the app port: requests, cache verdicts, origins, push. Every
 * value is read from counters kept elsewhere; nothing here is touched by a request.
 */

import type { ArrayMetrics, Labels, Sample } from './array-metrics.ts';
import type { DurationCounts, RequestCounts } from './request-meter.ts';

export interface Counted {
  readonly labels: Labels;
  readonly value: number;
}
export interface Timed {
  readonly labels: Labels;
  readonly counts: DurationCounts;
}

export interface Measured {
  readonly labels: Labels;
  readonly count: number;
  readonly sum: number;
}

export interface AppMetricSources {
  requests(): Iterable<RequestCounts>;
  /** Labels `table`, `result`. */
  cacheRequests(): Iterable<Counted>;
  /** Label `table`. */
  collapsed(): Iterable<Counted>;
  /** Labels `origin`, `outcome`. */
  originRequests(): Iterable<Counted>;
  originDurations(): Iterable<Timed>;
  originInFlight(): Iterable<Counted>;
  originBreakers(): Iterable<Counted>;
  originBytes(): Iterable<Counted>;
  /** Labels `origin`, `replica`; of origins with several replicas only. */
  replicaRequests(): Iterable<Counted>;
  replicasInFlight(): Iterable<Counted>;
  replicasEjected(): Iterable<Counted>;
  /** Label `protocol`. */
  connections(): Iterable<Counted>;
  subscriptions(): Iterable<Counted>;
  messagesSent(): Iterable<Counted>;
  messagesReceived(): Iterable<Counted>;
  subscriberResets(): Iterable<Counted>;
  /** Of those who read more slowly than changes come. */
  slowSubscribers(): Iterable<Counted>;
  subscriberStalls(): Iterable<Counted>;
  conflated(): Iterable<Counted>;
  snapshots(): Iterable<Counted>;
  /** Resources whose presence somebody follows. */
  presences(): Iterable<Counted>;
  deliveryLag(): Iterable<Timed>;
  authFailures(): Iterable<Counted>;
  limitsHit(): Iterable<Counted>;
  /** What application code measured. */
  measured(): Iterable<Measured>;
  memoryCacheBytes(): Iterable<Counted>;
  /** Labels `cache`, `result`. */
  memoryCacheRequests(): Iterable<Counted>;
}

/** Registers the metrics of one app thread. */
export function registerAppMetrics(metrics: ArrayMetrics, from: AppMetricSources): void {
  registerRequests(metrics, from);
  registerCache(metrics, from);
  registerOrigins(metrics, from);
  registerPush(metrics, from);
  registerMeasured(metrics, from);
}

function registerMeasured(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.counter('millrace_app_measurements_total', 'Values recorded by code', function* () {
    for (const { labels, count } of from.measured()) yield { labels, value: count };
  });
  metrics.gauge('millrace_app_measurements_sum', 'Sum of those values', 'sum', function* () {
    for (const { labels, sum } of from.measured()) yield { labels, value: sum };
  });
}

function registerRequests(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.counter('millrace_http_requests_total', 'Requests answered', () =>
    requestSamples(from.requests()),
  );
  metrics.histogram(
    'millrace_http_request_duration_seconds',
    'Time from the request to its answer, by how it was served',
    function* () {
      for (const { resource, durations } of from.requests()) {
        for (const [served, counts] of durations) yield { labels: { resource, served }, counts };
      }
    },
  );
  metrics.counter('millrace_http_response_bytes_total', 'Body bytes sent', function* () {
    for (const { resource, bytes } of from.requests()) yield { labels: { resource }, value: bytes };
  });
  metrics.counter('millrace_auth_failures_total', 'Credentials rejected', () =>
    from.authFailures(),
  );
  metrics.counter('millrace_limits_hit_total', 'Times a limit refused something', () =>
    from.limitsHit(),
  );
}

function* requestSamples(requests: Iterable<RequestCounts>): Generator<Sample> {
  for (const counts of requests) {
    for (const { method, status, count } of counts.requests()) {
      yield { labels: { resource: counts.resource, method, status }, value: count };
    }
  }
}

function registerCache(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.counter('millrace_cache_requests_total', 'Reads by cache verdict', () =>
    from.cacheRequests(),
  );
  metrics.counter('millrace_collapsed_requests_total', 'Reads that joined a fetch in flight', () =>
    from.collapsed(),
  );
  metrics.gauge('millrace_memory_cache_bytes', 'Bytes held in a memory cache', 'sum', () =>
    from.memoryCacheBytes(),
  );
  metrics.counter('millrace_memory_cache_requests_total', 'Look-ups in a memory cache', () =>
    from.memoryCacheRequests(),
  );
}

function registerOrigins(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.counter('millrace_origin_requests_total', 'Attempts at an origin by how they ended', () =>
    from.originRequests(),
  );
  metrics.histogram('millrace_origin_request_duration_seconds', 'Time of one attempt', () =>
    from.originDurations(),
  );
  metrics.gauge('millrace_origin_in_flight', 'Attempts under way', 'sum', () =>
    from.originInFlight(),
  );
  metrics.gauge('millrace_origin_breaker_open', '1 while the breaker is open', 'max', () =>
    from.originBreakers(),
  );
  metrics.counter('millrace_origin_replica_requests_total', 'Requests to one replica', () =>
    from.replicaRequests(),
  );
  metrics.gauge('millrace_origin_replica_in_flight', 'Requests under way at it', 'sum', () =>
    from.replicasInFlight(),
  );
  metrics.gauge('millrace_origin_replica_ejected', '1 while it is left out', 'max', () =>
    from.replicasEjected(),
  );
  metrics.counter('millrace_origin_bytes_total', 'Body bytes received from an origin', () =>
    from.originBytes(),
  );
}

function registerPush(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.gauge('millrace_connections', 'Open connections', 'sum', () => from.connections());
  metrics.gauge('millrace_subscriptions', 'Open subscriptions', 'sum', () => from.subscriptions());
  metrics.counter('millrace_messages_sent_total', 'Events sent to subscribers', () =>
    from.messagesSent(),
  );
  metrics.counter('millrace_messages_received_total', 'Messages received from clients', () =>
    from.messagesReceived(),
  );
  metrics.counter('millrace_subscriber_resets_total', 'Subscribers told to start over', () =>
    from.subscriberResets(),
  );
  const presences = 'Resources whose number of followers somebody follows';
  metrics.gauge('millrace_presences_followed', presences, 'sum', () => from.presences());
  metrics.histogram('millrace_delivery_lag_seconds', 'From a change to its delivery', () =>
    from.deliveryLag(),
  );
  registerSlowReaders(metrics, from);
}

function registerSlowReaders(metrics: ArrayMetrics, from: AppMetricSources): void {
  metrics.gauge('millrace_slow_subscribers', 'Subscribers behind what changes', 'sum', () =>
    from.slowSubscribers(),
  );
  metrics.counter('millrace_subscriber_stalls_total', 'Times a subscriber had no room', () =>
    from.subscriberStalls(),
  );
  metrics.counter(
    'millrace_conflated_changes_total',
    'Changes left out for a newer one of the same record',
    () => from.conflated(),
  );
  metrics.counter('millrace_snapshots_total', 'Collections sent to those who begin anew', () =>
    from.snapshots(),
  );
}
