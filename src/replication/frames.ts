/**
 * The frames between two nodes, as plain data; `SPEC.md` §2 says what each means and who sends it.
 * Cursors are lists of pairs here, so that any codec can carry them. What comes in is an `unknown`
 * until `frame-check.ts` has looked at every field.
 */
import type { EpochMs, NodeId, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { PageAsked, PeerReply } from '../cache/peer-reply.ts';
import type { RowState } from '../cache/row-state.ts';
import type { InvalidationItem, Item, ReplicatedTable } from './ports.ts';
import type { Selection } from './selection.ts';

/** The newest and the oldest form of these frames that this code speaks. */
export const PROTOCOL = 3;
export const PROTOCOL_OLDEST = 1;
/** The first form in which a node may be asked for a record of a cache. */
export const PROTOCOL_OF_MISSES = 2;
/** The first form in which it may be asked for a page, and for the body of a row. */
export const PROTOCOL_OF_PAGES = 3;
export const PROTOCOL_OF_BODIES = 3;

export type CursorPairs = readonly (readonly [author: NodeId, sequence: Sequence])[];

/** A node of the cluster; of two under one name the greater version is in force. */
export interface Member {
  readonly name: string;
  readonly urls: readonly string[];
  readonly version: number;
  readonly isLeft: boolean;
}

/** Why a connection is ended; the closed union of `bye`. */
export type ByeCode =
  | 'CLUSTER_OTHER'
  | 'DUPLICATE_NODE'
  | 'FRAME_INVALID'
  | 'LEAVING'
  | 'NAME_MISMATCH'
  | 'NOT_A_MEMBER'
  | 'PROTOCOL_UNKNOWN'
  | 'SELF'
  | 'SPARE'
  | 'STALLED';

export interface HelloFrame {
  readonly kind: 'hello';
  readonly protocol: number;
  readonly oldest: number;
  readonly cluster: string;
  readonly name: string;
  readonly author: NodeId;
  /** One run of the process. */
  readonly instance: string;
  readonly now: EpochMs;
  readonly tables: readonly ReplicatedTable[];
  readonly selection: Selection;
  readonly members: readonly Member[];
  readonly joining: boolean;
  /** As in a heartbeat. */
  readonly published?: Sequence | undefined;
}

export interface ByeFrame {
  readonly kind: 'bye';
  readonly code: ByeCode;
  readonly message: string;
  readonly retryMs: number;
}

export interface OpenFrame {
  readonly kind: 'open';
  readonly stream: number;
  /** `own`: only what the server's own lives changed. */
  readonly scope: 'all' | 'own';
  readonly cursors: CursorPairs;
  readonly direct: readonly NodeId[];
  readonly window: number;
}

export interface BeginFrame {
  readonly kind: 'begin';
  readonly stream: number;
  readonly mode: 'stream' | 'snapshot' | 'later';
  /** The end of the server's log as it is now. */
  readonly last: Sequence;
  /**
   * `stream`: each author is told of from here on. `snapshot`: what may be raised at its end.
   */
  readonly covers: CursorPairs;
  readonly retryMs: number;
}

export interface BatchFrame {
  readonly kind: 'batch';
  readonly stream: number;
  readonly ordinal: number;
  readonly items: readonly Item[];
  readonly cursors: CursorPairs;
  readonly at: Sequence;
  readonly last: Sequence;
  /** With entries of caches: the sender's clock, and its cursors before it read them. */
  readonly now?: EpochMs | undefined;
  readonly obeyed?: CursorPairs | undefined;
}

export interface AckFrame {
  readonly kind: 'ack';
  readonly stream: number;
  readonly ordinal: number;
  readonly cursor: Sequence;
}

export interface RestartFrame {
  readonly kind: 'restart';
  readonly stream: number;
}

export interface PageRequestFrame {
  readonly kind: 'pageRequest';
  readonly request: number;
  readonly table: TableName;
  readonly after?: RecordId | undefined;
  readonly buckets?: readonly number[] | undefined;
}

export interface PageRow {
  readonly id: RecordId;
  readonly state: RowState;
}

export interface PageFrame {
  readonly kind: 'page';
  readonly request: number;
  readonly rows: readonly PageRow[];
  readonly next?: RecordId | undefined;
}

export interface DigestRequestFrame {
  readonly kind: 'digestRequest';
  readonly request: number;
  /** Absent: one digest of each table. */
  readonly table?: TableName | undefined;
}

export interface DigestsFrame {
  readonly kind: 'digests';
  readonly request: number;
  /** Of each table that has them: two halves. */
  readonly tables: readonly (readonly [TableName, number, number])[];
  /** Of one table: 4,096 pairs of halves, 32 bits each, little-endian; empty while rebuilt. */
  readonly buckets?: Uint8Array | undefined;
}

/** Some bytes of a body that a row names. */
export interface BodyRequestFrame {
  readonly kind: 'bodyRequest';
  readonly request: number;
  readonly table: TableName;
  readonly id: RecordId;
  /** Hex digest (SHA-256) of all of it. */
  readonly digest: string;
  readonly from: number;
}

export interface BodyFrame {
  readonly kind: 'body';
  readonly request: number;
  /** Empty: it is not there. */
  readonly bytes: Uint8Array;
}

export interface PurgeFrame {
  readonly kind: 'purge';
  readonly item: InvalidationItem;
}

export interface PurgedFrame {
  readonly kind: 'purged';
  readonly author: NodeId;
  readonly sequence: Sequence;
}

export interface MembersFrame {
  readonly kind: 'members';
  readonly members: readonly Member[];
}

export interface HeartbeatFrame {
  readonly kind: 'heartbeat';
  readonly nonce: number;
  readonly now: EpochMs;
  readonly last: Sequence;
  readonly cursor: Sequence;
  readonly joining: boolean;
  /** The backbone is told of the sender's own changes, or will be, up to this one. */
  readonly published?: Sequence | undefined;
}

export interface EchoFrame {
  readonly kind: 'echo';
  readonly nonce: number;
  readonly now: EpochMs;
}

/** A record of a cache is missing at the sender, who would have it of the receiver. */
export interface MissFrame {
  readonly kind: 'miss';
  readonly request: number;
  readonly table: TableName;
  readonly id: RecordId;
  readonly page?: PageAsked | undefined;
  /** The sender holds this version, and needs its body no more. */
  readonly tag?: string | undefined;
  /** Only what is held fresh: nobody is asked for it. */
  readonly isPeek: boolean;
  /** Nodes that would be asked before, and do not answer. */
  readonly without: readonly string[];
  /** Invalidations that the sender has obeyed: who has not may not answer. */
  readonly known: CursorPairs;
  /** Of them, those that came ahead of their place. */
  readonly ahead: CursorPairs;
}

/** The answer to a miss is on its way, and may take as long as an origin takes. */
export interface MissHeardFrame {
  readonly kind: 'missHeard';
  readonly request: number;
}

export interface RecordFrame {
  readonly kind: 'record';
  readonly request: number;
  readonly reply: PeerReply;
}

export type MissFrames = MissFrame | MissHeardFrame | RecordFrame;

export type ReplyFrame = PageFrame | DigestsFrame | BodyFrame;

export type Frame =
  | HelloFrame
  | ByeFrame
  | OpenFrame
  | BeginFrame
  | BatchFrame
  | AckFrame
  | RestartFrame
  | PageRequestFrame
  | PageFrame
  | DigestRequestFrame
  | DigestsFrame
  | BodyRequestFrame
  | BodyFrame
  | PurgeFrame
  | PurgedFrame
  | MembersFrame
  | MissFrame
  | MissHeardFrame
  | RecordFrame
  | HeartbeatFrame
  | EchoFrame;
