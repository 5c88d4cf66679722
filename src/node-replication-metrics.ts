/**
 * What Prometheus is told of replication: each other node, the connections to them, and the stream
 * of a NATS server where one is used. All of it is read when it is scraped.
 */
import { linkMetrics } from './node-link.ts';
import type { LagWatch } from './node-replication-lag.ts';
import type { ArrayMetrics } from './observe/array-metrics.ts';
import type { LinkCounts } from './protocols/replication/counts.ts';
import type { BackboneStatus } from './replication/backbone.ts';
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
  backboneMetrics(metrics, replicator);
  const conflicts = 'Rows that came and met a change which their author had not seen';
  metrics.counter('millrace_replication_conflicts_total', conflicts, () =>
    [...(store.conflicts ?? [])].map(([table, value]) => ({ labels: { table }, value })),
  );
  const joining = 'Whether this node holds what the others held when it came';
  metrics.gauge('millrace_replication_caught_up', joining, 'first', () => [
    { labels: {}, value: replicator.isCaughtUp ? 1 : 0 },
  ]);
}

/** The stream of a NATS server, where one is used. */
function backboneMetrics(metrics: ArrayMetrics, replicator: Replicator): void {
  const line = () => replicator.status().backbone;
  const gauge = (name: string, help: string, read: (status: BackboneStatus) => number) =>
    metrics.gauge(`millrace_replication_backbone_${name}`, help, 'first', () => {
      const status = line();
      return status === undefined ? [] : [{ labels: {}, value: read(status) }];
    });
  gauge('connected', 'Whether the stream of the NATS server is used', ({ isConnected }) =>
    isConnected ? 1 : 0,
  );
  gauge('behind_messages', 'Messages of the stream that are not read yet', ({ behind }) => behind);
  const told = 'Nodes whose own changes come by the stream alone';
  metrics.gauge('millrace_replication_backbone_nodes', told, 'first', () => {
    const { peers, backbone } = replicator.status();
    const value = peers.filter(({ isByBackbone }) => isByBackbone).length;
    return backbone === undefined ? [] : [{ labels: {}, value }];
  });
  const messages =
    'Messages of the stream by what became of them; published, omitted and failures: of this node';
  metrics.counter('millrace_replication_backbone_messages_total', messages, () =>
    Object.entries(line()?.counts ?? {}).map(([result, value]) => ({ labels: { result }, value })),
  );
  const rows = 'Rows that changed here by another node, by the way they came';
  metrics.counter('millrace_replication_rows_total', rows, () => {
    const { peers, backbone } = replicator.status();
    const pulled = peers.reduce((sum, { counts }) => sum + (counts?.merged ?? 0), 0);
    const byStream =
      backbone === undefined ? [] : [{ labels: { way: 'stream' }, value: backbone.merged }];
    return [{ labels: { way: 'peers' }, value: pulled }, ...byStream];
  });
}
