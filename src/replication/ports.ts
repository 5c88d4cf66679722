/**
 * What replication needs from the store and from a connection between two nodes, and the shapes
 * that travel. `SPEC.md` says what they mean. All of it is plain data (numbers, texts, bytes,
 * arrays, objects), so that a store on another thread or a codec can carry it.
 *
 * Implemented by `store/` and by `test/simulation/` (`ReplicaStore`), by `protocols/replication/`
 * and the simulated network (`ChangeLink`, `Dialler`).
 */
import type {
  EpochMs,
  NodeId,
  RecordId,
  RecordVersion,
  Sequence,
  TableName,
} from '../base/brands.ts';
import type { RowState } from '../cache/row-state.ts';
import type { SharedEntry } from '../cache/shared-entry.ts';
import type { WriteOp } from '../table/store-port.ts';

// What travels ------------------------------------------------------------------------------------

/** Author → how much of its log is known: every change it made up to this sequence. */
export type Cursors = ReadonlyMap<NodeId, Sequence>;

/** The place of a change in the log of its author. */
export interface Origin {
  readonly author: NodeId;
  readonly sequence: Sequence;
  /**
   * The cursor of that author just before the change was applied here (of a change made here it is
   * not asked for). All that the author changed after `after` up to `sequence` stands in this log
   * at this place or behind it: where a relay may begin.
   */
  readonly after: Sequence;
}

export type InvalidationScope = Extract<WriteOp, { kind: 'invalidate' }>['scope'];

/** The present state of a row; without an origin from snapshots and repairs. */
export interface RowItem {
  readonly kind: 'row';
  readonly table: TableName;
  readonly id: RecordId;
  readonly state: RowState;
  readonly origin?: Origin | undefined;
  readonly isJoined?: boolean | undefined;
}

/** Something is not to be reused. Takes effect on arrival, whatever its clock says. */
export interface InvalidationItem {
  readonly kind: 'invalidation';
  readonly table: TableName;
  readonly scope: InvalidationScope;
  readonly soft: boolean;
  readonly reason: 'purge' | 'invalidate';
  readonly version: RecordVersion;
  readonly origin: Origin;
  /** It took effect already, when it was announced: the log takes it, and nothing else. */
  readonly isKnown?: boolean | undefined;
}

export interface MessageItem {
  readonly kind: 'message';
  readonly table: TableName;
  readonly id: RecordId;
  readonly body: Uint8Array;
  readonly contentType?: string | undefined;
  readonly publication?: Uint8Array | undefined;
  readonly version: RecordVersion;
  readonly origin: Origin;
}

/** An entry of a cache as it stands; `SPEC.md` §14. */
export interface EntryItem {
  readonly kind: 'entry';
  readonly table: TableName;
  readonly id: RecordId;
  readonly entry: SharedEntry;
  readonly origin: Origin;
}

export type Item = RowItem | InvalidationItem | MessageItem | EntryItem;

// The store ---------------------------------------------------------------------------------------

/**
 * An author is one unbroken run of sequences: a store that cannot prove that it lost nothing begins
 * a new epoch with a new author, and so does one restored from a backup. Sequences go on.
 */
export interface Life {
  readonly author: NodeId;
  /** Sequences above this one, up to the `since` of the next life, are this author's. */
  readonly since: Sequence;
}

/**
 * A state of the store that is kept for good. The cursors are those of that very commit; own lives
 * are among them, each at the last change it made itself (not at the end of the log, which holds
 * changes of others too: else every node would seem to miss what nobody made).
 */
export interface Horizon {
  readonly sequence: Sequence;
  readonly cursors: Cursors;
}

/** How changes of a table travel. */
export interface ReplicatedTable {
  readonly name: TableName;
  readonly database: string;
  /** `rows`: row states. `invalidations`: a client's write travels as invalidation of its key. */
  readonly mode: 'rows' | 'invalidations';
  /** A cache whose entries travel beside what invalidates them; absent: not. */
  readonly sharesEntries?: boolean | undefined;
}

export interface LoggedRow {
  readonly kind: 'row';
  readonly table: TableName;
  readonly id: RecordId;
  /** Of the change; versions of one author rise along its log. */
  readonly version?: RecordVersion | undefined;
  /** Of one transaction with the entry before it. */
  readonly isJoined?: boolean | undefined;
}

/** What a log entry has to tell other nodes; rows are read when they are sent. */
export type LogEntry = {
  readonly sequence: Sequence;
  /** Absent for what snapshots and repairs brought. */
  readonly origin?: Origin | undefined;
} & (
  | LoggedRow
  | Omit<InvalidationItem, 'origin' | 'isKnown'>
  | Omit<MessageItem, 'origin'>
  /** An entry of a cache was filled; it is read when it is sent. */
  | { readonly kind: 'entry'; readonly table: TableName; readonly id: RecordId }
  /** Nothing: fills, tables and writes that stay on the node. */
  | { readonly kind: 'none'; readonly isJoined?: boolean | undefined }
);

export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** Where to go on from. */
  readonly next: Sequence;
  /** Entries behind `after` are no longer held. */
  readonly isTruncated: boolean;
}

export interface RowPageOptions {
  /** Exclusive start. */
  readonly after?: RecordId | undefined;
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Only rows of these buckets of the digest (`row-digest.ts`). */
  readonly buckets?: ReadonlySet<number> | undefined;
}

export interface RowPage {
  readonly rows: readonly { readonly id: RecordId; readonly state: RowState }[];
  /** The id to go on after; absent at the end. A page may be empty and not the last. */
  readonly next?: RecordId | undefined;
}

