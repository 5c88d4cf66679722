/**
 * One transaction in the making: the instant, the sequences and versions it gives out, the changes
 * it will publish, and the sizes of the tables it touches. It works on copies: when the transaction
 * fails, the batch is thrown away and nothing of the store's own state has moved.
 */

import type { NodeId, TableName } from '../../base/brands.ts';
import {
  type EpochMs,
  epochMs,
  type RecordVersion,
  type Sequence,
  sequence,
} from '../../base/brands.ts';
import { type HybridClock, versionAt } from '../../base/hlc.ts';
import type { IndexedValues, StoredBody } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Change } from '../../table/store-port.ts';
import { loadBody } from '../bodies.ts';
import { encodeChange } from '../change-format.ts';
import { EntryView } from '../entry-view.ts';
import {
  type LogState,
  readTableSize,
  type TableSize,
  writeLogState,
  writeTableSize,
} from '../meta.ts';
import type { DroppedName, RecordInterest } from '../record-interest.ts';
import type { TableDigests } from '../replica/digests.ts';
import type { ScopeRegistry } from '../scopes.ts';
import { type TableTrees, type Trees, tableOf } from '../tables.ts';

/** Why entries were removed other than by clients. */
export type EvictionReason = 'expired' | 'tombstone' | 'pressure' | 'scope' | 'asked';

/** What the store asks of the layer above, inside a commit. */
export interface RecordRules {
  /** The index values of a merged record. */
  indexedValues(table: TableName, record: Readonly<Record<string, unknown>>): IndexedValues;
  /** What is wrong with a merged record; `undefined` when nothing is. */
  checkRecord(table: TableName, record: Readonly<Record<string, unknown>>): string | undefined;
}

export interface BatchParts {
  readonly trees: Trees;
  readonly scopes: ScopeRegistry;
  readonly interest: RecordInterest;
  readonly rules: RecordRules;
  readonly author: NodeId;
  readonly clock: HybridClock;
  readonly inlineBodyBytesMax: number;
  /** Absent when the node is alone: then nothing is kept for other nodes. */
  readonly replica?: ReplicaParts | undefined;
  /** Tables whose changes every thread notices at once. */
  readonly watched: ReadonlySet<TableName>;
  readonly onUndecodable: (table: TableName, id: string | number) => void;
}

/** What a commit keeps up for other nodes. */
export interface ReplicaParts {
  /** The steady clock, from which versions are made. */
  readonly now: () => EpochMs;
  readonly digests: TableDigests;
  /** Whether the rows of a table are held by other nodes too. */
  hasRows(table: TableName): boolean;
  /** Whether what fills a cache is sent to other nodes. */
  sharesEntries(table: TableName): boolean;
}

/** Bytes that a log entry costs beside its value: key and page overhead. */
const LOG_ENTRY_BYTES = 24;

/** A change for the log; made here unless it says whose it is. */
export type Appended = Omit<Change, 'sequence' | 'author' | 'at'> & {
  readonly author?: NodeId | undefined;
};

export class Batch {
  readonly parts: BatchParts;
  readonly trees: Trees;
  readonly now: EpochMs;
  readonly state: LogState;
  readonly changes: Change[] = [];
  /** Each change as the ring keeps it, without bodies. */
  readonly heads: Uint8Array[] = [];
  /** Files that no row names any more. */
  readonly releasedFiles: StoredBody[] = [];
  /** Names of records which entries do not hold any more. */
  readonly droppedNames: DroppedName[] = [];
  readonly evicted = new Map<string, { table: TableName; reason: EvictionReason; count: number }>();
  /** What is to be done once the commit is in force, before anybody hears of it. */
  readonly afterCommit: (() => void)[] = [];
  /** Something of a watched table was changed. */
  touchesWatched = false;
  readonly #sizes = new Map<TableName, TableSize>();
  #isUnited = false;
  #unitedFrom = 0;

  constructor(parts: BatchParts, state: LogState, now: EpochMs) {
    this.parts = parts;
    this.trees = parts.trees;
    this.state = { ...state };
    this.now = now;
  }

  table(name: TableName): TableTrees {
    return tableOf(this.trees, name);
  }

  nextVersion(): RecordVersion {
    const version = this.parts.clock.next(this.parts.replica?.now() ?? this.now);
    this.#goOnFrom(version);
    return version;
  }

