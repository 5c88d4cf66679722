/**
 * The store of one run of a simulated node: commits after a moment, flushes after another, tells of
 * it when it is flushed, and keeps everything on its `Disk`. Rows are merged by the code of the
 * real store (`cache/merge-rows.ts`); what the oracle must know of writes it is told by `Ledger`.
 */
import {
  type EpochMs,
  type NodeId,
  type RecordId,
  type RecordVersion,
  recordVersion,
  type Sequence,
  sequence,
  type TableName,
} from '../../src/base/brands.ts';
import { versionAt, versionTime } from '../../src/base/hlc.ts';
import { FOREVER } from '../../src/cache/entry.ts';
import { isCovered, mergeRows } from '../../src/cache/merge-rows.ts';
import { restampRow, stampsOf } from '../../src/cache/restamp-row.ts';
import { rowDigest } from '../../src/cache/row-digest.ts';
import {
  isLater,
  NO_ROW,
  newestStamp,
  type RowState,
  type Stamp,
} from '../../src/cache/row-state.ts';
import type { NewTimes } from '../../src/cache/row-write.ts';
import { LIMITS } from '../../src/config/limits.ts';
import { cursorOf } from '../../src/replication/cursors.ts';
import type {
  ApplyReport,
  Horizon,
  InvalidationItem,
  Item,
  Life,
  LogEntry,
  LogPage,
  Origin,
  RemoteBatch,
  ReplicaStore,
  ReplicatedTable,
  RowPage,
  RowPageOptions,
} from '../../src/replication/ports.ts';
import type { Disk } from './disk.ts';
import type { Random } from './random.ts';
import { type Origins, SimCache } from './sim-cache.ts';
import { coverRow, uncoverRow } from './sim-local-rows.ts';
import type { RunClock, World } from './world.ts';

/** Hears of every state that a local write made. */
export interface Ledger {
  /** `anew`: what became of a state that was part of it; nothing, when all was put anew. */
  readonly restamped: (
    row: { readonly table: TableName; readonly id: RecordId; readonly state: RowState },
    anew: (one: RowState) => RowState | undefined,
  ) => void;
  readonly merged: (table: TableName, id: RecordId, state: RowState) => void;
  readonly origins: Origins;
  /** An invalidation is about to have effect where it was made. */
  readonly invalidating: (item: InvalidationItem) => void;
}

export interface SimStoreParts {
  readonly world: World;
  readonly clock: RunClock;
  readonly disk: Disk;
  readonly random: Random;
  readonly tables: readonly ReplicatedTable[];
  readonly ledger: Ledger;
  /** Longest time between a commit and its flush. */
  readonly flushMs: number;
}

export class SimStore implements ReplicaStore {
  readonly #parts: SimStoreParts;
  readonly #disk: Disk;
  /** Wall time when the run began: the steady clock goes on from it. */
  readonly #wallAtStart: number;
  #committedAt = 0;
  #isFlushing = false;
  #waiting: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();
  clockAhead = 0;
  isCatchingUp = false;
  nameTakenBy: string | undefined;
  readonly #cache: SimCache;

  constructor(parts: SimStoreParts) {
    this.#parts = parts;
    this.#disk = parts.disk;
    this.#wallAtStart = parts.clock.now();
    this.#disk.flush();
    this.#cache = new SimCache(this.#disk, parts.ledger.origins, () => this.now());
  }

  get author(): NodeId {
    return this.#disk.author;
  }

  get lives(): readonly Life[] {
    return this.#disk.lives;
  }

