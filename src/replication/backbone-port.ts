/**
 * What the core needs of a stream that a server keeps for the whole fleet (SPEC §13), and what
 * travels over it. It may lose, double, reorder or forget what it was given: nothing here relies on
 * it. Implemented over JetStream in `protocols/replication/` and by `test/simulation/`.
 */
import type { EpochMs, NodeId, Sequence } from '../base/brands.ts';
import type { Item, ReplicatedTable } from './ports.ts';

/** What an author changed above `after`, up to `upTo`, told by its own node. */
export interface News {
  readonly author: NodeId;
  /** The node that tells. */
  readonly name: string;
  /** Where the run of sequences of this author began: with both, a message is told from others. */
  readonly since: Sequence;
  readonly after: Sequence;
  readonly upTo: Sequence;
  /** When it was told. */
  readonly at: EpochMs;
  readonly items: readonly Item[];
  /** It does not fit into a message: peers have it. */
  readonly isOmitted: boolean;
}

/** `stream` is one creation of it: one that was made anew counts from 1 again. */
export interface StreamPlace {
  readonly stream: string;
  readonly sequence: number;
}

/** The stream as it was found. */
export interface StreamFound {
  readonly stream: string;
  /** The first message that it holds, or will hold. */
  readonly first: number;
  readonly last: number;
  /** What this node's author told there last, as it was sent; absent when nothing is left of it. */
  readonly ownLast?: unknown;
}

export interface BackboneUser {
  /** The stream can be read and written; answers behind which message it is to be read. */
  attached(found: StreamFound): number;
  /** Neither is possible any more. */
  detached(why: string): void;
  /**
   * A message which somebody of this cluster has sealed, in the order of the stream; `pending` more
   * are to come. Resolves when it is done with; of those that are not, few are given.
   */
  heard(message: unknown, place: StreamPlace, pending: number): Promise<void>;
  /** A message that nobody of this cluster has sealed as it is. */
  refused(place: StreamPlace, pending: number): void;
}

export interface Backbone {
  /** Begins; once. `author` is whose news are published. */
  use(user: BackboneUser, author: NodeId): void;
  /**
   * Resolves when the server has it; `undefined`: it is too large for a message. `about` is the
   * table of all its items, if they are of one.
   */
  publish(news: News, about: ReplicatedTable | undefined): Promise<void> | undefined;
}
