/**
 * Reads a collection page by page: the narrowest index drives, the other conditions filter, rows
 * are joined as the bytes they are stored as. Nothing is held between pages but a cursor, so a slow
 * reader costs no memory and no read transaction.
 *
 * Each row is judged like a read of it: expired rows of a plain table and hard-invalidated rows are
 * left out; a stale cached row is served and counted.
 */
import type { EpochMs, RecordId, TableName } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { Entry, IndexValue } from '../cache/entry.ts';
import type { Invalidations } from '../cache/ports.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { StoreReader } from './store-port.ts';

export interface EqualityCondition {
  readonly attribute: string;
  readonly value: IndexValue;
}

export interface CollectionQuery {
  /** All must hold. */
  readonly conditions: readonly EqualityCondition[];
  readonly offset: number;
  readonly limit: number;
  /** Only ids below this prefix (`/Table/a/` lists what is below `a/`). */
  readonly prefix?: string | undefined;
}

export interface CollectionPage {
  /** Rows joined by commas, without brackets; empty when the page held none. */
  readonly rows: readonly Uint8Array[];
  readonly stale: number;
  readonly done: boolean;
}

const PAGE_ROWS = 256;
const COUNT_MAX = 10_000;
const decoder = new TextDecoder();

export class CollectionReader {
  readonly #reader: StoreReader;
  readonly #table: TableName;
  readonly #sourced: boolean;
  readonly #invalidations: Invalidations;
  readonly #query: CollectionQuery;
  readonly #driver: EqualityCondition | undefined;
  readonly #residual: readonly EqualityCondition[];
  readonly #now: EpochMs;
  #cursor: RecordId | undefined;
  #offset = 0;
  #skip: number;
  #left: number;

  /** Throws `QUERY_INVALID` for a condition on an attribute which the type does not declare. */
  constructor(
    definition: TableDefinition,
    reader: StoreReader,
    query: CollectionQuery,
    now: EpochMs,
  ) {
    this.#reader = reader;
    this.#table = definition.name;
    this.#sourced = definition.sourcedFrom !== undefined;
    this.#invalidations = reader.invalidations(definition.name);
    this.#query = query;
    this.#now = now;
    this.#skip = query.offset;
    this.#left = query.limit;
    this.#driver = narrowest(definition, reader, query.conditions);
    this.#residual = query.conditions.filter((condition) => condition !== this.#driver);
  }

  /** The next page; `done` with the last one. Each call is one short read transaction. */
  next(): CollectionPage {
    const rows: Uint8Array[] = [];
    const stale = { count: 0 };
    const exhausted =
      this.#driver === undefined ? this.#scanPage(rows, stale) : this.#indexPage(rows, stale);
    return { rows, stale: stale.count, done: exhausted || this.#left <= 0 };
  }

  #scanPage(rows: Uint8Array[], stale: { count: number }): boolean {
    const page = this.#reader.scan(
      this.#table,
      { after: this.#cursor, prefix: this.#query.prefix, limit: PAGE_ROWS },
      (entry) => {
        this.#take(entry, rows, stale);
        return this.#left > 0;
      },
    );
    this.#cursor = page.next;
    return page.next === undefined;
  }

  #indexPage(rows: Uint8Array[], stale: { count: number }): boolean {
    const driver = this.#driver as EqualityCondition;
    const limit = Math.min(PAGE_ROWS, Math.max(1, this.#left + this.#skip));
    const ids = this.#reader.idsByIndex(
      this.#table,
      { attribute: driver.attribute, from: driver.value, to: driver.value },
      { limit, offset: this.#offset },
    );
    this.#offset += ids.length;
    for (const id of ids) {
      if (this.#left <= 0) break;
      this.#reader.withEntry(this.#table, id, '', (entry) => {
        if (entry !== undefined) this.#take(entry, rows, stale);
      });
    }
    return ids.length < limit;
  }

  #take(entry: Entry, rows: Uint8Array[], stale: { count: number }): void {
    if (this.#left <= 0 || entry.kind !== 'record') return;
    const fresh = entry.freshUntil > this.#now;
    if (!fresh && !this.#sourced) return;
    const verdict = this.#invalidations.judge(entry);
    if (verdict.kind === 'hard') return;
    if (this.#residual.length > 0 && !matches(entry.body, this.#residual)) return;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (!fresh || verdict.kind === 'soft') stale.count += 1;
    rows.push(entry.body.slice());
    this.#left -= 1;
  }
}

function narrowest(
  definition: TableDefinition,
  reader: StoreReader,
  conditions: readonly EqualityCondition[],
): EqualityCondition | undefined {
  let best: EqualityCondition | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const condition of conditions) {
    const attribute = definition.attributes.find((known) => known.name === condition.attribute);
    if (attribute === undefined) throw undeclared(definition, condition.attribute);
    if (!attribute.indexed) continue;
    const range = { attribute: attribute.name, from: condition.value, to: condition.value };
    const count = reader.countByIndex(definition.name, range, COUNT_MAX);
    if (count >= least) continue;
    least = count;
    best = condition;
  }
  return best;
}

function undeclared(definition: TableDefinition, attribute: string): NodeError {
  const known = definition.attributes.map((declared) => declared.name).join(', ');
  return new NodeError(
    'QUERY_INVALID',
    `${definition.typeName} has no attribute ${JSON.stringify(attribute)}; ` +
      `it has ${known || 'none'}`,
    { blame: 'client', details: { attribute } },
  );
}

function matches(body: Uint8Array, conditions: readonly EqualityCondition[]): boolean {
  const record = JSON.parse(decoder.decode(body)) as Record<string, unknown>;
  return conditions.every((condition) => holds(record[condition.attribute], condition.value));
}

function holds(value: unknown, wanted: IndexValue): boolean {
  if (Array.isArray(value)) return value.some((element) => holds(element, wanted));
  if (value === undefined || value === null) return wanted === null;
  // A Date is indexed as a number but may stand in the record as ISO text.
  if (typeof wanted === 'number' && typeof value === 'string') return Date.parse(value) === wanted;
  return value === wanted;
}
