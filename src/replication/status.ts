/**
 * What replication tells operators of itself, as plain data: for `cluster_status`, metrics and the
 * command line. Nothing is decided by it.
 */
import type { NodeId, Sequence } from '../base/brands.ts';
import type { BackboneStatus } from './backbone.ts';
import { cursorOf } from './cursors.ts';
import type { Member } from './frames.ts';
import type { Peer } from './peer.ts';
import type { ReplicaStore } from './ports.ts';
import type { PullCounts, PullState } from './puller.ts';

export interface PeerStatus {
  readonly name: string;
  readonly urls: readonly string[];
  readonly isMember: boolean;
  readonly isConnected: boolean;
  readonly author: NodeId | undefined;
  readonly pull: PullState;
  /** Entries of its log which are not here yet, as far as it has told. */
  readonly behind: number | undefined;
  /** This node's own changes which it has not confirmed. */
  readonly unconfirmed: number | undefined;
  /** How far its clock is ahead of this one, milliseconds. */
  readonly clockOffsetMs: number | undefined;
  readonly isJoining: boolean | undefined;
  /** What it changes itself comes by the backbone, and not over connections. */
  readonly isByBackbone: boolean;
  /** Milliseconds since something was heard. */
  readonly silentMs: number | undefined;
  /** Why it cannot be reached. */
  readonly problem: string | undefined;
  readonly counts: PullCounts | undefined;
}

export interface ReplicationStatus {
  readonly name: string;
  readonly author: NodeId;
  readonly sequence: Sequence;
  readonly isCaughtUp: boolean;
  readonly clockAheadMs: number;
  /** Another node has its name, and is the one that the others let in. */
  readonly isNameTaken: boolean;
  readonly peers: readonly PeerStatus[];
  /** Bodies that rows name and that have not come yet. */
  readonly bodiesMissing: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Absent: there is none. */
  readonly backbone?: BackboneStatus | undefined;
}

export interface StatusParts {
  readonly name: string;
  readonly store: ReplicaStore;
  readonly now: number;
  readonly members: readonly Member[];
  readonly peers: ReadonlyMap<string, Peer>;
  readonly failures: ReadonlyMap<string, string>;
  readonly isJoining: boolean;
  readonly clockAheadMs: number;
  readonly isNameTaken: boolean;
  readonly bodiesMissing: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly backbone: BackboneStatus | undefined;
}

export function statusOf(parts: StatusParts): ReplicationStatus {
  const { name, store, members, peers } = parts;
  const names = new Set([...members.map((member) => member.name), ...peers.keys()]);
  names.delete(name);
  return {
    ...{ name, author: store.author, sequence: store.horizon().sequence },
    ...{ isCaughtUp: !parts.isJoining, clockAheadMs: parts.clockAheadMs, counts: parts.counts },
    ...{
      isNameTaken: parts.isNameTaken,
      bodiesMissing: parts.bodiesMissing,
      backbone: parts.backbone,
    },
    peers: [...names].sort().map((one) => peerStatus(parts, one)),
  };
}

function peerStatus({ store, now, members, peers, failures }: StatusParts, name: string) {
  const member = members.find((one) => one.name === name);
  const peer = peers.get(name);
  const session = peer?.session;
  const last = cursorOf(store.horizon().cursors, store.author);
  const urls = member?.urls ?? [];
  const status: PeerStatus = {
    ...{ name, urls, isMember: member !== undefined && !member.isLeft },
    isConnected: peer?.isConnected === true,
    author: session?.author,
    pull: peer?.puller.state ?? 'idle',
    behind: session && peer?.puller.behind,
    unconfirmed: session && Math.max(0, last - session.confirmed),
    clockOffsetMs: session?.offset,
    isJoining: session?.peerJoining,
    isByBackbone: peer?.puller.isLeftToBackbone === true,
    silentMs: session && now - session.heardAt,
    problem: session ? undefined : urls.map((url) => failures.get(url)).find(Boolean),
    counts: peer && { ...peer.puller.counts },
  };
  return status;
}
