/**
 * What replication of a node is made from, and what it tells while it runs. Everything that it
 * touches is given here.
 */
import type { Clock } from '../base/clock.ts';
import type { Backbone } from './backbone-port.ts';
import type { ByeCode } from './frames.ts';
import type { Dialler, ReplicaStore } from './ports.ts';
import type { Selection } from './selection.ts';
import type { ShieldOptions } from './shield.ts';

/** What an operator should hear of. */
export interface ReplicationEvents {
  readonly connected?: ((peer: string) => void) | undefined;
  readonly disconnected?: ((peer: string, why: string) => void) | undefined;
  /** A node was refused, or refused this one. */
  readonly dismissed?: ((peer: string, code: ByeCode, message: string) => void) | undefined;
  /** A frame that is not as it must be. */
  readonly refused?: ((peer: string, why: string) => void) | undefined;
  /** Changes of a peer wait, since they are stamped ahead of the clock. */
  readonly held?: ((peer: string) => void) | undefined;
  /** This clock runs ahead of the others by so much; 0: no longer. */
  readonly clockAhead?: ((ms: number) => void) | undefined;
  /** That node has let in another with the name of this one; absent: no longer. */
  readonly nameTaken?: ((by: string | undefined) => void) | undefined;
  readonly caughtUp?: (() => void) | undefined;
  /** It was away for too long to be a source; then: so many rows were deleted meanwhile. */
  readonly wasAway?: ((dropped: number | undefined) => void) | undefined;
  /** This node was removed from the cluster by another. */
  readonly removed?: (() => void) | undefined;
  readonly failed?: ((error: unknown) => void) | undefined;
}

export interface ReplicatorOptions {
  readonly store: ReplicaStore;
  readonly dial: Dialler;
  readonly clock: Clock;
  readonly random: () => number;
  readonly name: string;
  readonly cluster: string;
  /** One run of the process; nobody else's. */
  readonly instance: string;
  /** Addresses at which others reach this node. */
  readonly urls: readonly string[];
  /** Addresses that the configuration names. */
  readonly peers: readonly string[];
  readonly selection: Selection;
  /** What this node's caches have for others. */
  readonly shield?: ShieldOptions | undefined;
  /** A stream that a server keeps for all nodes. */
  readonly backbone?: Backbone | undefined;
  readonly events?: ReplicationEvents | undefined;
}
