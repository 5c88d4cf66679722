/**
 * What a simulated node keeps: rows, log, cursors, notes. A commit is there at once and for good
 * when it was flushed; a power cut takes back what was not, in reverse order.
 */
import type { NodeId, RecordId, RecordVersion, Sequence } from '../../src/base/brands.ts';
import { nodeId, recordVersion, sequence } from '../../src/base/brands.ts';
import { DIGEST_BUCKETS, rowDigest } from '../../src/cache/row-digest.ts';
import type { RowState } from '../../src/cache/row-state.ts';
import type { Horizon, Life, LogEntry } from '../../src/replication/ports.ts';
import type { LocalRow } from './sim-local-rows.ts';

export interface Table {
  readonly rows: Map<RecordId, RowState>;
  readonly digest: Uint32Array;
}

/** An entry of the cache: what its origin held when its fetch began, and where the log stood. */
export interface CachedRow {
  readonly worth: number;
  readonly stamp: Sequence;
  readonly storedAt: number;
}

export class Disk {
  lives: readonly Life[];
  sequence: Sequence = sequence(0);
  first: Sequence = sequence(1);
  version: RecordVersion = recordVersion(0);
  log: LogEntry[] = [];
  readonly tables = new Map<string, Table>();
  readonly cursors = new Map<NodeId, Sequence>();
  readonly notes = new Map<string, unknown>();
  /** Messages and invalidations that had effect, and how often caches were dropped. */
  readonly effects = new Map<string, number>();
  drops = 0;
  /** Rows of this node alone, by table and key. */
  readonly local = new Map<string, LocalRow>();
  readonly cached = new Map<RecordId, CachedRow>();
  /** By key: where it was last invalidated, and what the origin held by then. */
  readonly #outdated = new Map<RecordId, { readonly place: Sequence; readonly worth: number }>();
  #droppedAt: Sequence = sequence(0);
  horizon: Horizon;
  readonly #undo: (() => void)[] = [];

  constructor(author: number) {
    this.lives = [{ author: nodeId(author), since: sequence(0) }];
    this.horizon = { sequence: this.sequence, cursors: this.allCursors() };
  }

  get author(): NodeId {
    return this.lives.at(-1)?.author ?? nodeId(1);
  }

  /** Does something that a power cut takes back until it is flushed. */
  change(run: () => () => void): void {
    this.#undo.push(run());
  }

  /** Own lives among them, each at the last change it made. */
  allCursors(): Map<NodeId, Sequence> {
    return new Map(this.cursors);
  }

  flush(): void {
    this.#undo.length = 0;
    this.horizon = { sequence: this.sequence, cursors: this.allCursors() };
  }

  /** A power cut: what was not flushed is gone, and the next run is another author. */
  cutPower(author: number): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) undo();
    this.lives = [...this.lives, { author: nodeId(author), since: this.sequence }];
    this.horizon = { sequence: this.sequence, cursors: this.allCursors() };
  }

  table(name: string): Table {
    const known = this.tables.get(name);
    if (known !== undefined) return known;
    const made = {
      rows: new Map<RecordId, RowState>(),
      digest: new Uint32Array(DIGEST_BUCKETS * 2),
    };
    this.tables.set(name, made);
    return made;
  }

  setRow(table: string, id: RecordId, state: RowState | undefined): void {
    const { rows, digest } = this.table(table);
    const before = rows.get(id);
    const replace = (from: RowState | undefined, to: RowState | undefined): void => {
      mark(digest, id, from);
      mark(digest, id, to);
      if (to === undefined) rows.delete(id);
      else rows.set(id, to);
    };
    this.change(() => {
      replace(before, state);
      return () => replace(state, before);
    });
  }

  setLocal(key: string, row: LocalRow | undefined): void {
    const before = this.local.get(key);
    const replace = (next: LocalRow | undefined): void => {
      if (next === undefined) this.local.delete(key);
      else this.local.set(key, next);
    };
    this.change(() => {
      replace(row);
      return () => replace(before);
    });
  }

  append(entry: LogEntry): void {
    this.change(() => {
      const before = this.sequence;
      this.log.push(entry);
      this.sequence = entry.sequence;
      return () => {
        this.log.pop();
        this.sequence = before;
      };
    });
  }

  setCursor(author: NodeId, to: Sequence): void {
    const before = this.cursors.get(author);
    if (to <= (before ?? 0)) return;
    this.change(() => {
      this.cursors.set(author, to);
      return () => {
        if (before === undefined) this.cursors.delete(author);
        else this.cursors.set(author, before);
      };
    });
  }

  setNote(name: string, value: unknown): void {
    const before = this.notes.get(name);
    this.change(() => {
      this.notes.set(name, value);
      return () => this.notes.set(name, before);
    });
  }

  addEffect(name: string): void {
    const before = this.effects.get(name) ?? 0;
    this.change(() => {
      this.effects.set(name, before + 1);
      return () => this.effects.set(name, before);
    });
  }

  dropCaches(place: Sequence): void {
    const before = this.#droppedAt;
    this.change(() => {
      this.drops += 1;
      this.#droppedAt = place;
      return () => {
        this.drops -= 1;
        this.#droppedAt = before;
      };
    });
  }

  /** Entries whose fetch began before this place are outdated. */
  outdatedAt(id: RecordId): number {
    return Math.max(this.#droppedAt, this.#outdated.get(id)?.place ?? 0);
  }

  /** What an entry must hold at least, by the invalidations that had effect. */
  obeyedWorth(id: RecordId): number {
    return this.#outdated.get(id)?.worth ?? 0;
  }

  outdate(id: RecordId, place: Sequence, worth: number): void {
    const most = Math.max(worth, this.obeyedWorth(id));
    this.#setIn(this.#outdated, id, { place, worth: most });
  }

  setCached(id: RecordId, row: CachedRow): void {
    this.#setIn(this.cached, id, row);
  }

  #setIn<T>(map: Map<RecordId, T>, id: RecordId, value: T): void {
    const before = map.get(id);
    this.change(() => {
      map.set(id, value);
      return () => {
        if (before === undefined) map.delete(id);
        else map.set(id, before);
      };
    });
  }

  /** Forgets the older part of the log. */
  trim(keep: number): void {
    const firstKept = Math.max(this.first, this.horizon.sequence - keep + 1);
    this.log = this.log.filter((entry) => entry.sequence >= firstKept);
    this.first = sequence(firstKept);
  }
}

function mark(digest: Uint32Array, id: RecordId, state: RowState | undefined): void {
  if (state === undefined) return;
  const { bucket, high, low } = rowDigest(id, state);
  digest[bucket * 2] = (digest[bucket * 2] ?? 0) ^ high;
  digest[bucket * 2 + 1] = (digest[bucket * 2 + 1] ?? 0) ^ low;
}
