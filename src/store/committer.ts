/**
 * The one place where the store is written. Writes of all clients and threads that gather while a
 * commit is under way go into the next one together; each operation has its own outcome, decided
 * in order inside the transaction, so of two compare-and-set writes one loses even when they meet
 * in one commit.
 *
 *   queue ──take──► transaction ──committed──► ring ─► publish ──► acknowledge, or await the disk
 *
 * Nothing is acknowledged before it is published: who hears of a write can read it, on every
 * thread. An invalidation is in force even before: readers obey it from the moment it is asked for
 * (`ScopeRegistry.foresee`), and it is acknowledged when it is on the disk. A commit that fails
 * leaves nothing behind and rejects everything that was in it; a write that is all or nothing has a
 * transaction of its own, which is taken back when it fails in part.
 */

import { must } from '../base/assert.ts';
import { type RecordVersion, sequence, type TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import {
  type Durability,
  succeeded,
  type Unity,
  type WriteOp,
  type WriteOutcome,
} from '../table/store-port.ts';
import type { ChangeRing } from './change-ring.ts';
import { applyOp } from './commit/apply.ts';
import { Batch, type BatchParts } from './commit/batch.ts';
import type { Committed, Engine } from './engine.ts';
import type { TableInvalidations } from './invalidations.ts';
import type { LogState } from './meta.ts';
import { refuseBlindPatches, refuseNamesake, refuseStamps } from './refused-writes.ts';
import { publishCommit, publishWatched, type SharedState } from './shared-state.ts';
import { tableOf } from './tables.ts';
import type { PendingWrite, WriteQueue } from './write-queue.ts';

export interface CommitterParts {
  readonly engine: Engine;
  readonly shared: SharedState;
  readonly ring: ChangeRing;
  readonly queue: WriteQueue;
  readonly clock: Clock;
  readonly batch: BatchParts;
  readonly state: LogState;
  readonly invalidations: (table: TableName) => TableInvalidations;
  /** Trims the log in small steps, inside every commit. */
  readonly trim: (batch: Batch) => void;
  /** What the disk confirms is told to other nodes; absent when there are none. */
  readonly onFlushed?: ((batch: Batch, flushed: Promise<void>) => void) | undefined;
  readonly onCommitted: (batch: Batch, seconds: number, operations: number) => void;
}

/** Work of the store itself which goes into a commit: expiry, index builds. */
interface Chore {
  readonly durability: Durability;
  run(batch: Batch): void;
  resolve(): void;
  reject(error: unknown): void;
}

/** What is to be invalidated. */
export type Foreseen = Pick<Extract<WriteOp, { kind: 'invalidate' }>, 'table' | 'scope' | 'soft'>;

interface Taken {
  readonly writes: readonly PendingWrite[];
  readonly chore: Chore | undefined;
}

interface Applied {
  readonly batch: Batch;
  readonly outcomes: readonly (readonly WriteOutcome[])[];
}

/** Ends a transaction whose only write is all or nothing, and has failed in part. */
class TakenBack extends Error {
  readonly outcomes: readonly WriteOutcome[];

  constructor(outcomes: readonly WriteOutcome[]) {
    super('one operation failed, and so all were taken back');
    this.outcomes = outcomes;
  }
}

/** The thread serves nothing else meanwhile: what a commit does not get done goes on next. */
const APPLY_MS_MAX = 20;
const NOTHING_TAKEN: Taken = { writes: [], chore: undefined };

export class Committer {
  readonly #parts: CommitterParts;
  #state: LogState;
  readonly #chores: Chore[] = [];
  /** Writes whose commit with others failed. */
  readonly #alone: PendingWrite[] = [];
  #isChoreTurn = false;
  #inFlight: Promise<void> | undefined;
  #isClosing = false;
  #clockAheadMs = 0;
  #isCatchingUp = false;
  #nameTakenBy: string | undefined;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    this.#state = parts.state;
  }

  get state(): Readonly<LogState> {
    return this.#state;
  }

  /**
   * Rejects with `TABLE_UNKNOWN`, `SHUTTING_DOWN`, `CLOCK_AHEAD`, `NAME_TAKEN`, `CATCHING_UP`, or
   * `STORE_FAILED` when the commit failed.
   */
  async commit(
    ops: readonly WriteOp[],
    durability: Durability,
    unity: Unity = 'each',
  ): Promise<readonly WriteOutcome[]> {
    this.#assertOpen();
    if (this.#clockAheadMs > 0) refuseStamps(ops, this.#clockAheadMs);
    if (this.#nameTakenBy !== undefined) refuseNamesake(ops, this.#nameTakenBy);
    if (this.#isCatchingUp) refuseBlindPatches(ops, this.#parts.batch.trees);
    for (const op of ops) tableOf(this.#parts.batch.trees, op.table);
    // A purge must survive a power loss before anybody believes in it.
    const isPurge = ops.some((op) => op.kind === 'invalidate');
    if (isPurge) this.foresee(ops.filter((op) => op.kind === 'invalidate'));
    const outcomes = this.#parts.queue.add(ops, isPurge ? 'flushed' : durability, unity);
    this.#start();
    return outcomes;
  }

  /** Readers of what a coming commit invalidates need not wait for it, nor for the disk. */
  foresee(coming: readonly Foreseen[]): void {
    const { trees, scopes } = this.#parts.batch;
    const at = sequence(this.#state.sequence + 1);
    const now = this.#parts.clock.now();
    for (const { table: name, scope, soft } of coming) {
      const table = trees.tables.get(name);
      if (table !== undefined) scopes.foresee(table, scope, soft, at, now);
    }
  }

  /** The greatest version given out or taken. */
  get newestVersion(): RecordVersion {
    return this.#parts.batch.clock.last;
  }

  /** Refuses clients' writes while the clock of this node is ahead of all others by so much. */
  setClockAhead(ms: number): void {
    this.#clockAheadMs = ms;
  }

  /** Refuses clients' writes while a node says that another one has this one's name. */
  setNameTaken(by: string | undefined): void {
    this.#nameTakenBy = by;
  }

  /** Refuses patches of records that are not here until it is called with `false`. */
  setCatchingUp(isCatchingUp: boolean): void {
    this.#isCatchingUp = isCatchingUp;
  }

  /** Runs `work` in the next commit, after the writes that are already waiting. */
  async chore(work: (batch: Batch) => void, durability: Durability = 'process'): Promise<void> {
    this.#assertOpen();
    return new Promise((resolve, reject) => {
      this.#chores.push({ durability, run: work, resolve, reject });
      this.#start();
    });
  }

  /** Refuses new writes and resolves when those that were taken are done. */
  async close(): Promise<void> {
    this.#isClosing = true;
    while (this.#inFlight !== undefined) await this.#inFlight;
  }

  #assertOpen(): void {
    if (!this.#isClosing) return;
    throw new NodeError('SHUTTING_DOWN', 'the store is closing and takes no more writes', {
      retry: 'later',
    });
  }

  #start(): void {
    this.#inFlight ??= this.#run().finally(() => {
      this.#inFlight = undefined;
      if (this.#hasWork()) this.#start();
    });
  }

  #hasWork(): boolean {
    return this.#alone.length > 0 || !this.#parts.queue.isEmpty || this.#chores.length > 0;
  }

  async #run(): Promise<void> {
    // What the caller still writes in this turn goes into the same commit.
    await Promise.resolve();
    while (this.#hasWork()) await this.#commitOnce();
  }

  async #commitOnce(): Promise<void> {
    const begun = this.#parts.clock.monotonic();
    let taken: Taken = NOTHING_TAKEN;
    let committed: Committed<Applied>;
    try {
      committed = await this.#parts.engine.transact(() => {
        // Taken here and not before: more has gathered while the engine made ready.
        taken = this.#take();
        const applied = this.#apply(taken);
        taken = this.#putBack(taken, applied.outcomes.length);
        return applied;
      });
    } catch (cause) {
      if (cause instanceof TakenBack) this.#takeBack(taken, cause);
      else this.#fail(taken === NOTHING_TAKEN ? this.#take() : taken, cause);
      return;
    }
    const { batch, outcomes } = committed.result;
    const { writes, chore } = taken;
    // The engine may keep the closure above until the disk has confirmed.
    taken = NOTHING_TAKEN;
    this.#publish(batch);
    acknowledge(writes, outcomes, committed.flushed);
    if (chore !== undefined) acknowledgeChore(chore, committed.flushed);
    this.#parts.onFlushed?.(batch, committed.flushed);
    const seconds = (this.#parts.clock.monotonic() - begun) / 1000;
    this.#parts.onCommitted(batch, seconds, outcomes.flat().length);
  }

  /** Writes, or one chore, by turns: they share no transaction and neither waits for all others. */
  #take(): Taken {
    const lone = this.#alone.shift();
    if (lone !== undefined) return { writes: [lone], chore: undefined };
    const isTurn = this.#isChoreTurn || this.#parts.queue.isEmpty;
    this.#isChoreTurn = !this.#isChoreTurn;
    const chore = isTurn ? this.#chores.shift() : undefined;
    return { writes: chore === undefined ? this.#parts.queue.take() : [], chore };
  }

  #apply({ writes, chore }: Taken): Applied {
    const { clock } = this.#parts;
    const batch = new Batch(this.#parts.batch, this.#state, clock.now());
    const until = clock.monotonic() + APPLY_MS_MAX;
    const outcomes: (readonly WriteOutcome[])[] = [];
    for (const write of writes) {
      if (outcomes.length > 0 && clock.monotonic() >= until) break;
      const isWhole = write.unity === 'all';
      const own = isWhole
        ? batch.unite(() => this.#outcomesOf(batch, write))
        : this.#outcomesOf(batch, write);
      if (isWhole && !own.every(succeeded)) throw new TakenBack(own);
      outcomes.push(own);
    }
    chore?.run(batch);
    this.#parts.trim(batch);
    batch.finish();
    return { batch, outcomes };
  }

  #outcomesOf(batch: Batch, { ops, outcomes: refused }: PendingWrite): WriteOutcome[] {
    return ops.map((op, at) => refused[at] ?? applyOp(batch, op, this.#parts.invalidations));
  }

  /** What there was no time for waits again, before all others. */
  #putBack({ writes, chore }: Taken, applied: number): Taken {
    if (applied < writes.length) this.#parts.queue.putBack(writes.slice(applied));
    return { writes: writes.slice(0, applied), chore };
  }

  /** The write was to be done in whole, and one of its operations failed. */
  #takeBack({ writes }: Taken, { outcomes }: TakenBack): void {
    this.#parts.engine.refresh();
    this.#parts.batch.scopes.revert();
    for (const write of writes) write.resolve(outcomes);
  }

  /** Of writes that failed together each is tried once more alone: one of them may be the cause. */
  #fail({ writes, chore }: Taken, cause: unknown): void {
    const message = 'the store could not commit; nothing was written';
    const error = new NodeError('STORE_FAILED', message, { cause, retry: 'later' });
    this.#parts.engine.refresh();
    this.#parts.batch.scopes.revert();
    chore?.reject(error);
    if (writes.length > 1) this.#alone.push(...writes);
    else for (const write of writes) write.reject(error);
  }

  #publish(batch: Batch): void {
    this.#state = batch.state;
    for (const work of batch.afterCommit) work();
    batch.changes.forEach((change, at) => {
      this.#parts.ring.append(change, must(batch.heads[at], 'head of a change'));
    });
    if (batch.changes.some((change) => change.op === 'invalidate')) {
      this.#parts.batch.scopes.announcePrefixes();
    }
    publishCommit(this.#parts.shared, batch.state.sequence, batch.state.first);
    if (batch.touchesWatched) publishWatched(this.#parts.shared);
    this.#parts.engine.refresh();
    this.#parts.batch.scopes.settle();
    this.#parts.batch.interest.forget(batch.droppedNames);
  }
}

function acknowledgeChore(chore: Chore, flushed: Promise<void>): void {
  if (chore.durability === 'process') chore.resolve();
  else
    flushed.then(
      () => chore.resolve(),
      (cause: unknown) => chore.reject(unconfirmed(cause)),
    );
}

const unconfirmed = (cause: unknown): NodeError =>
  new NodeError('STORE_FAILED', 'the disk did not confirm the write', { cause });

function acknowledge(
  writes: readonly PendingWrite[],
  outcomes: readonly (readonly WriteOutcome[])[],
  flushed: Promise<void>,
): void {
  writes.forEach((write, at) => {
    const outcome = outcomes[at] ?? [];
    if (write.durability === 'process') write.resolve(outcome);
    else
      flushed.then(
        () => write.resolve(outcome),
        (cause: unknown) => write.reject(unconfirmed(cause)),
      );
  });
}
