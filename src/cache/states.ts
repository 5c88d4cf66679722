/**
 * The states of one read (SPEC §2): eight which move, three which are final, each carrying only
 * what it needs, and the run's constants. What each state does is in the `*-steps.ts` files.
 */
import type { EpochMs, Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { NodeError } from '../base/errors.ts';
import type { Pace } from '../base/pace.ts';
import type { Flight, Flights } from './collapse.ts';
import type { DecisionContext, Forward } from './decide.ts';
import type { Entry } from './entry.ts';
import type { CacheEvents } from './events.ts';
import type { TagOf } from './plain-entry.ts';
import type { CachePolicy } from './policy.ts';
import type {
  Beside,
  EntryStore,
  FlightOutcome,
  Invalidations,
  InvalidationVerdict,
  Lease,
  Leases,
  Origin,
  OriginReply,
  ReplyFacts,
} from './ports.ts';
import type { Answer, ReadRequest, ReadResult } from './read-request.ts';

/** What the read path of one table is made of. */
export interface ReadPathDeps {
  readonly table: TableName;
  readonly entries: EntryStore;
  readonly invalidations: Invalidations;
  /** `undefined` for a table which is its own origin. */
  readonly origin: Origin | undefined;
  /** The policy at the start; `ReadPath.usePolicy` replaces it on a reload. */
  readonly policy: CachePolicy;
  readonly leases: Leases;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** The store's strong tag of a body, so that a reply has it before it is stored. */
  readonly tagOf: TagOf;
  readonly events: CacheEvents;
  /** Since when a live feed tells of every change; `undefined` while there is none. */
  readonly fedSince?: (() => EpochMs | undefined) | undefined;
  /** Until when it told of every change; `undefined` while it does. */
  readonly fedUntil?: (() => EpochMs | undefined) | undefined;
  readonly limits: { readonly fetchMsMax: number; readonly failureMarkersBytes: number };
  /** What a thread does of fetches in one turn; without it, all that there is. */
  readonly pace?: FetchPace | undefined;
}

/** Replies that are taken, and answers that are given: shared by all tables of a thread. */
export interface FetchPace {
  readonly replies: Pace;
  readonly answers: Pace;
}

/** Constants of one run; a run without `answer` has no client (a refresh behind a stale answer). */
export interface Run extends DecisionContext {
  readonly request: ReadRequest;
  readonly deps: ReadPathDeps;
  readonly flights: Flights;
  readonly answer: Answer | undefined;
  /** Starts a run without a client in `state`. */
  readonly startBehind: (run: Run, state: MovingState) => void;
}

/** Why the read goes forward, and what it holds meanwhile. */
export interface Errand {
  readonly forward: Forward;
  /** The row at selection, of any kind, owning its bytes. */
  readonly held: Entry | undefined;
}

export interface Selecting {
  readonly kind: 'selecting';
  readonly entry: Entry | undefined;
}

export interface Deciding {
  readonly kind: 'deciding';
  readonly entry: Entry | undefined;
  readonly verdict: InvalidationVerdict;
  readonly missing: 'uri-miss' | 'vary-miss';
  /** Handed over by a flight for which this read waited. */
  readonly handed: boolean;
  /** The flight which has the entry in memory. */
  readonly source: FlightSource | undefined;
}

/** Where a reply came from when it did not come from the store. */
export interface FlightSource {
  readonly errand: Errand;
  readonly flight: Flight;
  readonly outcome: Extract<FlightOutcome, { kind: 'reply' }>;
}

export interface Joining {
  readonly kind: 'joining';
  readonly errand: Errand;
  /** A flight whose reply this read has seen and may not use. */
  readonly examined: Flight | undefined;
}

export interface Waiting {
  readonly kind: 'waiting';
  readonly errand: Errand;
  readonly flight: Flight;
  /** The node's sequence when the wait began. */
  readonly joinedAt: Sequence;
}

/** What a fetch carries from its start to its end. */
export interface Fetch {
  readonly errand: Errand;
  /** `undefined` for a fetch nobody shares. */
  readonly flight: Flight | undefined;
  readonly lease: Extract<Lease, { kind: 'lead' }> | undefined;
  /** The node's sequence when the fetch began. */
  readonly stamp: Sequence;
}

export interface Fetching extends Fetch {
  readonly kind: 'fetching';
  readonly conditional: boolean;
  /** A fetch already under way, taken over from a run whose client left. */
  readonly pending: PendingFetch | undefined;
}

export interface PendingFetch {
  readonly conditional: boolean;
  readonly fetched: Promise<Fetched>;
  readonly abort: () => void;
}

export type Fetched =
  | { readonly kind: 'replied'; readonly reply: OriginReply }
  | { readonly kind: 'failed'; readonly error: NodeError };

export interface Freshening extends Fetch {
  readonly kind: 'freshening';
  readonly entry: Entry;
  readonly facts: ReplyFacts;
  readonly beside: Beside | undefined;
}

export interface Storing extends Fetch {
  readonly kind: 'storing';
  readonly reply: Exclude<OriginReply, { kind: 'notModified' }>;
}

export interface FallingBack {
  readonly kind: 'fallingBack';
  readonly errand: Errand;
  readonly error: NodeError;
  readonly collapsed: boolean;
}

export interface Final {
  readonly kind: 'answered' | 'refused' | 'failed';
  readonly result: ReadResult;
  /** What to refresh once the client has its answer. */
  readonly refresh: Errand | undefined;
}

export type MovingState =
  | Selecting
  | Deciding
  | Joining
  | Waiting
  | Fetching
  | Freshening
  | Storing
  | FallingBack;

export type State = MovingState | Final;
export type StateKind = State['kind'];
export type MovingKind = MovingState['kind'];
