/**
 * `cluster_status`: the nodes of the cluster as this one sees them, each with its connection, how
 * far behind it this node is and what it has not confirmed. On a node by itself `is_enabled` is
 * false. `cluster_digests` has the hash of every table, `cluster_verify` repairs what differs.
 */

import type { BackboneStatus } from '../../replication/backbone.ts';
import type { ReplicationStatus } from '../../replication/status.ts';
import type { Operation } from '../operation.ts';
import { clusterOf, type NodeStatus } from './context.ts';
export const clusterStatus: Operation = {
  name: 'cluster_status',
  takes: [],
  run(_args, context) {
    const type = 'cluster-status';
    if (context.cluster === undefined) return { type, is_enabled: false, connections: [] };
    const status = context.cluster.status();
    const { clockAheadMs } = status;
    return {
      ...{ type, node_name: status.name, is_enabled: true },
      status: stateOf(status),
      urls: status.urls,
      author: status.author,
      sequence: status.sequence,
      clock_ahead_ms: clockAheadMs,
      counts: status.counts,
      backbone: status.backbone && backboneOf(status.backbone),
      connections: status.peers.map(connectionOf),
    };
  },
};

function stateOf({ clockAheadMs, isNameTaken, isCaughtUp }: ReplicationStatus): string {
  if (clockAheadMs > 0) return 'clock ahead';
  if (isNameTaken) return 'name taken';
  return isCaughtUp ? 'caught up' : 'joining';
}

/** The stream of a NATS server. */
const backboneOf = ({ isConnected, problem, behind, merged, counts }: BackboneStatus) => ({
  state: isConnected ? 'live' : 'unavailable',
  problem,
  behind_messages: behind,
  rows: merged,
  counts,
});

function connectionOf(peer: NodeStatus) {
  const { name, urls, isConnected, isMember, clockOffsetMs, silentMs } = peer;
  const state = isConnected ? (peer.pull === 'streaming' ? 'live' : peer.pull) : 'unreachable';
  return {
    ...{ name, urls, url: urls[0], connected: isConnected, is_member: isMember, state },
    behind: peer.behind,
    lagSeconds: peer.lagSeconds,
    unconfirmed: peer.unconfirmed,
    joining: peer.isJoining,
    by_stream: peer.isByBackbone,
    clock_offset_ms: clockOffsetMs === undefined ? undefined : Math.round(clockOffsetMs),
    last_heard_ms_ago: silentMs === undefined ? undefined : Math.round(silentMs),
    problem: peer.problem,
    counts: peer.counts,
  };
}

export const clusterDigests: Operation = {
  name: 'cluster_digests',
  takes: [],
  run(_args, context) {
    const cluster = clusterOf(context);
    const { name } = cluster.status();
    const tables = cluster.digests().map(({ table, digest }) => [table, digest ?? null] as const);
    return { node_name: name, tables: Object.fromEntries(tables) };
  },
};

export const clusterVerify: Operation = {
  name: 'cluster_verify',
  takes: [],
  run(_args, context) {
    clusterOf(context).verify();
    return { message: 'what differs from other nodes is being repaired; see cluster_digests' };
  },
};
