/**
 * The serving side of one connection (SPEC §4): one stream at a time, begun where `plan-stream.ts`
 * says, sent as far as the puller's window and the connection have room; and answers to requests
 * for pages and digests. It keeps a place in the log and the bytes under way, never a queue of
 * changes.
 */
import { durationMs, type NodeId, type Sequence, sequence } from '../base/brands.ts';
import type { Cancel, Clock } from '../base/clock.ts';
import { newestStamp } from '../cache/row-state.ts';
import { LIMITS } from '../config/limits.ts';
import { BOUNDS } from './bounds.ts';
import { cursorOf, cursorsOf, pairsOf, raise, raiseAll } from './cursors.ts';
import { entryProblem } from './frame-check.ts';
import type {
  AckFrame,
  BodyFrame,
  BodyRequestFrame,
  DigestRequestFrame,
  DigestsFrame,
  Frame,
  OpenFrame,
  PageFrame,
  PageRequestFrame,
} from './frames.ts';
import { itemBytes } from './item-size.ts';
import { jumpsOf } from './jumps.ts';
import { StreamPlanner, type StreamRequest } from './plan-stream.ts';
import type { Cursors, Item, LogEntry, ReplicaStore } from './ports.ts';
import { entryTravels, type Holdings, travels } from './selection.ts';
import { digestBytes, digestOfTable } from './table-digest.ts';

const AT_ONCE = durationMs(0);
/** What a batch takes on a connection beside its items, about. */
const BATCH_BYTES = 64;
const NO_BYTES = new Uint8Array(0);

export interface ServerParts {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  /** False: there is no room, `drained` will follow. */
  readonly send: (frame: Frame) => boolean;
  readonly own: () => Holdings;
  readonly peer: Holdings;
  /** Whether this node may stand for others: false while it is joining. */
  readonly isSource: () => boolean;
  /** Cursors are being raised for which no entry will stand behind any place in the log. */
  readonly isRaising: () => boolean;
}

interface Stream {
  readonly number: number;
  readonly request: StreamRequest;
  readonly window: number;
  /** The log is read up to here. */
  at: Sequence;
  /** What the puller has, or has been sent. */
  readonly sent: Map<NodeId, Sequence>;
  readonly underWay: Map<number, number>;
  underWayBytes: number;
  ordinal: number;
  isBegun: boolean;
  /** The version of the last own change up to there. */
  version: number;
  /** The last batch said that the log ends there. */
  toldAt: Sequence;
}

