/**
 * A change source in memory: rows, a change log with a trimmable tail, and a ring of the last
 * changes which still carry their row. Commits are announced in a later microtask, coalesced.
 * Sequences and versions only grow; the clock of versions is the sequence.
 */
import {
  type DurationMs,
  type EntityTag,
  type Epoch,
  epochMs,
  epoch as epochOf,
  type NodeId,
  type RecordId,
  type RecordVersion,
  recordVersion,
  type Sequence,
  sequence,
  type TableName,
} from '../../src/base/brands.ts';
import type { Entry, EntryKind } from '../../src/cache/entry.ts';
import type { Invalidations, InvalidationVerdict } from '../../src/cache/ports.ts';
import type { ChangeSource } from '../../src/feed/change-source.ts';
import type { Change, ChangeBatch, IndexRange, ScanOptions } from '../../src/table/store-port.ts';

interface Row {
  readonly kind: EntryKind;
  readonly body: Uint8Array;
  readonly version: RecordVersion;
}

type Event =
  | { readonly op: 'put'; readonly id: RecordId; readonly value: unknown }
  | { readonly op: 'delete'; readonly id: RecordId }
  | { readonly op: 'invalidate'; readonly id: RecordId | undefined }
  | { readonly op: 'message'; readonly id: RecordId; readonly value: unknown };

const bytes = (value: unknown) => new Uint8Array(Buffer.from(JSON.stringify(value)));

export class FakeChangeSource implements ChangeSource {
  epoch: Epoch = epochOf('e1');
  /** Changes newer than the last minus this still carry their rows. */
  ringSize = 1_000;
  logReads = 0;
  readonly #rows = new Map<TableName, Map<RecordId, Row>>();
  readonly #log: Change[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #hard = new Map<string, RecordVersion>();
  #first = 1;
  #announced = false;

  put(table: TableName, id: RecordId, value: unknown): Sequence {
    return this.#append(table, { op: 'put', id, value });
  }

  delete(table: TableName, id: RecordId): Sequence {
    return this.#append(table, { op: 'delete', id });
  }

  message(table: TableName, id: RecordId, value: unknown): Sequence {
    return this.#append(table, { op: 'message', id, value });
  }

  /** Hard: the row is not to be used again. */
  invalidate(table: TableName, id: RecordId): Sequence {
    const at = this.#append(table, { op: 'invalidate', id });
    this.#hard.set(`${table} ${id}`, recordVersion(at));
    return at;
  }

  /** Removes a row as the store does for room: without a change. */
  evict(table: TableName, id: RecordId): void {
    this.#rows.get(table)?.delete(id);
  }

  trimTo(first: number): void {
    this.#first = Math.max(this.#first, first);
  }

  value(table: TableName, id: RecordId): unknown {
    const row = this.#rows.get(table)?.get(id);
    return row?.kind === 'record' ? JSON.parse(Buffer.from(row.body).toString()) : undefined;
  }

  /** The records of a table as values by id. */
  state(table: TableName): Map<RecordId, unknown> {
    const state = new Map<RecordId, unknown>();
    for (const id of this.#rows.get(table)?.keys() ?? []) {
      const value = this.value(table, id);
      if (value !== undefined) state.set(id, value);
    }
    return state;
  }

  lastSequence(): Sequence {
    return sequence(this.#log.length);
  }

  firstSequence(): Sequence {
    return sequence(this.#first);
  }

  changesAfter(after: Sequence, max: number): ChangeBatch {
    this.logReads += 1;
    const truncated = after + 1 < this.#first;
    const start = Math.max(after, this.#first - 1);
    const last = this.#log.length;
    const changes = this.#log.slice(start, start + max).map((change) => {
      const held = change.op === 'message' || change.sequence > last - this.ringSize;
      return held ? change : { ...change, before: undefined, after: undefined };
    });
    return { changes, truncated, next: sequence(start + changes.length) };
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  withEntry<T>(
    table: TableName,
    id: RecordId,
    _variant: string,
    fn: (entry: Entry | undefined) => T,
  ): T {
    const row = this.#rows.get(table)?.get(id);
    return fn(row && entryOf(id, row));
  }

  scan(table: TableName, options: ScanOptions, visit: (entry: Entry) => boolean | undefined) {
    const rows = this.#rows.get(table) ?? new Map<RecordId, Row>();
    const { after } = options;
    const ids = [...rows.keys()].sort().filter((id) => after === undefined || id > after);
    let seen = 0;
    for (const id of ids) {
      seen += 1;
      if (visit(entryOf(id, rows.get(id) as Row)) === false) return { next: id };
      if (seen >= options.limit) return { next: seen < ids.length ? id : undefined };
    }
    return { next: undefined };
  }

  idsByIndex(table: TableName, range: IndexRange, page: { limit: number; offset: number }) {
    const ids: RecordId[] = [];
    for (const [id, value] of this.state(table)) {
      if ((value as Record<string, unknown>)[range.attribute] === range.from) ids.push(id);
    }
    return ids.sort().slice(page.offset, page.offset + page.limit);
  }

  isIndexComplete(): boolean {
    return true;
  }

  countByIndex(table: TableName, range: IndexRange, max: number): number {
    return this.idsByIndex(table, range, { limit: max, offset: 0 }).length;
  }

  invalidations(table: TableName): Invalidations {
    const judge = (entry: Entry): InvalidationVerdict =>
      entry.version < (this.#hard.get(`${table} ${entry.id}`) ?? 0)
        ? { kind: 'hard' }
        : { kind: 'valid' };
    return {
      stamp: () => this.lastSequence(),
      judge,
      newest: () => sequence(0),
      hasNewer: () => false,
    };
  }

  #append(table: TableName, event: Event): Sequence {
    const at = sequence(this.#log.length + 1);
    const version = recordVersion(at);
    const rows = this.#rows.get(table) ?? new Map<RecordId, Row>();
    this.#rows.set(table, rows);
    const earlier = event.id === undefined ? undefined : rows.get(event.id);
    const after = 'value' in event ? bytes(event.value) : undefined;
    const before = earlier?.kind === 'record' ? earlier.body : null;
    if (event.op === 'put')
      rows.set(event.id, { kind: 'record', body: bytes(event.value), version });
    if (event.op === 'delete') {
      rows.set(event.id, { kind: 'tombstone', body: new Uint8Array(), version });
    }
    const { op, id } = event;
    const author = 1 as NodeId;
    this.#log.push({
      sequence: at,
      version,
      author,
      at: epochMs(at),
      table,
      op,
      id,
      before,
      after,
    });
    this.#announce();
    return at;
  }

  #announce(): void {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

function entryOf(id: RecordId, row: Row): Entry {
  const at = epochMs(0);
  const entry: Entry = {
    ...{ id, kind: row.kind, status: 200, version: row.version, author: 1 as NodeId },
    ...{ stamp: sequence(row.version), storedAt: at, initialAge: 0 as DurationMs },
    ...{ freshUntil: at, staleWhileRevalidateUntil: at, staleIfErrorUntil: at, evictAt: at },
    ...{ mustValidate: false, staleForbidden: false, entityTag: '"x"' as EntityTag },
    ...{
      lastModified: at,
      meta: {},
      contentType: 'application/json',
      body: row.body,
      storedBody: undefined,
      bodyLength: row.body.length,
      retain: () => entry,
    },
  };
  return entry;
}
