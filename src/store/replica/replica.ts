/**
 * The store as replication sees it (`replication/ports.ts`), on the thread that owns it: states of
 * rows, the log with origins, cursors, digests, and the one way in for what other nodes send.
 * Whatever is read here is already on the disk, or was committed after that: only the horizon is
 * told to other nodes.
 */

import { must } from '../../base/assert.ts';
import {
  type EpochMs,
  epochMs,
  type NodeId,
  type RecordId,
  type RecordVersion,
  type Sequence,
  sequence,
  type TableName,
} from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import type { Entry } from '../../cache/entry.ts';
import { bucketOf } from '../../cache/row-digest.ts';
import { stateOfEntry } from '../../cache/row-entry.ts';
import type { RowState } from '../../cache/row-state.ts';
import { type SharedEntry, sharedEntry } from '../../cache/shared-entry.ts';
import type {
  ApplyReport,
  Horizon,
  Life,
  LogPage,
  RemoteBatch,
  ReplicaStore,
  ReplicatedTable,
  RowPage,
  RowPageOptions,
  TableDigest,
} from '../../replication/ports.ts';
import { parseRecordGroup } from '../../table/record-groups.ts';
import type { Batch } from '../commit/batch.ts';
import type { Committer } from '../committer.ts';
import type { EngineReader } from '../reader.ts';
import { type Trees, tableOf } from '../tables.ts';
import { applyRemotes } from './apply.ts';
import type { TableDigests } from './digests.ts';
import type { Knowledge } from './knowledge.ts';
import { logEntry } from './log-entries.ts';
import { restampRows } from './restamp.ts';
import type { RowBodies } from './row-bodies.ts';
import type { TableMode } from './tables.ts';

export interface StoreReplicaParts {
  readonly committer: Committer;
  readonly reader: EngineReader;
  readonly trees: Trees;
  readonly knowledge: Knowledge;
  readonly digests: TableDigests;
  readonly modes: ReadonlyMap<TableName, TableMode>;
  readonly now: () => EpochMs;
  /** By which entries of caches are fresh. */
  readonly clock: Clock;
  readonly bodies: RowBodies;
}

interface Waiting {
  readonly remote: RemoteBatch;
  readonly resolve: (report: ApplyReport) => void;
  readonly reject: (error: unknown) => void;
}

/** Rows looked at for each that a page of some buckets may have. */
const SIFTED = 8;
/** In one commit, unless one batch has more: the thread serves nothing else meanwhile. */
const ITEMS_MAX = 512;

/** Wall time at the start and what has passed since: steps of the wall clock do not enter. */
export function steadyClock(clock: Clock): () => EpochMs {
  const begin = clock.now() - clock.monotonic();
  return () => epochMs(Math.floor(begin + clock.monotonic()));
}

export class StoreReplica implements ReplicaStore {
  readonly author: NodeId;
  readonly lives: readonly Life[];
  /** By table: rows that came and met another change. */
  readonly conflicts = new Map<TableName, number>();
  readonly #parts: StoreReplicaParts;
  /** What groups of records begin with. */
  readonly #typeNames: ReadonlySet<string>;
  readonly #waiting: Waiting[] = [];

  constructor(parts: StoreReplicaParts) {
    this.#parts = parts;
    this.lives = parts.knowledge.lives;
    this.author = must(this.lives.at(-1), 'the present life').author;
    const tables = [...parts.trees.tables.values()];
    this.#typeNames = new Set(tables.map(({ definition }) => definition.typeName));
  }

  get bodies(): RowBodies {
    return this.#parts.bodies;
  }

  now(): EpochMs {
    return this.#parts.now();
  }

  newestVersion(): RecordVersion {
    return this.#parts.committer.newestVersion;
  }

  tables(): readonly ReplicatedTable[] {
    return [...this.#parts.modes].map(([name, mode]) => {
      const { database } = tableOf(this.#parts.trees, name).definition;
      if (mode !== 'entries') return { name, database, mode };
      // Nodes of the release before know of rows and invalidations only.
      return { name, database, mode: 'invalidations', sharesEntries: true };
    });
  }

  horizon(): Horizon {
    return this.#parts.knowledge.horizon;
  }

  firstSequence(): Sequence {
    const { sequence: last } = this.horizon();
    const first = this.#parts.reader.firstSequence();
    return first > last ? sequence(last + 1) : first;
  }

  logAfter(after: Sequence, max: number): LogPage {
    const { modes, reader } = this.#parts;
    const { changes, truncated, next } = reader.allChangesAfter(
      after,
      max,
      this.horizon().sequence,
    );
    const entries = changes.map((change) => logEntry(change, modes));
    return { entries, next, isTruncated: truncated };
  }