/** One commit of what another node sent. */
export interface RemoteBatch {
  readonly items: readonly Item[];
  /** Raised to at least these, in the same commit. */
  readonly cursors: Cursors;
  /** Set in the same commit; `null` removes a note. */
  readonly notes?: Readonly<Record<string, unknown>> | undefined;
  /** Drops what every cache table holds: changes were skipped that may have invalidated it. */
  readonly invalidateCaches?: boolean | undefined;
  /** What is to be known of the entries of caches among the items; without it they are dropped. */
  readonly entries?: EntryFacts | undefined;
  /** Outside of the order of the log: no cursor moves, and it is not passed on. */
  readonly isAhead?: boolean | undefined;
}

export interface EntryFacts {
  /** The sender's cursors before it read them: what it had obeyed. */
  readonly obeyed: Cursors;
  /** When they were sent, by the steady clock of this store; or earlier. */
  readonly sentAt: EpochMs;
  /** Of two fills whose replies came so close together neither counts as the later. */
  readonly doubtMs: number;
}

export interface ApplyReport {
  /** Rows that changed. */
  readonly merged: number;
  /** Rows of which all was known. */
  readonly unchanged: number;
  /** Items of tables that this node does not have. */
  readonly unknown: number;
}

/** 4,096 digests of 64 bits, as pairs of halves; their XOR is the digest of the table. */
export type TableDigest = Uint32Array;

/** A body in a file that a row names and that is not here. */
export interface WantedBody {
  readonly table: TableName;
  readonly id: RecordId;
  readonly length: number;
  /** Hex digest (SHA-256) of the bytes. */
  readonly digest: string;
}

/** A body that is being fetched, from its beginning on. */
export interface BodySink {
  readonly length: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves with whether it is what its digest says; it is then kept as a client's write is. */
  finish(): Promise<boolean>;
  discard(): void;
}

/** The bodies of rows that are too large to travel with them. */
export interface ReplicaBodies {
  isMissing(wanted: WantedBody): boolean;
  /** Calls `listener` with those which rows that came have named. */
  onMissing(listener: (wanted: readonly WantedBody[]) => void): void;
  /** All that are missing, in pages: what a run before this one did not get. */
  missing(): AsyncIterable<readonly WantedBody[]>;
  begin(wanted: WantedBody): Promise<BodySink>;
  /** `undefined` when it is not here. */
  read(
    wanted: Pick<WantedBody, 'table' | 'id' | 'digest'>,
    from: number,
    max: number,
  ): Promise<Uint8Array | undefined>;
}

export interface ReplicaStore {
  /** Absent where no body is too large for a row. */
  readonly bodies?: ReplicaBodies | undefined;
  /** By table: rows that came and met a change which their author had not seen, and did not win. */
  readonly conflicts?: ReadonlyMap<TableName, number> | undefined;
  /** Who writes here now: the last of `lives`. */
  readonly author: NodeId;
  readonly lives: readonly Life[];
  /** The steady clock: wall time at start and what passed since, whatever the wall clock did. */
  now(): EpochMs;
  /** The greatest version given out or taken. */
  newestVersion(): RecordVersion;
  tables(): readonly ReplicatedTable[];
  horizon(): Horizon;
  /** The oldest sequence that the log holds; one above the horizon when it holds none. */
  firstSequence(): Sequence;
  logAfter(after: Sequence, max: number): LogPage;
  /** Absent: never written, or forgotten (evicted, a tombstone past its retention). */
  rowState(table: TableName, id: RecordId): RowState | undefined;
  /** Of a cache: the entry, when another node may use it. */
  heldEntry(table: TableName, id: RecordId): SharedEntry | undefined;
  rowPage(table: TableName, options: RowPageOptions): RowPage;
  /** Absent while it is being rebuilt. */
  digest(table: TableName): TableDigest | undefined;
  /**
   * Merges, remembers and raises cursors in one commit; resolves when it is as durable as a
   * client's write. An item with an origin gets a log entry even when its state was known (a relay
   * must be able to pass it on), though subscribers do not hear of it; one at or below the cursor
   * of its author is passed over.
   */
  apply(batch: RemoteBatch): Promise<ApplyReport>;
  /** What `apply` set under a name. */
  note(name: string): unknown;
  /** Calls `listener` soon after the horizon moved. */
  onHorizon(listener: () => void): () => void;
  /**
   * The clock of this node runs ahead of most others by so much: its own writes are refused until
   * it is called with 0.
   */
  setClockAhead(ms: number): void;
  /** A node named here says that another has this one's name: writes are refused meanwhile. */
  setNameTaken(by: string | undefined): void;
  /** What the others hold is still to come: patches of rows that are not here are refused. */
  setCatchingUp(isCatchingUp: boolean): void;
  /**
   * Writes rows whose stamps lie ahead of the clock by more than `clockAheadMsMax` anew, whoever
   * wrote them, under stamps of now, and has the clock begin from now. Called when others say that
   * this clock is right: then nobody whose clock is right has taken those stamps.
   */
  restampAhead(): Promise<void>;
}

// The connection ----------------------------------------------------------------------------------

export interface LinkUser {
  /** What it throws ends the connection as a fault of the peer. */
  received(frame: unknown, bytes: number): void;
  /** There is room again after `send` said that there is none. */
  drained(): void;
  gone(why: string): void;
}

/** Frames in order, each whole, or the end of it: lost frames end the connection. */
export interface ChangeLink {
  /** The name which the other node has proved. */
  readonly peer: string;
  readonly side: 'dialler' | 'listener';
  /** Begins to read; once. */
  use(user: LinkUser): void;
  /** False: the frame is on its way, but the next should wait for `drained`. Never throws. */
  send(frame: Readonly<Record<string, unknown>>): boolean;
  close(why: string): void;
}

/** Opens a connection; rejects when nobody answers or one does not believe the other. */
export type Dialler = (url: string) => Promise<ChangeLink>;
