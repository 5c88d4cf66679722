/**
 * What a table needs from the store, in the domain's words. Reading works on every thread; writing
 * goes to the one thread that owns writes. Write operations and their outcomes are plain data
 * (strings, numbers, byte arrays), so that a worker can send them over a message port.
 *
 * Implemented by `store/lmdb` and `store/memory`; both run `test/contract/store.ts`.
 */
import type {
  DurationMs,
  EntityTag,
  Epoch,
  EpochMs,
  NodeId,
  Position,
  RecordId,
  RecordVersion,
  Sequence,
  TableName,
} from '../base/brands.ts';
import type {
  Entry,
  EntryKind,
  EntryMeta,
  IndexValue,
  StoredBlob,
  StoredBody,
} from '../cache/entry.ts';
import type { Invalidations } from '../cache/ports.ts';

// Reading ------------------------------------------------------------------------------------

export interface ScanOptions {
  /** Exclusive start (the last id of the page before). */
  readonly after?: RecordId | undefined;
  /** Only ids which begin with this string. */
  readonly prefix?: string | undefined;
  /** Rows of a page; the store may return fewer when its time for one read transaction is up. */
  readonly limit: number;
}

/** `after` continues the scan; `undefined` when it reached the end. */
export interface ScanPage {
  readonly next: RecordId | undefined;
}

/** An inclusive range over an index; equality has both ends the same. */
export interface IndexRange {
  readonly attribute: string;
  readonly from?: IndexValue | undefined;
  readonly to?: IndexValue | undefined;
}

/**
 * A range which may leave out its bounds, or hold the texts that begin with `prefix`. Where texts
 * are concerned it may yield more than was asked for (never less): the index shortens long ones.
 */
export interface IndexSpan extends IndexRange {
  readonly fromOpen?: boolean | undefined;
  readonly toOpen?: boolean | undefined;
  readonly prefix?: string | undefined;
}

/**
 * Where a record stands in an index. `value` is as the index holds it: long texts are shortened.
 */
export interface IndexHit {
  readonly value: IndexValue;
  readonly id: RecordId;
}

export interface IndexPageOptions {
  readonly limit: number;
  /** Goes on behind this hit, whether or not it still stands there. */
  readonly after?: IndexHit | undefined;
  /** Begins at this value, of whatever kind; `after` goes before it. */
  readonly from?: IndexValue | undefined;
  /** From the highest (value, id) to the lowest. */
  readonly isDescending?: boolean | undefined;
}

export interface StoreReader {
  readonly epoch: Epoch;
  readonly author: NodeId;
  /** The newest committed sequence. */
  lastSequence(): Sequence;
  /** The oldest sequence the change log still holds. */
  firstSequence(): Sequence;

  /**
   * Counts the commits that changed one of the watched tables: has moved, on every thread, before
   * such a commit is acknowledged. As cheap as reading a number.
   */
  watchedVersion(): number;

  /** As `EntryStore.withEntry`: `fn` is called at once, the view must not outlive it. */
  withEntry<T>(
    table: TableName,
    id: RecordId,
    variant: string,
    fn: (entry: Entry | undefined) => T,
  ): T;
  /** One page of a table in key order, tombstones and markers included; `visit` false ends it. */
  scan(
    table: TableName,
    options: ScanOptions,
    visit: (entry: Entry) => boolean | undefined,
  ): ScanPage;
  /** Ids under an index range in (value, id) order, one page. */
  idsByIndex(
    table: TableName,
    range: IndexRange,
    page: { readonly limit: number; readonly offset: number },
  ): readonly RecordId[];
  /** Hits of an index in (value, id) order, one page; fewer than `limit` means that it ended. */
  indexPage(table: TableName, span: IndexSpan, page: IndexPageOptions): readonly IndexHit[];
  /** Number of ids under a range, counted up to `max`. */
  countByIndex(table: TableName, range: IndexSpan, max: number): number;
  /** False while the index is being built, and so holds a part of the rows only. */
  isIndexComplete(table: TableName, attribute: string): boolean;
  /** Entries and bytes of a table, maintained by the commits (exact after start). */
  tableSize(table: TableName): { readonly entries: number; readonly bytes: number };

  /**
   * Changes after a sequence, oldest first, at most `max`; `truncated` when the log no longer
   * reaches back.
   */
  changesAfter(after: Sequence, max: number): ChangeBatch;
  invalidations(table: TableName): Invalidations;
  /** The scopes of an entry that were invalidated since its stamp; for an operator's eyes. */
  newerScopes(table: TableName, entry: Entry): readonly ScopeReport[];
  /** Calls `listener` on this thread soon after every commit, coalesced. */
  onCommit(listener: () => void): () => void;
}