  rowState(table: TableName, id: RecordId): RowState | undefined {
    if (this.#parts.modes.get(table) !== 'rows') return undefined;
    return this.#parts.reader.withSharedEntry(table, id, (entry) => this.#stateOf(entry));
  }

  heldEntry(table: TableName, id: RecordId): SharedEntry | undefined {
    const { modes, reader, clock } = this.#parts;
    if (modes.get(table) !== 'entries') return undefined;
    const invalidations = reader.tableInvalidations(table);
    return reader.withEntry(table, id, '', (entry) =>
      entry === undefined
        ? undefined
        : sharedEntry(entry, {
            ...{ now: clock.now(), verdict: invalidations.judge(entry) },
            namesRecord: (group) => this.#typeNames.has(parseRecordGroup(group)?.table ?? ''),
          }),
    );
  }

  rowPage(table: TableName, options: RowPageOptions): RowPage {
    const rows: { id: RecordId; state: RowState }[] = [];
    const { after, rowsMax, bytesMax, buckets } = options;
    let bytes = 0;
    let last: RecordId | undefined;
    // Of buckets few rows are asked for: more are looked at for one page.
    const scan = { after, limit: buckets === undefined ? rowsMax : rowsMax * SIFTED };
    const { next } = this.#parts.reader.scanShared(table, scan, (entry) => {
      last = entry.id;
      if (buckets !== undefined && !buckets.has(bucketOf(entry.id))) return true;
      const state = this.#stateOf(entry);
      if (state === undefined) return true;
      rows.push({ id: entry.id, state });
      bytes += entry.bodyLength;
      return rows.length < rowsMax && bytes < bytesMax;
    });
    const isCut = rows.length >= rowsMax || bytes >= bytesMax;
    const goesOn = isCut ? last : next;
    return goesOn === undefined ? { rows } : { rows, next: goesOn };
  }

  digest(table: TableName): TableDigest | undefined {
    return this.#parts.digests.get(table);
  }

  /**
   * What gathers while a commit is under way goes into the next one together. A purge ahead of its
   * place in the log overtakes what waits, and is obeyed before it is committed.
   */
  apply(remote: RemoteBatch): Promise<ApplyReport> {
    const isAhead = remote.isAhead === true;
    if (isAhead) {
      this.#parts.committer.foresee(remote.items.filter((item) => item.kind === 'invalidation'));
    }
    return new Promise((resolve, reject) => {
      const waiting = { remote, resolve, reject };
      if (isAhead) this.#waiting.unshift(waiting);
      else this.#waiting.push(waiting);
      if (this.#waiting.length === 1) this.#commitWaiting();
    });
  }

  #commitWaiting(): void {
    const taken: Waiting[] = [];
    let reports: readonly ApplyReport[] = [];
    const { committer, knowledge } = this.#parts;
    const caches = this.#caches();
    const invalidations = (table: TableName) => this.#parts.reader.tableInvalidations(table);
    const conflicted = (table: TableName) => {
      this.conflicts.set(table, (this.conflicts.get(table) ?? 0) + 1);
    };
    const commit = (batch: Batch): void => {
      const parts = { knowledge, caches, conflicted, now: this.#parts.now, invalidations };
      reports = applyRemotes(batch, () => this.#next(taken), parts);
      if (this.#waiting.length > 0) this.#commitWaiting();
    };
    committer.chore(commit, 'flushed').then(
      () => {
        for (const [at, { remote, resolve }] of taken.entries()) {
          resolve(must(reports[at], 'a report'));
          this.#noteBodies(remote);
        }
      },
      // What waits follows on what failed: cursors must not rise over it.
      (error: unknown) => {
        for (const { reject } of [...taken, ...this.#waiting.splice(0)]) reject(error);
      },
    );
  }

  /** Rows that have come name bodies which have not. */
  #noteBodies({ items }: RemoteBatch): void {
    for (const item of items) {
      if (item.kind !== 'row' || !namesFiles(item.state)) continue;
      try {
        this.bodies.cameIn(item.table, item.id);
      } catch {
        // Too many files are open: the next start looks for it.
      }
    }
  }

  /** The next that waits, while there is room in a commit which has `taken` so many. */
  #next(taken: Waiting[]): RemoteBatch | undefined {
    const items = taken.reduce((sum, { remote }) => sum + remote.items.length, 0);
    const first = this.#waiting[0];
    const isRoom = taken.length === 0 || items + (first?.remote.items.length ?? 0) <= ITEMS_MAX;
    if (first === undefined || !isRoom) return undefined;
    this.#waiting.shift();
    taken.push(first);
    return first.remote;
  }

  note(name: string): unknown {
    return this.#parts.knowledge.note(name);
  }

  onHorizon(listener: () => void): () => void {
    return this.#parts.knowledge.onHorizon(listener);
  }

  setCatchingUp(isCatchingUp: boolean): void {
    this.#parts.committer.setCatchingUp(isCatchingUp);
  }

  setClockAhead(ms: number): void {
    this.#parts.committer.setClockAhead(ms);
  }

  setNameTaken(by: string | undefined): void {
    this.#parts.committer.setNameTaken(by);
  }

  async restampAhead(): Promise<void> {
    const { committer, trees, modes, now } = this.#parts;
    const tables = [...modes].filter(([, mode]) => mode === 'rows');
    await restampRows(
      committer,
      tables.map(([name]) => tableOf(trees, name)),
      now,
    );
  }

  /** The state of what stands there, owning its bytes; nothing of what is over. */
  #stateOf(entry: Entry | undefined): RowState | undefined {
    if (entry === undefined) return undefined;
    if (entry.kind !== 'record' && entry.kind !== 'tombstone') return undefined;
    const state = stateOfEntry(entry.retain());
    return state;
  }

  #caches() {
    const { modes, trees } = this.#parts;
    const found = [...modes].filter(([, mode]) => mode !== 'rows');
    return found.map(([name]) => tableOf(trees, name));
  }
}

const namesFiles = ({ body, blobs }: RowState): boolean =>
  blobs !== undefined || (body !== undefined && !(body instanceof Uint8Array));
