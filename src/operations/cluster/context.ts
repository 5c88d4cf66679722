/**
 * What the operations of a cluster are run on: the replication of this node, when it takes part in
 * one, and the addresses it was told of. Implemented in the assembly.
 */
import { NodeError } from '../../base/errors.ts';
import type { PeerStatus, ReplicationStatus } from '../../replication/status.ts';
import type { Confirmation } from '../../table/confirmation.ts';
import type { OperationContext } from '../operation.ts';

export interface NodeStatus extends PeerStatus {
  /** For how long changes of this node have been missing here, seconds; 0: none is. */
  readonly lagSeconds: number;
}

export interface ClusterStatus extends ReplicationStatus {
  readonly urls: readonly string[];
  readonly peers: readonly NodeStatus[];
}

export interface TableComparison {
  readonly table: string;
  /** Hash over all rows; absent while it is being rebuilt. */
  readonly digest: string | undefined;
}

export interface ClusterContext {
  status(): ClusterStatus;
  /** Asks the node there for its name and makes it a member. Rejects with `PEER_…`. */
  addNode(url: string): Promise<string>;
  removeNode(name: string): void;
  readonly routes: readonly string[];
  setRoutes(routes: readonly string[]): Promise<void>;
  digests(): readonly TableComparison[];
  /** Has this node compare what it holds with the others, now. */
  verify(): void;
  /** When all others have obeyed what was invalidated here until now, or who has not in time. */
  confirmPurges(): Promise<Confirmation>;
  /** When so many others (of `names`) hold what was committed until now, or who does not. */
  confirmWrites(least: number, names?: readonly string[]): Promise<Confirmation>;
}

/** Throws `USAGE` on a node by itself. */
export function clusterOf(context: OperationContext): ClusterContext {
  if (context.cluster !== undefined) return context.cluster;
  throw new NodeError(
    'USAGE',
    'this node is in no cluster: start it with --cluster-token, or see millrace cluster init',
    { blame: 'client' },
  );
}
