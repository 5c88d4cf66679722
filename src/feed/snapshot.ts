/**
 * The rows of a collection, sent in chunks paced by the sink, before its stream. A snapshot names
 * the position S at which its subscriber was registered; rows may be newer than S, and every change
 * after S follows, so nothing is missed between. Chunks are kept by (table, filter, S, place), so
 * that those who join together cost one encoding. Never holds a read open between chunks.
 */

import { type BoundedCache, type CacheFigures, createBoundedCache } from '../base/bounded-cache.ts';
import type { EpochMs, RecordId, RecordVersion } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { RowFilter } from '../table/query/row-filter.ts';
import { formatPosition } from '../table/store-port.ts';
import type { ChangeSource } from './change-source.ts';
import { type EncodedEvent, encodeSnapshot, idJson } from './event.ts';
import type { FeedLimits } from './limits.ts';
import { parse } from './live-change.ts';
import { stateOfEntry } from './record-state.ts';
import type { SnapshotProgress, Subscriber } from './subscriber.ts';

export type SnapshotAdvance = 'done' | 'full' | 'more';

interface Chunk {
  /** The rows of the event; kept for those of whom it is remembered. */
  readonly shown: readonly RecordId[];
  /** `undefined`: nothing matched, and there is more to look at. */
  readonly event: EncodedEvent | undefined;
  readonly after: RecordId | undefined;
  readonly next: number;
  readonly last: boolean;
}

type Place = Omit<Chunk, 'event' | 'shown'>;

/** The objects of what is kept. Its key comes on top: it holds a filter of a client's length. */
const KEPT_BYTES = 1_024;

interface IdList {
  readonly serial: number;
  readonly ids: readonly RecordId[];
}

export interface SnapshotParts {
  readonly source: ChangeSource;
  readonly limits: FeedLimits;
  readonly now: () => EpochMs;
  readonly rowShown: (version: RecordVersion) => void;
}

