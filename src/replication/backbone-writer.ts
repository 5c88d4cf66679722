/**
 * Tells the backbone what this node changed (SPEC §13): reads its own log from the place that the
 * server has acknowledged, a bounded number of messages ahead of it. Nothing is kept beside the
 * log: when the server was away, or has lost what it said it had, it is read again from there.
 */
import { durationMs, type NodeId, type Sequence, sequence } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { Backbone, News } from './backbone-port.ts';
import { BOUNDS } from './bounds.ts';
import { cursorOf, NOTHING_KNOWN } from './cursors.ts';
import { itemBytes } from './item-size.ts';
import type { Item, LogEntry, ReplicaStore } from './ports.ts';
import { type Holdings, travels } from './selection.ts';

export interface WriterParts {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly name: string;
  readonly own: () => Holdings;
  readonly backbone: Backbone;
}

/** What becomes one message. */
interface Batch {
  readonly upTo: Sequence;
  /** The log is read up to here. */
  readonly read: Sequence;
  readonly items: readonly Item[];
  readonly changes: number;
}

export class BackboneWriter {
  readonly counts = { published: 0, omitted: 0, failures: 0 };
  readonly #parts: WriterParts;
  readonly #author: NodeId;
  readonly #since: Sequence;
  /** All own changes up to here are told, and are known to be held by the server. */
  #stored: Sequence | undefined;
  /** Up to here they are told; the log is read up to `#read`. */
  #told: Sequence = NOTHING_KNOWN;
  #read: Sequence = NOTHING_KNOWN;
  #underWay: { readonly upTo: Sequence; isStored: boolean }[] = [];
  /** What was sent before a failure is not heard of any more. */
  #attempt = 0;
  #isOpen = false;
  #again: Cancel | undefined;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    const life = parts.store.lives.at(-1);
    this.#author = parts.store.author;
    this.#since = life?.since ?? NOTHING_KNOWN;
  }

  /** How far others may wait for the backbone to tell them; absent: it tells nothing now. */
  get published(): Sequence | undefined {
    return this.#isOpen && this.#again === undefined ? this.#ownCursor : undefined;
  }

  /** `held`: up to where the stream holds what this author told. */
  open(held: Sequence | undefined): void {
    const own = this.#ownCursor;
    const known = held ?? this.#stored ?? own;
    this.#isOpen = true;
    // More than there is was never told by this node as it is now.
    this.#stored = known > own ? own : known;
    this.#begin();
  }

  close(): void {
    this.#isOpen = false;
    this.#attempt += 1;
    this.#again?.();
    this.#again = undefined;
    this.#underWay = [];
  }

  /** Tells what there is to tell, as far as there is room. */
  pump(): void {
    while (this.#isOpen && this.#again === undefined && this.#step()) {}
  }

  get #ownCursor(): Sequence {
    return cursorOf(this.#parts.store.horizon().cursors, this.#author);
  }

  #begin(): void {
    this.#attempt += 1;
    this.#underWay = [];
    this.#told = this.#stored ?? NOTHING_KNOWN;
    this.#read = this.#told > this.#since ? this.#told : this.#since;
    this.pump();
  }

  /** Whether there may be more to do. */
  #step(): boolean {
    if (this.#underWay.length >= BOUNDS.newsUnderWay) return false;
    if (this.#told >= this.#ownCursor) return false;
    const { store } = this.#parts;
    const { sequence: last } = store.horizon();
    const page = store.logAfter(this.#read, BOUNDS.logPage);
    if (page.isTruncated) {
      // What is told next does not follow on what others have: they ask peers for it.
      this.#read = sequence(store.firstSequence() - 1);
      this.#told = this.#read > this.#told ? this.#read : this.#told;
      return this.#read < last;
    }
    const entries = page.entries.filter((entry) => entry.sequence <= last);
    if (entries.length === 0) return false;
    this.#tell(entries);
    return true;
  }

  #tell(entries: readonly LogEntry[]): void {
    let batch = this.#batch(entries, BOUNDS.items);
    if (batch.changes === 0) {
      this.#read = batch.read;
      return;
    }
    let sending = this.#publish(batch, false);
    while (sending === undefined && batch.changes > 1) {
      batch = this.#batch(entries, Math.floor(batch.changes / 2));
      sending = this.#publish(batch, false);
    }
    if (sending === undefined) {
      this.counts.omitted += 1;
      sending = this.#publish({ ...batch, items: [] }, true) ?? Promise.resolve();
    }
    this.#told = batch.upTo;
    this.#read = batch.read;
    this.#await(sending, batch.upTo);
  }

  #batch(entries: readonly LogEntry[], changesMax: number): Batch {
    const own = this.#parts.own();
    const items = new Map<string, Item>();
    let [bytes, changes, upTo, read] = [0, 0, this.#told, this.#read];
    for (const entry of entries) {
      const isOwn = entry.origin?.author === this.#author;
      if (isOwn && (changes >= changesMax || bytes >= LIMITS.replicationBatchBytesMax)) break;
      read = entry.sequence;
      if (!isOwn) continue;
      changes += 1;
      upTo = entry.sequence;
      const item = this.#itemOf(entry, own);
      if (item === undefined) continue;
      const key = keyOf(item);
      const former = items.get(key);
      // Behind what was changed meanwhile: sequences rise within a message.
      if (former !== undefined) items.delete(key);
      items.set(key, item);
      bytes += itemBytes(item) - (former === undefined ? 0 : itemBytes(former));
    }
    return { upTo, read, changes, items: [...items.values()] };
  }

  #itemOf(entry: LogEntry, { tables, selection }: Holdings): Item | undefined {
    const { origin } = entry;
    if (origin === undefined || entry.kind === 'none') return undefined;
    const table = tables.find(({ name }) => name === entry.table);
    if (table === undefined) return undefined;
    if (entry.kind === 'invalidation') {
      const { scope } = entry;
      if (scope.kind === 'key' && !travels(selection, table, scope.id, 'send')) return undefined;
    } else if (!travels(selection, table, entry.id, 'send')) return undefined;
    if (entry.kind !== 'row') {
      const { sequence: _place, ...told } = entry;
      return { ...told, origin };
    }
    const { kind, table: name, id } = entry;
    const state = this.#parts.store.rowState(name, id);
    return state === undefined ? undefined : { kind, table: name, id, origin, state };
  }

  #publish({ upTo, items }: Batch, isOmitted: boolean): Promise<void> | undefined {
    const { backbone, store, name, own } = this.#parts;
    const news: News = {
      ...{ author: this.#author, name, since: this.#since, after: this.#told, upTo },
      ...{ at: store.now(), items, isOmitted },
    };
    const names = new Set(items.map(({ table }) => table));
    const [only] = names.size === 1 ? names : [];
    return backbone.publish(
      news,
      own().tables.find((table) => table.name === only),
    );
  }

  #await(sending: Promise<void>, upTo: Sequence): void {
    const attempt = this.#attempt;
    const message = { upTo, isStored: false };
    this.#underWay.push(message);
    sending.then(
      () => {
        this.counts.published += 1;
        message.isStored = true;
        if (attempt === this.#attempt) this.#acknowledged();
      },
      () => {
        this.counts.failures += 1;
        if (attempt === this.#attempt) this.#failed();
      },
    );
  }

  /** In the order in which they were sent: what stands behind a gap is told again. */
  #acknowledged(): void {
    for (let next = this.#underWay[0]; next?.isStored === true; next = this.#underWay[0]) {
      this.#stored = next.upTo;
      this.#underWay.shift();
    }
    this.pump();
  }

  #failed(): void {
    this.#attempt += 1;
    this.#again = this.#parts.clock.after(durationMs(BOUNDS.publishAgainMs), () => {
      this.#again = undefined;
      this.#begin();
    });
  }
}

function keyOf(item: Item): string {
  if (item.kind !== 'row') return `${item.origin.sequence}`;
  return `${item.table}/${typeof item.id}/${item.id}`;
}
