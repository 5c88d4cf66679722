/**
 * The words in which every protocol asks for one record and is answered. Protocols translate their
 * wire into a `ReadRequest` and print the `ReadResult`; below them nobody sees headers or packets.
 */
import type { DeltaSeconds, EpochMs, RecordId } from '../base/brands.ts';
import type { NodeError } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';
import type { RequestDirectives } from './directives.ts';
import type { Entry } from './entry.ts';

export interface ReadRequest {
  readonly id: RecordId;
  /** Normalised variant, '' when the table has none. */
  readonly variant: string;
  readonly directives: RequestDirectives;
  /**
   * Whether the client may force validation (policy `client.mayForceRevalidation`, or signed in).
   */
  readonly mayForce: boolean;
  /** The client's own deadline for waiting; its leaving or this ends its wait, not the fetch. */
  readonly deadline?: EpochMs | undefined;
  readonly signal?: StopSignal | undefined;
  /** Whether no other node may be asked for it; looked at for a fetch only. */
  readonly isOwnOnly?: boolean | undefined;
  /** In whose turn the origin is asked: a user or an address. Looked at for a fetch only. */
  readonly source?: string | undefined;
  /** Under which id of this node the origin is asked; looked at for a fetch only. */
  readonly requestId?: string | undefined;
}

/** Why a request went forward [RFC9211 §2.2]. */
export type ForwardReason =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'
  | 'partial';

/** What the caches did, to be printed as the `Cache-Status` field [RFC9211]. */
export interface CacheStatus {
  readonly hit: boolean;
  readonly fwd?: ForwardReason | undefined;
  readonly fwdStatus?: number | undefined;
  readonly stored?: boolean | undefined;
  readonly collapsed?: boolean | undefined;
  /** Remaining freshness lifetime in seconds; negative when stale. */
  readonly ttl?: number | undefined;
  /**
   * The named permission under which stale was served, or the error code that explains a failure.
   */
  readonly detail?: string | undefined;
}

export type Served = 'fresh' | 'stale' | 'validated' | 'fetched';

export type ReadResult =
  | {
      readonly kind: 'found';
      readonly entry: Entry;
      readonly age: DeltaSeconds;
      readonly served: Served;
      readonly cacheStatus: CacheStatus;
    }
  | {
      /**
       * The origin said so, or the table holds none. `entry` is the negative entry, when one is.
       */
      readonly kind: 'absent';
      readonly status: number;
      readonly age: DeltaSeconds;
      readonly served: Served;
      readonly cacheStatus: CacheStatus;
    }
  | { readonly kind: 'refused'; readonly cacheStatus: CacheStatus }
  | { readonly kind: 'failed'; readonly error: NodeError; readonly cacheStatus: CacheStatus };

/**
 * Receives the one answer of a read, at most once; a `found` entry is valid only during the call.
 */
export type Answer = (result: ReadResult) => void | Promise<void>;