export class StreamServer {
  readonly #parts: ServerParts;
  #stream: Stream | undefined;
  #hasRoom = true;
  #turn: Cancel | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  open(frame: OpenFrame): void {
    this.end();
    const cursors = cursorsOf(frame.cursors);
    const request = { scope: frame.scope, cursors, direct: new Set(frame.direct) };
    const stream: Stream = {
      ...{ number: frame.stream, request, window: frame.window },
      ...{ at: sequence(0), sent: new Map(cursors), underWay: new Map(), underWayBytes: 0 },
      ...{ ordinal: 0, isBegun: false, version: 0, toldAt: sequence(-1) },
    };
    const { store, isRaising, send } = this.#parts;
    if (isRaising()) {
      const later = {
        kind: 'begin',
        mode: 'later',
        covers: [],
        retryMs: BOUNDS.raisingMs,
      } as const;
      send({ ...later, stream: frame.stream, last: store.horizon().sequence });
      return;
    }
    this.#stream = stream;
    const source = {
      ...{ lives: store.lives, horizon: store.horizon(), first: store.firstSequence() },
      jumps: jumpsOf(store),
    };
    this.#plan(stream, new StreamPlanner(source, request));
  }

  acknowledged({ stream, ordinal }: AckFrame): void {
    const current = this.#stream;
    if (current === undefined || current.number !== stream) return;
    current.underWayBytes -= current.underWay.get(ordinal) ?? 0;
    current.underWay.delete(ordinal);
    this.pump();
  }

  drained(): void {
    this.#hasRoom = true;
    this.pump();
  }

  /** Cursors rose in a way that no stream under way accounts for. */
  restart(): void {
    if (this.#stream === undefined) return;
    this.#parts.send({ kind: 'restart', stream: this.#stream.number });
    this.end();
  }

  end(): void {
    this.#turn?.();
    this.#turn = undefined;
    this.#stream = undefined;
  }

  /** Sends what there is room for. `isLazy` false: tells the place in the log, too. */
  pump(isLazy = true): void {
    const stream = this.#stream;
    if (stream === undefined || !stream.isBegun || this.#turn !== undefined) return;
    for (let turns = 0; this.#mayRead(stream); turns += 1) {
      if (turns === BOUNDS.turnPages) {
        this.#later(() => this.pump(isLazy));
        return;
      }
      this.#read(stream, isLazy);
    }
    if (!isLazy && stream.underWay.size === 0 && stream.toldAt < stream.at) {
      this.#send(stream, new Batch(this.#parts.store.author));
    }
  }

  #mayRead(stream: Stream): boolean {
    const horizon = this.#parts.store.horizon();
    if (stream.at < horizon.sequence && !this.#hasNews(stream, horizon.cursors)) {
      stream.at = horizon.sequence;
    }
    const isRoom = this.#hasRoom && stream.underWayBytes < stream.window;
    return isRoom && stream.at < horizon.sequence;
  }

  /**
   * Whether an author that the stream tells of changed anything since: every entry that concerns
   * the puller has raised the cursor of its author. In a full mesh most of a log is of no concern.
   */
  #hasNews(stream: Stream, cursors: Cursors): boolean {
    for (const [author, at] of cursors) {
      if (at > cursorOf(stream.sent, author) && this.#covers(stream, author)) return true;
    }
    return false;
  }

  #plan(stream: Stream, planner: StreamPlanner): void {
    const { store } = this.#parts;
    const { sequence: last } = store.horizon();
    for (let pages = 0; planner.plan === undefined; pages += 1) {
      if (pages === BOUNDS.turnPages) {
        this.#later(() => this.#plan(stream, planner));
        return;
      }
      planner.read(store.logAfter(planner.next, BOUNDS.logPage), last);
    }
    if (planner.plan.kind === 'snapshot') this.#beginSnapshot(stream);
    else this.#begin(stream, planner.plan.start);
  }

  #begin(stream: Stream, start: Sequence): void {
    const { store, send } = this.#parts;
    const { sequence: last, cursors } = store.horizon();
    stream.at = start;
    stream.isBegun = true;
    const covers = [...cursors]
      .map(([author]) => [author, cursorOf(stream.request.cursors, author)] as const)
      .filter(([author]) => this.#covers(stream, author));
    const { number } = stream;
    send({ kind: 'begin', stream: number, mode: 'stream', last, covers, retryMs: 0 });
    this.pump(false);
  }

  #beginSnapshot(stream: Stream): void {
    const { store, send, isSource } = this.#parts;
    const { sequence: last, cursors } = store.horizon();
    this.end();
    const mode = isSource() ? 'snapshot' : 'later';
    const covers = pairsOf(cursors).filter(([author]) => this.#covers(stream, author));
    const retryMs = mode === 'later' ? BOUNDS.laterMs : 0;
    send({ kind: 'begin', stream: stream.number, mode, last, covers, retryMs });
  }

  /** Whether a stream tells of an author. */
  #covers({ request }: Stream, author: NodeId): boolean {
    if (request.direct.has(author)) return false;
    return request.scope === 'all' || this.#isOwn(author);
  }

  #isOwn(author: NodeId): boolean {
    return this.#parts.store.lives.some((life) => life.author === author);
  }

  /** As much of the log as one batch takes: about a page, and to the end of a transaction. */
  #read(stream: Stream, isLazy: boolean): void {
    const { store } = this.#parts;
    const { sequence: last, cursors } = store.horizon();
    // [SPEC §14] From before an entry of a cache is read.
    const batch = new Batch(store.author, cursors);
    const own = this.#parts.own();
    let isCut = false;
    while (!isCut && stream.at < last) {
      // Beyond a page it looks for the end of a transaction only.
      const page = store.logAfter(stream.at, batch.isFull ? BOUNDS.logStep : BOUNDS.logPage);
      if (page.isTruncated) {
        this.restart();
        return;
      }
      isCut = this.#readPage(stream, batch, page.entries, { last, own });
      if (page.entries.length === 0) stream.at = last;
    }
    if (stream.at >= last) {
      const covered = [...cursors].filter(([author]) => this.#covers(stream, author));
      raiseAll(stream.sent, new Map(covered));
    }
    if (batch.size > 0 || !isLazy) this.#send(stream, batch);
  }

  /** Whether the batch ends before the end of the page. */
  #readPage(
    stream: Stream,
    batch: Batch,
    entries: readonly LogEntry[],
    { last, own }: { readonly last: Sequence; readonly own: Holdings },
  ): boolean {
    for (const entry of entries) {
      if (entry.sequence > last || isEnd(stream, batch, entry, last)) return true;
      stream.at = entry.sequence;
      batch.entries += 1;
      this.#take(stream, batch, entry, own);
    }
    return false;
  }

  #take(stream: Stream, batch: Batch, entry: LogEntry, own: Holdings): void {
    const { origin } = entry;
    if (origin === undefined || !this.#covers(stream, origin.author)) return;
    if (entry.kind === 'row' && origin.author === this.#parts.store.author) {
      stream.version = Math.max(stream.version, entry.version ?? 0);
    }
    if (origin.sequence <= cursorOf(stream.request.cursors, origin.author)) return;
    raise(stream.sent, origin.author, origin.sequence);
    const item = this.#itemOf(entry, own);
    if (item !== undefined) batch.add(item);
  }

  #itemOf(entry: LogEntry, own: Holdings): Item | undefined {
    const { origin } = entry;
    if (origin === undefined || entry.kind === 'none') return undefined;
    if (!this.#mayTravel(entry, own)) return undefined;
    if (entry.kind === 'message' || entry.kind === 'invalidation') {
      const { sequence: _place, ...told } = entry;
      return { ...told, origin };
    }
    if (entry.kind === 'entry') {
      const { kind, table, id } = entry;
      const held = this.#parts.store.heldEntry(table, id);
      // What the other side would refuse stays here.
      const isSound = held !== undefined && entryProblem(held) === undefined;
      return isSound ? { kind, table, id, entry: held, origin } : undefined;
    }
    const { kind, table, id, isJoined } = entry;
    const state = this.#parts.store.rowState(table, id);
    if (state === undefined) return undefined;
    const item = { kind, table, id, origin, state };
    return isJoined === true ? { ...item, isJoined } : item;
  }

  #mayTravel(entry: Exclude<LogEntry, { kind: 'none' }>, own: Holdings): boolean {
    const { peer } = this.#parts;
    const { tables, selection } = own;
    const table = tables.find(({ name }) => name === entry.table);
    if (table === undefined) return false;
    if (entry.kind === 'invalidation' && entry.scope.kind !== 'key') return true;
    const id = entry.kind === 'invalidation' ? idOf(entry.scope) : entry.id;
    if (entry.kind === 'entry') {
      const theirs = peer.tables.find(({ name }) => name === entry.table);
      return entryTravels(id, [
        [selection, table],
        [peer.selection, theirs],
      ]);
    }
    return travels(selection, table, id, 'send') && travels(peer.selection, table, id, 'receive');
  }

  #send(stream: Stream, { items, bytes: itemsBytes, obeyed }: Batch): void {
    const { store } = this.#parts;
    const { sequence: last } = store.horizon();
    const facts = obeyed && { now: store.now(), obeyed: pairsOf(obeyed) };
    stream.ordinal += 1;
    const bytes = itemsBytes + BATCH_BYTES;
    stream.underWay.set(stream.ordinal, bytes);
    stream.underWayBytes += bytes;
    stream.toldAt = stream.at;
    const changed = [...stream.sent].filter(
      ([author, at]) => at > cursorOf(stream.request.cursors, author),
    );
    this.#hasRoom = this.#parts.send({
      ...{ kind: 'batch', stream: stream.number, ordinal: stream.ordinal },
      ...{ items, cursors: changed, at: stream.at, last, ...facts },
    });
  }

  #later(step: () => void): void {
    this.#turn = this.#parts.clock.after(AT_ONCE, () => {
      this.#turn = undefined;
      step();
    });
  }

  page({ request, table, after, buckets }: PageRequestFrame): PageFrame {
    const { store, own, peer, isSource } = this.#parts;
    const { tables, selection } = own();
    const known = tables.find(({ name }) => name === table);
    if (known?.mode !== 'rows' || !isSource()) return { kind: 'page', request, rows: [] };
    const { rows, next } = store.rowPage(table, {
      after,
      rowsMax: BOUNDS.pageRows,
      bytesMax: LIMITS.replicationBatchBytesMax,
      buckets: buckets === undefined ? undefined : new Set(buckets),
    });
    const travelling = rows.filter(
      ({ id }) =>
        travels(selection, known, id, 'send') && travels(peer.selection, known, id, 'receive'),
    );
    return { kind: 'page', request, rows: travelling, ...(next !== undefined && { next }) };
  }

  /** A piece of a body; never rejects. */
  async body({ request, table, id, digest, from }: BodyRequestFrame): Promise<BodyFrame> {
    const { store, own, peer } = this.#parts;
    const { tables, selection } = own();
    const known = tables.find(({ name }) => name === table);
    const mayTravel =
      known?.mode === 'rows' &&
      travels(selection, known, id, 'send') &&
      travels(peer.selection, known, id, 'receive');
    const reading = mayTravel
      ? store.bodies?.read({ table, id, digest }, from, LIMITS.bodyReadBytes)
      : undefined;
    const bytes = await reading?.catch(() => undefined);
    return { kind: 'body', request, bytes: bytes ?? NO_BYTES };
  }

  digests({ request, table }: DigestRequestFrame): DigestsFrame {
    const { store, own, isSource } = this.#parts;
    // [SPEC §8] What a node holds that is joining is nobody's measure.
    if (!isSource()) return { kind: 'digests', request, tables: [] };
    if (table !== undefined) {
      const found = own().tables.some(({ name }) => name === table);
      const digest = found ? store.digest(table) : undefined;
      return { kind: 'digests', request, tables: [], buckets: digestBytes(digest) };
    }
    const tables = own().tables.flatMap(({ name, mode }) => {
      const digest = mode === 'rows' ? store.digest(name) : undefined;
      return digest === undefined ? [] : [[name, ...digestOfTable(digest)] as const];
    });
    return { kind: 'digests', request, tables };
  }
}

