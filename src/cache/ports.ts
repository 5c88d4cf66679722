/**
 * What the read path needs from outside, in its own words: entries, invalidations, an origin and
 * leases. Adapters live elsewhere (`store/`, `origin/`) and run the contract suites of
 * `test/contract/`.
 */
import type {
  DurationMs,
  EntityTag,
  EpochMs,
  RecordId,
  RecordVersion,
  Sequence,
} from '../base/brands.ts';
import type { NodeError } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';
import type { ResponseDirectives } from './directives.ts';
import type { Entry, EntryKind, EntryMeta, StoredBody } from './entry.ts';

/** The entries of one table. */
export interface EntryStore {
  /**
   * Reads the entry of `id` and calls `fn` with it at once, before returning; the view must not
   * outlive `fn`. `variant` is '' for an entry without variants. An entry whose bytes cannot be
   * decoded is reported by the store and handed out as `undefined`.
   */
  withEntry<T>(id: RecordId, variant: string, fn: (entry: Entry | undefined) => T): T;
  /**
   * Stores what a fetch brought. Never throws for an outcome; rejects only for a store fault.
   * `superseded`: the row changed or was invalidated since the fetch began; `shed`: no room.
   */
  fill(draft: FillDraft, beside?: Beside | undefined): Promise<FillOutcome>;
  /** Stores what came beside a reply that is not stored itself. */
  fillBeside?(beside: Beside): Promise<void>;
}

/** What a fetch brought, judged and ready to be stored. */
export interface FillDraft {
  readonly id: RecordId;
  readonly variant: string;
  readonly kind: Exclude<EntryKind, 'tombstone'>;
  readonly status: number;
  readonly body: Uint8Array | StoredBody;
  readonly meta: EntryMeta;
  readonly entityTag?: EntityTag | undefined;
  /** The sequence when the fetch began: an invalidation after it wins. */
  readonly stamp: Sequence;
  /** The version of the row which the fetch was to replace; `undefined` when there was none. */
  readonly replaces: RecordVersion | undefined;
  readonly storedAt: EpochMs;
  readonly initialAge: DurationMs;
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
  readonly mustValidate: boolean;
  readonly staleForbidden: boolean;
}

export type FillOutcome =
  | { readonly kind: 'stored'; readonly sequence: Sequence; readonly version: RecordVersion }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'shed' };

/** What invalidation says of an entry. `soft` carries the instant from which it counts as stale. */
export type InvalidationVerdict =
  | { readonly kind: 'valid' }
  | { readonly kind: 'soft'; readonly at: EpochMs }
  | { readonly kind: 'hard' };

/** The invalidation order of one table, as this thread sees it now. */
export interface Invalidations {
  /** The node's newest sequence: what a fetch that begins now is stamped with. */
  stamp(): Sequence;
  /** Whether any scope of the entry (key, prefix, table, group) is newer than its stamp. */
  judge(entry: Entry): InvalidationVerdict;
  /**
   * Whether this node had, at that instant, a newer state of a record than the one which these
   * groups name: something made from them is no answer to who came then.
   */
  hasNewer(groups: readonly string[] | undefined, at: EpochMs): boolean;
  /** The newest invalidation that names this key, its prefix or its table; 0 when none. */
  newest(id: RecordId): Sequence;
}

/** One attempt to get a record from its origin, deadline and retries included. */
export interface OriginRequest {
  readonly id: RecordId;
  /** The entry to be validated: its tag and date go out as a conditional request. */
  readonly replacing: Entry | undefined;
  /** False forces an unconditional request even though `replacing` is given. */
  readonly conditional: boolean;
  /** A refresh behind a stale answer: uses the smaller background limiter. */
  readonly background: boolean;
  /**
   * Whether the word of another node's cache is as good: the reply is for all, and no reader
   * demanded that the origin itself be asked.
   */
  readonly peersMayAnswer?: boolean | undefined;
  readonly signal: StopSignal;
  /** In whose turn it is asked, where many want something. */
  readonly source?: string | undefined;
  /** Of the request that began the fetch, as this node named it: no word of a client. */
  readonly requestId?: string | undefined;
  /** What was given in the line: the fetch need not wait there again. */
  readonly turn?: Turn | undefined;
}

