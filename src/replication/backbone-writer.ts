/**
 * Tells the backbone what this node changed (SPEC §13): reads its own log from the place that the
 * server has acknowledged, a bounded number of messages ahead of it. Nothing is kept beside the
 * log: when the server was away, or has lost what it said it had, it is read again from there.
 */
import { durationMs, type NodeId, type Sequence, sequence } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import { newestStamp } from '../cache/row-state.ts';
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

/** One change of this node, and what is told of it. */
interface Change {
  readonly sequence: Sequence;
  /** Of one transaction with the change before it. */
  readonly isJoined: boolean;
  readonly item: Item | undefined;
}

/** As many changes as one message may hold. */
interface Gathered {
  readonly changes: readonly Change[];
  /** The log is read up to here. */
  readonly read: Sequence;
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
  #turn: Cancel | undefined;

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
    this.#turn?.();
    this.#turn = undefined;
    this.#underWay = [];
  }

  /** Tells what there is to tell, as far as there is room. */
  pump(): void {
    if (this.#turn !== undefined) return;
    for (let steps = 0; this.#isOpen && this.#again === undefined && this.#step(); steps += 1) {
      if (steps < BOUNDS.turnPages) continue;
      this.#turn = this.#parts.clock.after(durationMs(0), () => {
        this.#turn = undefined;
        this.pump();
      });
      return;
    }
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
    const { sequence: last, cursors } = this.#parts.store.horizon();
    if (this.#told >= cursorOf(cursors, this.#author)) {
      // What stands in the log up to here is of others.
      this.#read = last;
      return false;
    }
    const { changes, read } = this.#gather(last);
    if (changes.length > 0) this.#tell(changes, read);
    else this.#read = read;
    return this.#read < last;
  }

  /** [DESIGN §8] A message ends before no change that is joined to the one before. */
  #gather(last: Sequence): Gathered {
    const { store, own } = this.#parts;
    const holdings = own();
    const changes: Change[] = [];
    let read = this.#read;
    let bytes = 0;
    // The newest own change that the log has come to, and the newest that a row shows.
    let [reached, shown] = [0, 0];
    for (let pages = 0; read < last; pages += 1) {
      if (pages >= BOUNDS.turnPages && changes.length === 0) return { changes, read };
      const { entries, isTruncated } = store.logAfter(read, BOUNDS.logPage);
      if (isTruncated) return { changes, read: changes.length > 0 ? read : this.#skip() };
      for (const entry of entries) {
        if (entry.sequence > last) return { changes, read };
        if (entry.origin?.author === this.#author) {
          const isJoined = isJoinedEntry(entry);
          // Near the end of the log also what a row already shows of a later transaction.
          const isShown = shown > reached && last - entry.sequence <= BOUNDS.logEnd;
          if (isFull(changes.length, bytes, isJoined || isShown)) return { changes, read };
          const item = this.#itemOf(entry, holdings);
          changes.push({ sequence: entry.sequence, isJoined, item });
          bytes += item === undefined ? 0 : itemBytes(item);
          reached = Math.max(reached, entry.kind === 'row' ? (entry.version ?? 0) : 0);
          shown = Math.max(shown, this.#shownBy(item));
        }
        read = entry.sequence;
      }
      if (entries.length === 0) return { changes, read: last };
    }
    return { changes, read };
  }

  /** The newest own version in a row. */
  #shownBy(item: Item | undefined): number {
    const newest = item?.kind === 'row' ? newestStamp(item.state) : undefined;
    return newest?.author === this.#author ? newest.version : 0;
  }

  /** What is told next does not follow on what others have: they ask peers for it. */
  #skip(): Sequence {
    const first = sequence(this.#parts.store.firstSequence() - 1);
    this.#told = first > this.#told ? first : this.#told;
    return first;
  }

  #tell(changes: readonly Change[], read: Sequence): void {
    let count = changes.length;
    let sending = this.#publish(changes);
    while (sending === undefined && count > 0) {
      count = endBefore(changes, Math.floor(count / 2));
      if (count > 0) sending = this.#publish(changes.slice(0, count));
    }
    if (sending === undefined) {
      this.counts.omitted += 1;
      count = endAfterFirst(changes);
      sending = this.#publish(changes.slice(0, count), true) ?? Promise.resolve();
    }
    const upTo = changes[count - 1]?.sequence ?? this.#told;
    this.#told = upTo;
    this.#read = count === changes.length ? read : upTo;
    this.#await(sending, upTo);
  }

  #itemOf(entry: LogEntry, { tables, selection }: Holdings): Item | undefined {
    const { origin } = entry;
    // [SPEC §14] Entries of caches travel between nodes that have compared their clocks.
    if (origin === undefined || entry.kind === 'none' || entry.kind === 'entry') return undefined;
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
    if (state === undefined) return undefined;
    const isJoined = isJoinedEntry(entry);
    return { kind, table: name, id, origin, state, ...(isJoined && { isJoined }) };
  }

  #publish(changes: readonly Change[], isOmitted = false): Promise<void> | undefined {
    const { backbone, store, name, own } = this.#parts;
    const items = isOmitted ? [] : newestOf(changes);
    const news: News = {
      ...{ author: this.#author, name, since: this.#since, after: this.#told },
      ...{ upTo: changes.at(-1)?.sequence ?? this.#told, at: store.now(), items, isOmitted },
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

/** A row of this node alone goes with its transaction, though nothing is told of it. */
const isJoinedEntry = (entry: LogEntry): boolean =>
  (entry.kind === 'row' || entry.kind === 'none') && entry.isJoined === true;

/** Whether a message that holds so much is not to take another change. */
function isFull(changes: number, bytes: number, goesOn: boolean): boolean {
  if (changes >= BOUNDS.items || bytes >= BOUNDS.newsBytes) return true;
  return !goesOn && (changes >= BOUNDS.logPage || bytes >= LIMITS.replicationBatchBytesMax);
}

/** The greatest number of changes up to `count` behind which no transaction is parted. */
function endBefore(changes: readonly Change[], count: number): number {
  let end = count;
  while (end > 0 && changes[end]?.isJoined === true) end -= 1;
  return end;
}

function endAfterFirst(changes: readonly Change[]): number {
  const next = changes.findIndex(({ isJoined }, at) => at > 0 && !isJoined);
  return next < 0 ? changes.length : next;
}

/** Items in log order; of one row changed twice the last change counts. */
function newestOf(changes: readonly Change[]): readonly Item[] {
  const items = new Map<string, Item>();
  for (const { item } of changes) {
    if (item === undefined) continue;
    const key = keyOf(item);
    // Behind what was changed meanwhile: sequences rise within a message.
    items.delete(key);
    items.set(key, item);
  }
  return [...items.values()];
}

function keyOf(item: Item): string {
  if (item.kind !== 'row') return `${item.origin.sequence}`;
  return `${item.table}/${typeof item.id}/${item.id}`;
}