/** A scope of invalidation which an entry belongs to. */
export interface ScopeReport {
  /** `floor`: stands for scopes that were forgotten, since there were too many. */
  readonly scope: 'table' | 'floor' | 'key' | 'prefix' | 'group';
  readonly name: string;
  readonly kind: 'hard' | 'soft';
  /** Newer than the stamp of the entry. */
  readonly sequence: number;
  /** When it was softly invalidated; of a hard one only the sequence is kept. */
  readonly at: string | null;
}

/** What happened to a record or a scope, in commit order. */
export interface Change {
  readonly sequence: Sequence;
  readonly version: RecordVersion;
  readonly author: NodeId;
  readonly at: EpochMs;
  readonly table: TableName;
  readonly op: 'put' | 'patch' | 'delete' | 'invalidate' | 'message';
  /** `undefined` when the change concerns the whole table. */
  readonly id: RecordId | undefined;
  /** The row before, when the ring still holds it. `null`: there was none. */
  readonly before?: Uint8Array | null | undefined;
  /**
   * The row after (or the message's body). Always present for `message` and for tables with
   * history; otherwise only while the ring holds it. `undefined`: read the current row.
   */
  readonly after?: Uint8Array | undefined;
  /** What its publisher said beside it; only for what was published over MQTT. */
  readonly publication?: Publication | undefined;
  /** Where other nodes are to hear of it, and more than the rest of it tells. */
  readonly relay?: Relay | undefined;
}

/** What an invalidation is about. */
export type InvalidationScope =
  | { readonly kind: 'key'; readonly id: RecordId }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'group'; readonly group: string }
  | { readonly kind: 'table' };

/** What the log keeps of a change for other nodes. */
export interface Relay {
  /**
   * Its place in the log of its author, and how much of that log was known before it. `null`: it
   * came out of order, from a snapshot or a repair. Absent: it was made here.
   */
  readonly origin?: { readonly sequence: Sequence; readonly after: Sequence } | null | undefined;
  readonly scope?: InvalidationScope | undefined;
  readonly soft?: boolean | undefined;
  readonly reason?: 'purge' | 'invalidate' | undefined;
  /** Nothing changed for anybody here; `changesAfter` passes it over. */
  readonly isQuiet?: boolean | undefined;
  /** A client's write to a cache: other nodes are to ask the origin again. */
  readonly isClients?: boolean | undefined;
  /** Stays on this node. */
  readonly isLocal?: boolean | undefined;
  /** Of one transaction with the change before it: readers see both, or neither. */
  readonly isJoined?: boolean | undefined;
}

/**
 * What came with a message, or with a record that was published: opaque to all but its protocol.
 */
export interface Publication {
  readonly properties: Uint8Array;
  /** The bytes as they were published, when `after` does not hold them: they are no JSON. */
  readonly payload?: Uint8Array | undefined;
}

export interface ChangeBatch {
  readonly changes: readonly Change[];
  /** True when changes between `after` and the first one returned are gone. */
  readonly truncated: boolean;
  /** Where to go on from. */
  readonly next: Sequence;
}

// Writing ------------------------------------------------------------------------------------

/** Preconditions of RFC 9110 §13, decided inside the commit. A tombstone counts as no record. */
export interface WriteCondition {
  readonly ifMatch?: readonly EntityTag[] | '*' | undefined;
  readonly ifNoneMatch?: readonly EntityTag[] | '*' | undefined;
  readonly ifUnmodifiedSince?: EpochMs | undefined;
}

/** When an entry is fresh and until when it may be used; see `cache/entry.ts`. */
export interface EntryTimes {
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
}

/**
 * Who writes. `client`: waits for durability, shed with 503 when the queue is full; `fill`: a cache
 * miss stored, first to be dropped; `feed`: an origin's live feed, never shed.
 */
export type WriteReason = 'client' | 'fill' | 'feed';

