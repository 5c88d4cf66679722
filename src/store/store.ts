/**
 * A store over an engine: puts the parts together that are the same for every engine. The thread
 * that calls this owns every write of the node; other threads read with an `EngineReader` of their
 * own over the same shared memory and send their writes here.
 */

import type { Epoch, NodeId, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { createHybridClock } from '../base/hlc.ts';
import type { Entry } from '../cache/entry.ts';
import type { Invalidations } from '../cache/ports.ts';
import { LIMITS } from '../config/limits.ts';
import type { ReplicaStore } from '../replication/ports.ts';
import type {
  ChangeBatch,
  Durability,
  IndexHit,
  IndexPageOptions,
  IndexRange,
  IndexSpan,
  ScanOptions,
  ScanPage,
  ScopeReport,
  Unity,
  WriteOp,
  WriteOutcome,
} from '../table/store-port.ts';
import { BodyFiles, newRun } from './body-files.ts';
import type { BodyFolder } from './body-folder.ts';
import { BodyKeeper, filesIn } from './body-keeper.ts';
import { ChangeRing } from './change-ring.ts';
import type { Batch } from './commit/batch.ts';
import { Committer } from './committer.ts';
import type { Engine } from './engine.ts';
import { evictForRoom, type SweepLimits, type SweepResult, sweepExpired } from './expiry.ts';
import { reserveIdNumbers } from './id-numbers.ts';
import { buildMissingIndexes } from './index-build.ts';
import { trimLog } from './log-trim.ts';
import { type Identity, readLogState, writeIdentity } from './meta.ts';
import { EngineReader } from './reader.ts';
import { RecordInterest } from './record-interest.ts';
import { type ReplicaState, replicaState, saveReplica } from './replica/begin.ts';
import { ScopeRegistry } from './scopes.ts';
import {
  createSharedMemory,
  publishCommit,
  type SharedMemory,
  type SharedState,
  viewSharedMemory,
} from './shared-state.ts';
import { SpaceGuard } from './space-guard.ts';
import type {
  BackupReport,
  Store,
  StoreEvents,
  StoreLimits,
  StoreOptions,
  StoreStats,
} from './store-options.ts';
import { type Trees, tableOf } from './tables.ts';
import { WriteQueue } from './write-queue.ts';

const RING_SLOTS = 131_072;

/** Writes a backup into a folder; `madeAt` is the time of it. */
type BackUp = (folder: string, madeAt: string) => Promise<BackupReport>;

/** What a store has beside its engine. */
export interface Kept {
  readonly folder: BodyFolder;
  /** Absent where nothing is on a disk. */
  readonly backUp?: BackUp | undefined;
  /** The run before has closed it, so what it wrote down for the next start is right. */
  readonly wasClean?: boolean | undefined;
}

export function createStore(
  engine: Engine,
  trees: Trees,
  identity: Identity,
  options: StoreOptions,
  kept: Kept,
): EngineStore {
  const limits: StoreLimits = { ...LIMITS, ...options.limits };
  const memory = createSharedMemory({
    tables: options.definitions.length,
    scopeSlots: 2 ** Math.ceil(Math.log2(limits.scopesMax * 2)),
    ringBytes: limits.changeRingBytes,
    ringSlots: RING_SLOTS,
  });
  const shared = viewSharedMemory(memory);
  return new EngineStore(engine, trees, identity, { ...options, limits }, { ...kept, shared });
}

/** The store on the thread that owns it: an `EngineReader` and the `Committer`. */
export class EngineStore implements Store {
  readonly epoch: Epoch;
  readonly author: NodeId;
  readonly shared: SharedMemory;
  readonly run = newRun();
  readonly bodies: BodyFiles;
  readonly indexesReady: Promise<void>;
  readonly digestsReady: Promise<void>;
  readonly replica: ReplicaStore | undefined;
  readonly #replica: ReplicaState | undefined;
  readonly orphansRemoved: Promise<number>;
  readonly #keeper: BodyKeeper;
  readonly #reader: EngineReader;
  readonly #engine: Engine;
  readonly #trees: Trees;
  readonly #identity: Identity;
  readonly #clock: Clock;
  readonly #committer: Committer;
  readonly #queue: WriteQueue;
  readonly #guard: SpaceGuard;
  readonly #scopes: ScopeRegistry;
  readonly #interest: RecordInterest;
  readonly #sweepLimits: SweepLimits;
  readonly #events: StoreEvents;
  /** Marks of the caches during a shortage of disk. */
  readonly #shortage = new Map<TableName, number>();
  readonly #evictions: Record<string, number> = {};
  readonly #onClosed: (() => Promise<void>)[] = [];
  readonly #backUp: BackUp | undefined;
  #announcing = false;
  #isBackingUp = false;
  #closing: Promise<void> | undefined;

  constructor(
    engine: Engine,
    trees: Trees,
    identity: Identity,
    options: StoreOptions & { readonly limits: StoreLimits },
    kept: Kept & { readonly shared: SharedState },
  ) {
    const { shared, folder, backUp } = kept;
    const { clock, limits, events = {} } = options;
    const onUndecodable = (table: TableName, id: RecordId) => events.undecodable?.(table, id);
    const { epoch, author } = identity;
    this.epoch = epoch;
    this.author = author;
    this.#reader = new EngineReader({
      ...{ engine, trees, shared, epoch, author, clock, onUndecodable },
    });
    this.shared = { layout: shared.layout, buffer: shared.buffer };
    this.#engine = engine;
    this.#trees = trees;
    this.#identity = identity;
    this.#clock = clock;
    this.#events = events;
    this.#backUp = backUp;
    const freeBytes = options.freeBytes ?? (() => Number.POSITIVE_INFINITY);
    const guardOver = (reusableBytes: () => number) => {
      const { diskSoftFreeBytes: soft, diskHardFreeBytes: hard } = limits;
      return new SpaceGuard(clock, { freeBytes, reusableBytes }, soft, hard);
    };
    this.#guard = guardOver(() => engine.reusableBytes());
    // Files of bodies take their room from the disk alone.
    const bodiesGuard = guardOver(() => 0);
    this.bodies = new BodyFiles({
      folder,
      run: this.run,
      room: () => bodiesGuard.room(),
      onDamaged: ({ name }) => events.bodyDamaged?.(name),
    });
    this.#keeper = new BodyKeeper(folder, trees.bodies, this.run);
    this.#queue = new WriteQueue(clock, this.#guard, {
      bytesMax: limits.writeQueueBytesMax,
      ageMsMax: limits.writeQueueAgeMsMax,
      opsPerCommitMax: limits.commitOpsMax,
    });
    this.#scopes = new ScopeRegistry(shared, trees, limits.scopesMax);
    this.#scopes.load();
    this.#interest = new RecordInterest(trees, shared);
    this.#sweepLimits = {
      batchMax: limits.expiryBatchMax,
      budgetMs: limits.expiryBudgetMs,
      tableBytesMax: (table) =>
        this.#shortage.get(table.name) ?? options.tableBytesMax?.(table.name),
    };
    const { wasClean } = kept;
    this.#replica = replicaState({ ...options, wasClean: wasClean === true }, trees, identity);
    this.#committer = this.#makeCommitter(options, shared, onUndecodable);
    const files = { bodies: this.bodies, keeper: this.#keeper };
    this.replica = this.#replica?.replica(this.#committer, this.#reader, files);
    const state = readLogState(trees.meta);
    publishCommit(shared, state.sequence, state.first);
    this.orphansRemoved = this.#removeOrphans();
    const digestsFailed = (error: unknown) => events.digestsFailed?.(error);
    this.digestsReady =
      this.#replica?.makeDigests(this.#committer, digestsFailed) ?? Promise.resolve();
    const counting = this.#interest.countStored(this.#committer);
    const building = buildMissingIndexes(this.#committer, trees);
    this.indexesReady = Promise.all([building, counting]).then(noValue, (error: unknown) => {
      // Closing in the middle is no fault: the next start begins it again.
      if (asNodeError(error).code !== 'SHUTTING_DOWN') events.indexBuildFailed?.(error);
    });
  }

  #removeOrphans(): Promise<number> {
    return this.#keeper.removeOrphans().catch((error: unknown) => {
      this.#events.orphanSearchFailed?.(error);
      return 0;
    });
  }

  #makeCommitter(
    options: StoreOptions & { readonly limits: StoreLimits },
    shared: SharedState,
    onUndecodable: (table: TableName, id: RecordId) => void,
  ): Committer {
    const { limits, clock } = options;
    const trees = this.#trees;
    const state = readLogState(trees.meta);
    const replicaOf = this.#replica;
    const retention = {
      daysMax: limits.logDaysMax,
      bytesMax: limits.logBytesMax,
      entriesMax: limits.logEntriesMax,
    };
    return new Committer({
      engine: this.#engine,
      shared,
      ring: new ChangeRing(shared),
      queue: this.#queue,
      clock,
      state,
      batch: {
        trees,
        scopes: this.#scopes,
        interest: this.#interest,
        rules: options,
        author: this.author,
        clock: createHybridClock(state.version),
        inlineBodyBytesMax: limits.inlineBodyBytesMax,
        replica: this.#replica?.parts,
        watched: options.watched ?? new Set(),
        onUndecodable,
      },
      onFlushed: replicaOf && ((batch, flushed) => replicaOf.knowledge.committed(batch, flushed)),
      invalidations: (table) => this.#reader.tableInvalidations(table),
      trim: (batch) => trimLog(batch, retention),
      onCommitted: (batch, seconds, operations) => this.#committed(batch, seconds, operations),
    });
  }

  lastSequence(): Sequence {
    return this.#reader.lastSequence();
  }
  firstSequence(): Sequence {
    return this.#reader.firstSequence();
  }
  watchedVersion(): number {
    return this.#reader.watchedVersion();
  }
  withEntry<T>(
    table: TableName,
    id: RecordId,
    variant: string,
    fn: (entry: Entry | undefined) => T,
  ): T {
    return this.#reader.withEntry(table, id, variant, fn);
  }
  scan(
    table: TableName,
    options: ScanOptions,
    visit: (entry: Entry) => boolean | undefined,
  ): ScanPage {
    return this.#reader.scan(table, options, visit);
  }
  idsByIndex(
    table: TableName,
    range: IndexRange,
    page: { readonly limit: number; readonly offset: number },
  ): readonly RecordId[] {
    return this.#reader.idsByIndex(table, range, page);
  }
  indexPage(table: TableName, span: IndexSpan, page: IndexPageOptions): readonly IndexHit[] {
    return this.#reader.indexPage(table, span, page);
  }
  countByIndex(table: TableName, range: IndexSpan, max: number): number {
    return this.#reader.countByIndex(table, range, max);
  }
  isIndexComplete(table: TableName, attribute: string): boolean {
    return this.#reader.isIndexComplete(table, attribute);
  }
  tableSize(table: TableName): { readonly entries: number; readonly bytes: number } {
    return this.#reader.tableSize(table);
  }
  changesAfter(after: Sequence, max: number): ChangeBatch {
    return this.#reader.changesAfter(after, max);
  }
  newerScopes(table: TableName, entry: Entry): readonly ScopeReport[] {
    return this.#reader.newerScopes(table, entry);
  }

  invalidations(table: TableName): Invalidations {
    return this.#reader.invalidations(table);
  }
  onCommit(listener: () => void): () => void {
    return this.#reader.onCommit(listener);
  }

  async commit(
    ops: readonly WriteOp[],
    durability: Durability,
    unity?: Unity,
  ): Promise<readonly WriteOutcome[]> {
    const committed = this.#committer.commit(ops, durability, unity);
    const files = filesIn(ops);
    if (files.length === 0) return committed;
    return committed.finally(() => this.#keeper.releaseUnnamed(files, this.#clock.now()));
  }

  async reserveIds(table: TableName, count: number): Promise<number> {
    const { definition } = tableOf(this.#trees, table);
    let first = 0;
    await this.#committer.chore((batch) => {
      first = reserveIdNumbers(batch.trees.meta, definition, count);
    });
    return first;
  }

  async sweep(): Promise<SweepResult> {
    const result: SweepResult = { removed: 0, more: false };
    await this.#committer.chore((batch) => {
      const due = sweepExpired(batch, this.#clock, this.#sweepLimits);
      this.#noteShortage(batch);
      const room = evictForRoom(batch, this.#clock, this.#sweepLimits);
      result.removed = due.removed + room.removed;
      result.more = due.more || room.more;
    });
    const { batchMax } = this.#sweepLimits;
    const files = await this.#keeper.removeDue(this.#clock.now(), batchMax);
    result.more ||= files === batchMax;
    return result;
  }

  /**
   * When the disk runs short every cache gives up a tenth, once: the engine uses the room again for
   * writes. It gives none back to the disk, so going on would only empty the caches.
   */
  #noteShortage(batch: Batch): void {
    const isShort = this.#guard.room() !== 'ample';
    if (!isShort) this.#shortage.clear();
    if (!isShort || this.#shortage.size > 0) return;
    for (const { name, sourced } of this.#trees.tables.values()) {
      if (sourced) this.#shortage.set(name, Math.max(0, batch.sizeOf(name).bytes - 1));
    }
  }

  stats(): StoreStats {
    const { logEntries, logBytes, fileBytes } = this.#committer.state;
    return {
      logEntries,
      logBytes,
      storeBytes: this.#engine.sizeBytes() + fileBytes,
      queueDepth: this.#queue.depth,
      queueBytes: this.#queue.bytes,
      scopes: this.#scopes.count,
      shed: { ...this.#queue.shed },
      evictions: { ...this.#evictions },
    };
  }

  async backupTo(folder: string): Promise<BackupReport> {
    if (this.#backUp === undefined) throw usage('a store in memory cannot be backed up');
    if (this.#isBackingUp) throw usage('another backup is under way; wait until it is done');
    this.#isBackingUp = true;
    try {
      await this.orphansRemoved;
      const madeAt = new Date(this.#clock.now()).toISOString();
      const write = this.#backUp;
      return await this.#keeper.holdAll(() => write(folder, madeAt));
    } finally {
      this.#isBackingUp = false;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#keeper.close();
    await this.#committer.close();
    await this.orphansRemoved;
    const mark = () => {
      saveReplica(this.#replica, this.#trees.meta);
      writeIdentity(this.#trees.meta, { ...this.#identity, isClean: true });
    };
    const { flushed } = await this.#engine.transact(mark);
    await flushed;
    await this.#engine.close();
    for (const release of this.#onClosed) await release();
  }

  /** Runs `release` when the store has closed: for what was opened for it. */
  onClosed(release: () => Promise<void>): void {
    this.#onClosed.push(release);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #committed(batch: Batch, seconds: number, operations: number): void {
    this.#events.committed?.(seconds, operations);
    for (const file of batch.releasedFiles) this.#keeper.release(file, batch.now);
    for (const { table, reason, count } of batch.evicted.values()) {
      this.#evictions[reason] = (this.#evictions[reason] ?? 0) + count;
      this.#events.evicted?.(table, reason, count);
    }
    if (this.#announcing) return;
    this.#announcing = true;
    setImmediate(() => {
      this.#announcing = false;
      this.#reader.announceCommit();
    });
  }
}

const usage = (message: string): NodeError => new NodeError('USAGE', message, { blame: 'client' });

const noValue = (): void => undefined;