export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #chunks: BoundedCache<Chunk>;
  readonly #lists: BoundedCache<IdList>;
  #serial = 0;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
    const bytes = parts.limits.snapshotCacheBytesMax;
    this.#chunks = createBoundedCache('snapshots', bytes);
    this.#lists = createBoundedCache('snapshot-ids', bytes);
  }

  get figures(): readonly CacheFigures[] {
    return [this.#chunks, this.#lists];
  }

  /** Readies a snapshot at the subscriber's cursor. */
  begin(subscriber: Subscriber): void {
    const list = this.#idList(subscriber);
    subscriber.snapshot = {
      at: subscriber.cursor,
      after: undefined,
      ids: list?.ids,
      list: list?.serial ?? 0,
      next: 0,
    };
  }

  /** Sends one chunk. */
  advance(subscriber: Subscriber, progress: SnapshotProgress): SnapshotAdvance {
    if (!subscriber.sink.ready()) return 'full';
    const chunk = this.#chunk(subscriber, progress);
    if (chunk.event !== undefined) subscriber.sink.write(chunk.event);
    for (const id of chunk.shown) subscriber.shown?.add(id);
    if (chunk.last) return 'done';
    progress.after = chunk.after;
    progress.next = chunk.next;
    return subscriber.sink.ready() ? 'more' : 'full';
  }

  #chunk(subscriber: Subscriber, progress: SnapshotProgress): Chunk {
    const place = `${progress.list} ${progress.next} ${typeof progress.after} ${progress.after}`;
    const key = `${subscriber.table} ${progress.at} ${place} ${subscriber.filter?.key ?? ''}`;
    const kept = this.#chunks.get(key);
    if (kept !== undefined) return kept;
    const chunk = this.#build(subscriber, progress);
    const bytes = 2 * (chunk.event?.json.length ?? 0) + 64 * chunk.shown.length;
    this.#chunks.set(key, chunk, KEPT_BYTES + 2 * key.length + bytes);
    return chunk;
  }

  #build(subscriber: Subscriber, progress: SnapshotProgress): Chunk {
    const rows = new Rows(subscriber, this.#parts);
    const place =
      progress.ids === undefined
        ? this.#scan(subscriber, progress, rows)
        : this.#pick(subscriber, progress, progress.ids, rows);
    const empty = rows.values.length === 0;
    return {
      ...place,
      shown: rows.shown,
      event: empty && !place.last ? undefined : this.#encode(rows, subscriber, place.last),
    };
  }

  #encode(rows: Rows, subscriber: Subscriber, last: boolean): EncodedEvent {
    return encodeSnapshot({
      table: subscriber.typeName,
      ids: rows.ids,
      values: rows.values,
      position: formatPosition(this.#parts.source.epoch, subscriber.cursor),
      at: this.#parts.now(),
      more: !last,
    });
  }

  #scan(subscriber: Subscriber, { after }: SnapshotProgress, rows: Rows): Place {
    let visited: RecordId | undefined;
    let stopped = false;
    const limit = this.#parts.limits.snapshotScanRowsMax;
    const page = this.#parts.source.scan(subscriber.table, { after, limit }, (entry) => {
      visited = entry.id;
      rows.take(entry);
      stopped = rows.full;
      return !stopped;
    });
    const next = stopped ? visited : page.next;
    return { after: next, next: 0, last: next === undefined };
  }

  #pick(
    { table }: Subscriber,
    { next }: SnapshotProgress,
    ids: readonly RecordId[],
    rows: Rows,
  ): Place {
    let at = next;
    for (; at < ids.length && !rows.full; at += 1) {
      const id = ids[at] as RecordId;
      this.#parts.source.withEntry(table, id, '', (entry) => rows.take(entry));
    }
    return { after: undefined, next: at, last: at >= ids.length };
  }

  /**
   * All ids under an indexed condition at once, when they are not too many: taken in pages by
   * offset, a row that leaves meanwhile would make another one be skipped.
   */
  #idList({ table, filter, cursor }: Subscriber): IdList | undefined {
    const indexed = filter?.indexed;
    if (filter === undefined || indexed === undefined) return undefined;
    const key = `${table} ${cursor} ${filter.key}`;
    const kept = this.#lists.get(key);
    if (kept !== undefined) return kept;
    const { source, limits } = this.#parts;
    const { attribute, value } = indexed;
    const range = { attribute, from: value, to: value };
    const max = limits.snapshotIndexIdsMax;
    if (!source.isIndexComplete(table, attribute)) return undefined;
    if (source.countByIndex(table, range, max + 1) > max) return undefined;
    const ids = source.idsByIndex(table, range, { limit: max, offset: 0 });
    this.#serial += 1;
    const list = { serial: this.#serial, ids };
    this.#lists.set(key, list, KEPT_BYTES + 2 * key.length + 64 * ids.length);
    return list;
  }
}

/** Collects the rows of one chunk. */
class Rows {
  readonly ids: string[] = [];
  readonly values: string[] = [];
  /** Of subscribers who see a part of the table. */
  readonly shown: RecordId[] = [];
  readonly #isView: boolean;
  readonly #filter: RowFilter | undefined;
  readonly #parts: SnapshotParts;
  readonly #table: TableDefinition;
  readonly #invalidations: ReturnType<ChangeSource['invalidations']>;
  #bytes = 0;

  constructor({ filter, view, request: { table } }: Subscriber, parts: SnapshotParts) {
    this.#filter = filter;
    this.#isView = view !== undefined;
    this.#parts = parts;
    this.#table = table;
    this.#invalidations = parts.source.invalidations(table.name);
  }

  get full(): boolean {
    const { limits } = this.#parts;
    return (
      this.#bytes >= limits.snapshotChunkBytesMax ||
      this.values.length >= limits.snapshotChunkRowsMax
    );
  }

  take(entry: Entry | undefined): void {
    const state = stateOfEntry(entry, this.#invalidations, this.#table);
    if (entry === undefined || state.kind !== 'found') return;
    const filter = this.#filter;
    const row = filter && parse(state.value);
    if (filter?.matches(row) === false) return;
    this.#parts.rowShown(state.version);
    const value = filter?.project?.(row) ?? state.value ?? 'null';
    if (this.#isView) this.shown.push(entry.id);
    this.ids.push(idJson(entry.id));
    this.values.push(value);
    this.#bytes += value.length;
  }
}