const idOf = (scope: { readonly kind: string; readonly id?: string | number }): string | number =>
  scope.id ?? '';

/**
 * Whether a batch ends before an entry. [DESIGN §8] Not within a transaction; and near the end of
 * the log not while a row shows a change of which the rest is still to come.
 */
function isEnd(stream: Stream, batch: Batch, entry: LogEntry, last: Sequence): boolean {
  if (!batch.isFull) return false;
  if (batch.isTooLarge) return true;
  if ((entry.kind === 'row' || entry.kind === 'none') && entry.isJoined === true) return false;
  if (entry.kind !== 'row') return true;
  return batch.version <= stream.version || last - entry.sequence > BOUNDS.logEnd;
}

/** Items in log order; of one row changed twice by one author the last change counts. */
class Batch {
  readonly #items = new Map<string, Item>();
  readonly #author: NodeId;
  bytes = 0;
  /** Entries of the log that were looked at. */
  entries = 0;
  /** The newest own version that a row shows. */
  version = 0;
  readonly #cursors: Cursors | undefined;
  #hasEntries = false;

  /** `cursors`: those of this node when it began to read. */
  constructor(author: NodeId, cursors?: Cursors) {
    this.#author = author;
    this.#cursors = cursors;
  }

  /** What was obeyed before the first entry of a cache was read; absent: there are none. */
  get obeyed(): Cursors | undefined {
    return this.#hasEntries ? this.#cursors : undefined;
  }

