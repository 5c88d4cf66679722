/** What Prometheus is told of replication: each other node, and the connections to them. */
import { linkMetrics } from './node-link.ts';
import type { LagWatch } from './node-replication-lag.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { LinkCounts } from './protocols/replication/counts.ts';
import type { ReplicaStore } from './replication/ports.ts';
import type { Replicator } from './replication/replicator.ts';
import type { PeerStatus } from './replication/status.ts';

export interface MeteredReplication {
  readonly replicator: Replicator;
  readonly lag: LagWatch;
  readonly counts: LinkCounts;
  readonly store: Pick<ReplicaStore, 'conflicts'>;
}

export function replicationMetrics(
  metrics: ArrayMetrics,
  { replicator, lag, counts, store }: MeteredReplication,
): void {
  linkMetrics(metrics, counts);
  const ofPeers = (read: (peer: PeerStatus) => number | undefined) => () =>
    replicator.status().peers.flatMap((peer) => {
      const value = peer.isMember ? read(peer) : undefined;
      return value === undefined ? [] : [{ labels: { peer: peer.name }, value }];
    });
  const gauge = (name: string, help: string, read: (peer: PeerStatus) => number | undefined) =>
    metrics.gauge(`millrace_replication_${name}`, help, 'first', ofPeers(read));
  gauge('connected', 'Whether another node is connected', ({ isConnected }) =>
    isConnected ? 1 : 0,
  );
  gauge('lag_seconds', 'For how long changes of another node have been missing here', ({ name }) =>
    lag.secondsOf(name),
  );
  gauge('behind_changes', 'Entries of its log that are not here yet', ({ behind }) => behind);
  gauge(
    'unconfirmed_changes',
    'Changes made here that it has not confirmed',
    (peer) => peer.unconfirmed,
  );
  gauge('clock_offset_seconds', 'How far its clock is ahead of this one', ({ clockOffsetMs }) =>
    clockOffsetMs === undefined ? undefined : clockOffsetMs / 1_000,
  );
  const events =
    'What happened in replication: frames and nodes refused, purges told, misses asked for';
  metrics.counter('millrace_replication_events_total', events, () =>
    Object.entries(replicator.status().counts).map(([event, value]) => ({
      labels: { event },
      value,
    })),
  );
  const missing = 'Large bodies that rows name and that have not come yet';
  metrics.gauge('millrace_replication_bodies_missing', missing, 'first', () => [
    { labels: {}, value: replicator.status().bodiesMissing },
  ]);
  const conflicts = 'Rows that came and met a change which their author had not seen';
  metrics.counter('millrace_replication_conflicts_total', conflicts, () =>
    [...(store.conflicts ?? [])].map(([table, value]) => ({ labels: { table }, value })),
  );
  const joining = 'Whether this node holds what the others held when it came';
  metrics.gauge('millrace_replication_caught_up', joining, 'first', () => [
    { labels: {}, value: replicator.isCaughtUp ? 1 : 0 },
  ]);
}
