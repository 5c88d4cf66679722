/**
 * What a simulated node keeps: rows, log, cursors, notes. A commit is there at once and for good
 * when it was flushed; a power cut takes back what was not, in reverse order.
 */
import type { NodeId, RecordId, RecordVersion, Sequence } from '../../src/base/brands.ts';
import { nodeId, recordVersion, sequence } from '../../src/base/brands.ts';
import { DIGEST_BUCKETS, rowDigest } from '../../src/cache/row-digest.ts';
import type { RowState } from '../../src/cache/row-state.ts';
import type { Horizon, Life, LogEntry } from '../../src/replication/ports.ts';

export interface Table {
  readonly rows: Map<RecordId, RowState>;
  readonly digest: Uint32Array;
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

  dropCaches(): void {
    this.change(() => {
      this.drops += 1;
      return () => {
        this.drops -= 1;
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