  get isFull(): boolean {
    return this.bytes >= LIMITS.replicationBatchBytesMax || this.entries >= BOUNDS.logPage;
  }

  get isTooLarge(): boolean {
    const isLong = this.entries >= BOUNDS.items;
    return isLong || this.bytes >= LIMITS.replicationTransactionBytesMax;
  }

  get size(): number {
    return this.#items.size;
  }

  get items(): readonly Item[] {
    return [...this.#items.values()];
  }

  add(item: Item): void {
    const key = keyOf(item);
    const former = this.#items.get(key);
    if (former !== undefined) {
      this.bytes -= itemBytes(former);
      // Behind what the author changed meanwhile: its sequences rise within a batch.
      this.#items.delete(key);
    }
    this.#items.set(key, item);
    this.bytes += itemBytes(item);
    this.#hasEntries ||= item.kind === 'entry';
    const newest = item.kind === 'row' ? newestStamp(item.state) : undefined;
    if (newest?.author === this.#author) this.version = Math.max(this.version, newest.version);
  }
}

function keyOf({ kind, origin, ...item }: Item): string {
  const author = origin?.author ?? 0;
  if (kind === 'message' || kind === 'invalidation' || !('id' in item)) {
    return `${author}.${origin?.sequence ?? 0}`;
  }
  return `${author}/${item.table}/${typeof item.id}/${item.id}`;
}
