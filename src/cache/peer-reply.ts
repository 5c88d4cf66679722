/**
 * What caches of two nodes say to one another (`cluster.shield`), as plain data for threads and
 * connections: a miss, and what is held or became of it. Times are spans, since clocks differ.
 */
import type { EntityTag, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';

/** A page, as its origin would be asked for it: every field that the reply may depend on. */
export interface PageAsked {
  /** Path and query. */
  readonly target: string;
  readonly host: string;
  readonly scheme: 'http' | 'https';
  /** Of the client, for the fields that trace a request. */
  readonly address: string;
  readonly fields: readonly string[];
}

export interface PeerMiss {
  readonly table: TableName;
  readonly id: RecordId;
  readonly page?: PageAsked | undefined;
  /** What is held and may be confirmed. */
  readonly tag?: EntityTag | undefined;
  /** The newest sequence of this node when it asks: what it had invalidated is not to come back. */
  readonly stamp: Sequence;
}

export interface PeerRecord {
  /** `unchanged`: what was named by its tag holds. */
  readonly kind: 'found' | 'absent' | 'unchanged';
  readonly status: number;
  readonly body?: Uint8Array | undefined;
  readonly tag?: string | undefined;
  readonly contentType?: string | undefined;
  readonly originTag?: string | undefined;
  readonly lastModified?: number | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly ageMs: number;
  readonly freshMs: number;
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  readonly staleForbidden: boolean;
  /** Of a page: its stored lines. */
  readonly fieldLines?: string | undefined;
}

/** Failures of which the origin itself is the cause: it would answer nobody else better. */
export const SHARED_FAILURES = [
  'ORIGIN_BODY_INVALID',
  'ORIGIN_BODY_TOO_LARGE',
  'ORIGIN_STATUS',
  'ORIGIN_TIMED_OUT',
] as const satisfies readonly ErrorCode[];

export interface PeerFailure {
  readonly kind: 'failed';
  readonly code: (typeof SHARED_FAILURES)[number];
  readonly message: string;
  readonly status?: number | undefined;
}

/** `none`: ask the origin. `unshared`: the next times too, this page is not for others. */
export type PeerReply =
  | { readonly kind: 'none' }
  | { readonly kind: 'unshared' }
  | PeerFailure
  | PeerRecord;

export const NO_REPLY: PeerReply = Object.freeze({ kind: 'none' });
export const UNSHARED: PeerReply = Object.freeze({ kind: 'unshared' });

/** The caches of other nodes; never rejects. */
export interface PeerReads {
  ask(miss: PeerMiss, signal: StopSignal): Promise<PeerReply>;
}

/** Of a node that is in no cluster, or has not begun to take part. */
export const NO_PEERS: PeerReads = { ask: () => Promise.resolve(NO_REPLY) };

/** The field by which a reader says that no other node is to be asked: `X-Replicate-From: none`. */
export const REPLICATE_FROM = 'x-replicate-from';

export const isOwnOnly = (field: string | undefined): boolean =>
  field?.trim().toLowerCase() === 'none';