  now(): EpochMs {
    return (this.#wallAtStart + this.#parts.clock.monotonic()) as EpochMs;
  }

  newestVersion(): RecordVersion {
    return this.#disk.version;
  }

  tables(): readonly ReplicatedTable[] {
    return this.#parts.tables;
  }

  horizon(): Horizon {
    return this.#disk.horizon;
  }

  firstSequence(): Sequence {
    return this.#disk.first;
  }

  logAfter(after: Sequence, max: number): LogPage {
    const { log, first } = this.#disk;
    const begin = log[0]?.sequence ?? first;
    const from = Math.max(0, after + 1 - begin);
    const entries = log.slice(from, from + max);
    return { entries, next: entries.at(-1)?.sequence ?? after, isTruncated: after + 1 < first };
  }

  rowState(table: TableName, id: RecordId): RowState | undefined {
    return this.#disk.table(table).rows.get(id);
  }

  heldEntry(_table: TableName, id: RecordId) {
    return this.#cache.held(id);
  }

  /** Fetches what is not held; the origin takes `ms` to reply. */
  read(table: TableName, id: RecordId, ms: number): void {
    const { world, clock, ledger } = this.#parts;
    if (this.#cache.isValid(id)) return;
    const stamp = this.#disk.sequence;
    const worth = ledger.origins.worth(id);
    world.after(ms, () => {
      if (clock.isOver || !this.#cache.fill(id, worth, stamp)) return;
      const origin = this.#ownOrigin();
      this.#appendOwn({ sequence: origin.sequence, origin, kind: 'entry', table, id });
      this.#flushed(() => undefined);
    });
  }

  rowPage(table: TableName, { after, rowsMax, buckets }: RowPageOptions): RowPage {
    const rows = [...this.#disk.table(table).rows]
      .map(([id, state]) => ({ id, state }))
      .filter(({ id }) => after === undefined || String(id) > String(after))
      .toSorted((one, other) => (String(one.id) < String(other.id) ? -1 : 1));
    const page = rows.slice(0, Math.min(rowsMax, 3));
    const kept = page.filter(
      ({ id, state }) => buckets === undefined || buckets.has(rowDigest(id, state).bucket),
    );
    const next = rows.length > page.length ? page.at(-1)?.id : undefined;
    return { rows: kept, ...(next !== undefined && { next }) };
  }

  digest(table: TableName): Uint32Array {
    return this.#disk.table(table).digest;
  }

  note(name: string): unknown {
    return this.#disk.notes.get(name);
  }

  onHorizon(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setCatchingUp(isCatchingUp: boolean): void {
    this.isCatchingUp = isCatchingUp;
  }

  setClockAhead(ms: number): void {
    this.clockAhead = ms;
  }

  setNameTaken(by: string | undefined): void {
    this.nameTakenBy = by;
  }

  apply(batch: RemoteBatch): Promise<ApplyReport> {
    return new Promise((resolve) => {
      this.#commit(() => this.#merge(batch), resolve);
    });
  }

  /** A local write of a row; `make` is given its stamp and what stands there. */
  write(
    table: TableName,
    id: RecordId,
    make: (state: RowState, stamp: { version: RecordVersion; author: NodeId }) => RowState,
    durable: (state: RowState) => void,
  ): RowState {
    const before = this.rowState(table, id) ?? NO_ROW;
    const state = make(before, { version: this.#nextVersion(), author: this.author });
    this.#disk.setRow(table, id, state);
    uncoverRow(this.#disk, table, id, state);
    const place = this.#ownOrigin();
    this.#appendOwn({ sequence: place.sequence, origin: place, kind: 'row', table, id });
    this.#flushed(() => durable(state));
    return state;
  }

  /** A row of this node alone: it takes a version and a place in the log. */
  writeLocal(table: TableName, id: RecordId): void {
    coverRow(this.#disk, table, id, { version: this.#nextVersion(), author: this.author });
    const origin = this.#ownOrigin();
    this.#appendOwn({ sequence: origin.sequence, origin, kind: 'none' });
    this.#flushed(() => undefined);
  }

  /** A local message or invalidation; what it has effect by is counted under its origin. */
  tell(
    item: { readonly kind: 'message' } | { readonly kind: 'invalidation' },
    table: TableName,
    id: RecordId,
    durable: (item: Item) => void,
  ): Origin {
    const origin = this.#ownOrigin();
    const version = this.#nextVersion();
    const told: Item =
      item.kind === 'message'
        ? { kind: 'message', table, id, body: new Uint8Array(4), version, origin }
        : {
            ...{ kind: 'invalidation', table, scope: { kind: 'key', id }, soft: false },
            ...{ reason: 'purge', version, origin },
          };
    this.#appendOwn({ ...told, sequence: origin.sequence });
    this.#disk.addEffect(effectOf(told));
    if (told.kind === 'invalidation') {
      this.#parts.ledger.invalidating(told);
      this.#cache.invalidated(told, origin.sequence, this.author);
    }
    this.#flushed(() => durable(told));
    return origin;
  }

  async restampAhead(): Promise<void> {
    const limit = this.now() + LIMITS.clockAheadMsMax;
    const isAhead = (state: RowState) =>
      versionTime(newestStamp(state)?.version ?? recordVersion(0)) > limit;
    const rows = this.tables().flatMap(({ name }) => [...this.#disk.table(name).rows.values()]);
    const kept = rows
      .filter((state) => !isAhead(state))
      .map((state) => newestStamp(state)?.version);
    // Not below what stays: a later write of such a row would have no effect on others.
    this.#disk.version = recordVersion(
      kept.reduce((most: number, version) => Math.max(most, version ?? 0), versionAt(this.now())),
    );
    for (const { name } of this.tables()) {
      for (const [id, state] of [...this.#disk.table(name).rows]) {
        if (!isAhead(state)) continue;
        const isDue = (stamp: Stamp) => versionTime(stamp.version) > limit;
        const near = stampsOf(state).filter((stamp) => !isDue(stamp));
        const most = Math.max(this.#disk.version, ...near.map(({ version }) => version));
        this.#disk.version = recordVersion(most);
        this.write(
          name,
          id,
          (_old, stamp) => {
            const anew = restampRow(state, stamp, isDue);
            const isPutAnew = state.base !== undefined && isDue(state.base);
            this.#parts.ledger.restamped({ table: name, id, state: anew }, (one) => {
              if (!isCovered(state, one)) return one;
              // What was later replaced by what was due, too, is known no more.
              const before = { ...stamp, version: recordVersion(stamp.version - 1) };
              return isPutAnew
                ? undefined
                : restampRow(one, before, (part) => isLater(part, stamp));
            });
            return anew;
          },
          () => undefined,
        );
      }
    }
    for (const { table, id, stamp } of [...this.#disk.local.values()]) {
      if (versionTime(stamp.version) <= limit) continue;
      coverRow(this.#disk, table, id, { version: this.#nextVersion(), author: this.author });
    }
  }

  #ownOrigin(): Origin {
    const after = this.#disk.sequence;
    return { author: this.author, sequence: sequence(after + 1), after };
  }

  #nextVersion(): RecordVersion {
    const next = recordVersion(Math.max(versionAt(this.now()), this.#disk.version + 1));
    this.#disk.version = next;
    return next;
  }

  /** Commits in the order in which it was asked, and answers when it is flushed. */
  #commit<T>(run: () => T, done: (result: T) => void): void {
    const { world, random, clock } = this.#parts;
    this.#committedAt = Math.max(this.#committedAt, world.now + random.below(3));
    world.after(this.#committedAt - world.now, () => {
      if (clock.isOver) return;
      const result = run();
      this.#flushed(() => done(result));
    });
  }

  #flushed(then: () => void): void {
    const { world, random, clock, flushMs } = this.#parts;
    this.#waiting.push(then);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    world.after(random.below(flushMs + 1), () => {
      if (clock.isOver) return;
      this.#isFlushing = false;
      this.#disk.flush();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const one of waiting) one();
      for (const listener of this.#listeners) listener();
    });
  }

  #merge(batch: RemoteBatch): ApplyReport {
    const report = { merged: 0, unchanged: 0, unknown: 0 };
    for (const item of batch.items) this.#mergeItem(item, batch, report);
    for (const [author, to] of batch.cursors) this.#raise(author, to);
    for (const [name, value] of Object.entries(batch.notes ?? {})) this.#disk.setNote(name, value);
    if (batch.invalidateCaches === true) this.#cache.dropped(batch, this.#appendNothing());
    return report;
  }

  #raise(author: NodeId, to: Sequence): void {
    if (author !== this.author) this.#disk.setCursor(author, to);
  }

  #appendOwn(entry: LogEntry): void {
    this.#disk.append(entry);
    this.#disk.setCursor(this.author, entry.sequence);
  }

  /** What has a place in the log of this node, and is no news for others. */
  #appendNothing(): Sequence {
    const place = sequence(this.#disk.sequence + 1);
    this.#disk.append({ sequence: place, kind: 'none' });
    return place;
  }

  #mergeItem(
    item: Item,
    batch: RemoteBatch,
    report: { merged: number; unchanged: number; unknown: number },
  ): void {
    const { origin } = item;
    const isAhead = batch.isAhead === true;
    if (!this.tables().some(({ name }) => name === item.table)) {
      report.unknown += 1;
      return;
    }
    if (origin !== undefined && !isAhead) {
      if (origin.sequence <= cursorOf(this.#disk.allCursors(), origin.author)) return;
      this.#raise(origin.author, origin.sequence);
    }
    if (item.kind === 'entry') {
      const { kind, table, id } = item;
      if (!this.#cache.take(item, batch.entries)) return;
      this.#disk.append({ sequence: sequence(this.#disk.sequence + 1), origin, kind, table, id });
      return;
    }
    if (item.kind !== 'row') {
      const place = sequence(this.#disk.sequence + 1);
      if (isAhead) this.#appendNothing();
      else this.#disk.append({ ...item, sequence: place });
      if (item.kind === 'message') this.#disk.addEffect(effectOf(item));
      else if (item.isKnown !== true) {
        this.#disk.addEffect(effectOf(item));
        this.#cache.invalidated(item, place, item.origin.author);
      }
      return;
    }
    const { table, id, state } = item;
    const before = this.rowState(table, id) ?? NO_ROW;
    const after = mergeRows(before, state);
    if (after === before) report.unchanged += 1;
    else {
      report.merged += 1;
      this.#disk.setRow(table, id, after);
      uncoverRow(this.#disk, table, id, after);
      const newest = newestStamp(after)?.version ?? 0;
      if (newest > this.#disk.version) this.#disk.version = recordVersion(newest);
      this.#parts.ledger.merged(table, id, after);
    }
    if (origin === undefined) return;
    const place = sequence(this.#disk.sequence + 1);
    this.#disk.append({ sequence: place, origin, kind: 'row', table, id });
  }
}

export const effectOf = ({ origin }: Item): string => `${origin?.author}.${origin?.sequence}`;

export const UNBOUNDED: Omit<NewTimes, 'storedAt'> = {
  freshUntil: FOREVER,
  staleWhileRevalidateUntil: FOREVER,
  staleIfErrorUntil: FOREVER,
  evictAt: FOREVER,
};