export type WriteOp =
  | {
      readonly kind: 'put';
      readonly table: TableName;
      readonly id: RecordId;
      readonly variant: string;
      readonly entryKind: Exclude<EntryKind, 'tombstone'>;
      readonly status: number;
      /** A `StoredBody` is given away: when the write is not stored, its file is removed. */
      readonly body: Uint8Array | StoredBody;
      readonly meta: EntryMeta;
      readonly entityTag?: EntityTag | undefined;
      readonly times: EntryTimes;
      readonly storedAt: EpochMs;
      readonly initialAge: DurationMs;
      readonly mustValidate: boolean;
      readonly staleForbidden: boolean;
      readonly reason: WriteReason;
      readonly condition?: WriteCondition | undefined;
      /**
       * Fills and feed events: the sequence when the fetch began. The write is `superseded` when an
       * invalidation of its scope is newer. Absent: the write's own sequence becomes the stamp.
       */
      readonly stamp?: Sequence | undefined;
      /** Fills: the version which was to be replaced (0: no row); another row there supersedes. */
      readonly replaces?: RecordVersion | undefined;
      /**
       * Kept with the entry and in the log, with the bytes: each is told of, equal ones too. See
       * `Publication`.
       */
      readonly publication?: Uint8Array | undefined;
      /** The attributes `@createdTime` / `@updatedTime` to set inside the commit. */
      readonly stampAttributes?:
        | { readonly created?: string | undefined; readonly updated?: string | undefined }
        | undefined;
      /** Bytes of the `Blob` attributes which the record refers to; given away as the body is. */
      readonly blobs?: Readonly<Record<string, StoredBlob>> | undefined;
      /** No other node is to see it: replication/SPEC.md §15. */
      readonly isLocal?: boolean | undefined;
    }
  | {
      readonly kind: 'patch';
      readonly table: TableName;
      readonly id: RecordId;
      /**
       * JSON object. `merge`: top-level properties, counters by `__op__`; `merge-patch`: RFC 7396.
       */
      readonly patch: Uint8Array;
      readonly format: 'merge' | 'merge-patch';
      /** Bytes of the `Blob` attributes which the patch sets; given away as a put's body is. */
      readonly blobs?: Readonly<Record<string, StoredBlob>> | undefined;
      readonly times: EntryTimes | undefined;
      readonly reason: WriteReason;
      readonly condition?: WriteCondition | undefined;
      /** Whether a patch of nothing makes a new record (or is `absent`). */
      readonly create: boolean;
      readonly isLocal?: boolean | undefined;
      readonly stampAttributes?:
        | { readonly created?: string | undefined; readonly updated?: string | undefined }
        | undefined;
    }
  | {
      readonly kind: 'delete';
      readonly table: TableName;
      readonly id: RecordId;
      readonly reason: WriteReason;
      /** Takes away only what was written for this node. */
      readonly isLocal?: boolean | undefined;
      readonly condition?: WriteCondition | undefined;
      readonly publication?: Uint8Array | undefined;
    }
  | {
      readonly kind: 'invalidate';
      readonly table: TableName;
      readonly scope: InvalidationScope;
      readonly soft: boolean;
      readonly reason: 'purge' | 'invalidate';
    }
  | {
      readonly kind: 'message';
      readonly table: TableName;
      readonly id: RecordId;
      readonly body: Uint8Array;
      readonly contentType?: string | undefined;
      readonly publication?: Uint8Array | undefined;
    }
  | {
      readonly kind: 'evict';
      readonly table: TableName;
      readonly id: RecordId;
      readonly variant: string;
    };

export type WriteOutcome =
  | {
      readonly kind: 'stored';
      readonly sequence: Sequence;
      readonly version: RecordVersion;
      readonly entityTag: EntityTag;
      readonly created: boolean;
      /** Equal bytes: neither the log nor subscribers hear of it. */
      readonly unchanged: boolean;
    }
  | { readonly kind: 'deleted'; readonly sequence: Sequence }
  | { readonly kind: 'invalidated'; readonly sequence: Sequence }
  | { readonly kind: 'evicted' }
  /** A delete or patch of a record that is not there. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'preconditionFailed'; readonly current: EntityTag | undefined }
  /** A fill that lost against a newer write or invalidation. */
  | { readonly kind: 'superseded' }
  /** The merged record breaks the schema; `problem` names the attribute. */
  | { readonly kind: 'invalid'; readonly problem: string }
  /** Not stored for want of room: queue or disk. */
  | { readonly kind: 'shed'; readonly code: 'WRITE_QUEUE_FULL' | 'STORE_FULL' };

/** `flushed`: after fsync. `process`: after commit; survives the process, not the power. */
export type Durability = 'flushed' | 'process';

/**
 * `each`: operations are committed together, but one that fails (a precondition, say) fails alone.
 * `all`: when one fails, nothing is written; the outcomes say which it was.
 */
export type Unity = 'each' | 'all';

/** Whether an operation did what it was to do. */
export function succeeded({ kind }: WriteOutcome): boolean {
  return kind === 'stored' || kind === 'deleted' || kind === 'invalidated' || kind === 'evicted';
}

export interface StoreWriter {
  /**
   * Commits the operations together, in order, each with its own outcome; `unity` is `each` unless
   * it is given. Resolves when they are visible on every thread and as
   * durable as asked. Rejects with `STORE_FAILED` only when the commit itself failed.
   */
  commit(
    ops: readonly WriteOp[],
    durability: Durability,
    unity?: Unity,
  ): Promise<readonly WriteOutcome[]>;
  /**
   * `count` consecutive numbers for generated keys of a table, never given before on any thread or
   * by an earlier run; the first of them. Rejects with `TABLE_UNKNOWN`, `SHUTTING_DOWN`,
   * `STORE_FAILED`.
   */
  reserveIds(table: TableName, count: number): Promise<number>;
}

/** A sequence as clients hold it. */
export const formatPosition = (epoch: Epoch, offset: Sequence): Position =>
  `${epoch}.${offset}` as Position;