/**
 * Where calls wait before anything is made for them. Thousands do while cold keys are asked for,
 * and what they weigh is copied by the collector until they are served: hence no promises here.
 */
export interface CallLine {
  /** A fetch would begin, or be refused, at once. */
  readonly isFree: boolean;
  /** Tells `waiter` once, maybe before it returns. `source`: in whose turn. */
  wait(source: string | undefined, waiter: TurnWaiter): void;
}

export interface TurnWaiter {
  take(turn: Turn): void;
  /** As `fetch` would reject. */
  refuse(error: NodeError): void;
}

/** A place among the calls under way. */
export interface Turn {
  /** Gives it back if no call has used it. */
  free(): void;
}

/** Facts of an origin's reply which the cache rules look at; parsed once, at the edge. */
export interface ReplyFacts {
  readonly status: number;
  readonly requestedAt: EpochMs;
  readonly receivedAt: EpochMs;
  readonly directives: ResponseDirectives;
  /** `Age` of the reply; 0 when absent or invalid. */
  readonly age: DurationMs;
  readonly date?: EpochMs | undefined;
  /** `Expires`; `NEVER` when present but invalid [RFC9111 §5.3]. */
  readonly expires?: EpochMs | undefined;
  readonly lastModified?: EpochMs | undefined;
  readonly entityTag?: EntityTag | undefined;
  readonly vary?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly contentType?: string | undefined;
  /** Set by code (`context.freshUntil`): beats every directive. */
  readonly freshUntil?: EpochMs | undefined;
  /** Set by code (`context.noStore`): not even `origin: ignore` overrules it. */
  readonly noStore?: boolean | undefined;
  /** Another node has stored it under the same policy: its hooks have judged it there. */
  readonly isJudged?: boolean | undefined;
}

export type OriginReply = (
  | { readonly kind: 'found'; readonly body: Uint8Array; readonly facts: ReplyFacts }
  | { readonly kind: 'absent'; readonly facts: ReplyFacts }
  | { readonly kind: 'notModified'; readonly facts: ReplyFacts }
) & { readonly beside?: Beside | undefined };

/** Operations on rows of other tables, in the store's words: handed on to it unread. */
export type Beside = readonly object[];

export interface Origin {
  readonly name: string;
  /** For whoever can wait before its fetch is made. */
  readonly line?: CallLine | undefined;
  /** Resolves with a reply; rejects with a `NodeError` whose blame is `origin` when it failed. */
  fetch(request: OriginRequest): Promise<OriginReply>;
}

/**
 * What a flight ended with, shared by everyone who waited for it. `entry` owns its bytes; `stored`
 * says whether later reads find it in the store.
 */
export type FlightOutcome =
  | {
      readonly kind: 'reply';
      readonly entry: Entry;
      readonly stored: boolean;
      /** May be given to those who waited [R5]: not `private`, `no-store` or `no-cache`. */
      readonly shareable: boolean;
      /** Status the origin answered with: 304 when the stored entry was confirmed. */
      readonly originStatus: number;
    }
  | { readonly kind: 'failure'; readonly error: NodeError };

/**
 * The right to fetch a key, one at a time on the whole node. On a node with one thread it is
 * granted at once; with workers the store thread decides.
 */
export interface Leases {
  acquire(key: string, stamp: Sequence): Lease | Promise<Lease>;
}

export type Lease =
  | { readonly kind: 'lead'; settle(outcome: FlightOutcome): void }
  | { readonly kind: 'follow'; readonly outcome: Promise<FlightOutcome> };