  /** Makes later versions greater than one that another node has given. */
  observe(version: RecordVersion): void {
    // Of a row that is to be stamped anew still: it must not move the clock ahead again.
    if (!this.parts.clock.isSettled && version > this.#latest) return;
    this.parts.clock.observe(version);
    if (version > this.state.version) this.state.version = version;
  }

  /**
   * Versions go on from this one, even back; see `HybridClock.reset`. What is kept of the clock
   * stays ahead until it is settled, so that the work is taken up again after a crash.
   */
  resetClock(version: RecordVersion): void {
    this.parts.clock.reset(version);
  }

  settleClock(): void {
    const { clock } = this.parts;
    clock.settle();
    this.state.version = clock.last;
  }

  #goOnFrom(version: RecordVersion): void {
    const { version: kept } = this.state;
    this.state.version = this.parts.clock.isSettled || version > kept ? version : kept;
  }

  /** The latest stamp that anybody takes whose clock is right. */
  get #latest(): RecordVersion {
    const now = this.parts.replica?.now() ?? this.now;
    return versionAt(epochMs(now + LIMITS.clockAheadMsMax));
  }

  /** What `run` changes is one transaction for other nodes, too. */
  unite<T>(run: () => T): T {
    this.#isUnited = this.parts.replica !== undefined;
    this.#unitedFrom = this.changes.length;
    try {
      return run();
    } finally {
      this.#isUnited = false;
    }
  }

  /** The sequence which the next change will have. */
  upcoming(): Sequence {
    return sequence(this.state.sequence + 1);
  }

  /** Appends to the log; subscribers hear of it once the batch has committed. */
  append(change: Appended): Sequence {
    const next = this.upcoming();
    const whole: Change = {
      sequence: next,
      version: change.version,
      author: change.author ?? this.parts.author,
      at: this.now,
      table: change.table,
      op: change.op,
      id: change.id,
      before: change.before,
      after: change.after,
      publication: change.publication,
      relay: this.#relayOf(change),
    };
    const keepBody =
      change.op === 'message' ||
      change.publication !== undefined ||
      this.table(change.table).definition.history;
    const head = encodeChange(whole, false);
    const bytes = keepBody ? encodeChange(whole, true) : head;
    this.trees.log.put(next, bytes);
    this.state.sequence = next;
    this.state.logEntries += 1;
    this.state.logBytes += bytes.length + LOG_ENTRY_BYTES;
    this.changes.push(whole);
    this.heads.push(head);
    this.touchesWatched ||= this.parts.watched.has(change.table);
    return next;
  }

  #relayOf({ relay }: Appended): Change['relay'] {
    const isJoined = this.#isUnited && this.changes.length > this.#unitedFrom;
    return isJoined ? { ...relay, isJoined } : relay;
  }

  /** Notes that the oldest log entry, with a value of so many bytes, was removed. */
  trimmed(at: Sequence, valueBytes: number): void {
    this.state.first = sequence(at + 1);
    this.state.logEntries -= 1;
    this.state.logBytes -= valueBytes + LOG_ENTRY_BYTES;
  }

  /** The table's size as of now, inside the transaction. */
  sizeOf(table: TableName): TableSize {
    let size = this.#sizes.get(table);
    if (size === undefined) {
      size = readTableSize(this.trees.meta, table);
      this.#sizes.set(table, size);
    }
    return size;
  }

  resize(table: TableName, entries: number, bytes: number): void {
    const size = this.sizeOf(table);
    size.entries = Math.max(0, size.entries + entries);
    size.bytes = Math.max(0, size.bytes + bytes);
  }

  newView(): EntryView {
    return new EntryView((id, whole) => loadBody(this.trees.bodies, id, whole));
  }

  noteEviction(table: TableName, reason: EvictionReason): void {
    const key = `${reason}/${table}`;
    const found = this.evicted.get(key);
    if (found === undefined) this.evicted.set(key, { table, reason, count: 1 });
    else found.count += 1;
  }

  /** Writes what belongs to the commit as a whole; the last thing in the transaction. */
  finish(): void {
    for (const [table, size] of this.#sizes) writeTableSize(this.trees.meta, table, size);
    this.parts.interest.save(this.droppedNames);
    writeLogState(this.trees.meta, this.state);
  }
}
