/**
 * Answers a query page by page. Each page is one short stretch of work, so that other requests have
 * their turn between pages; nothing is held between them but a place, and the rows of a sort.
 *
 * Rows come in the order of the way they are found, or sorted: by walking the index of the first
 * sort key (only rows with equal values are sorted in memory), else by gathering the first rows.
 *
 * Each row is judged like a read of it: expired rows of a plain table and hard-invalidated rows are
 * left out; a stale cached row is served and counted.
 */
import type { EpochMs, TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import type { Entry } from '../../cache/entry.ts';
import type { Invalidations } from '../../cache/ports.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { IndexHit, StoreReader } from '../store-port.ts';
import { formatCursor, type Place } from './cursor.ts';
import { type Explanation, explain } from './explain.ts';
import { requireIndexes } from './index-readiness.ts';
import { compileFilter } from './matches.ts';
import { type Plan, planQuery } from './plan.ts';
import { factsOf, projectRow, type RowFacts } from './project.ts';
import type { Query, Row, RowTest } from './query.ts';
import { queryTooExpensive } from './query-error.ts';
import { SortedRows } from './sorted-rows.ts';
import { openSource, parseRow, type Source } from './sources.ts';
import type { HeldRow } from './top-rows.ts';

export interface QueryPage {
  /** JSON of each row: the stored bytes, unless the query selects. */
  readonly rows: readonly Uint8Array[];
  /** Rows served stale, and rows left out because they were invalidated. */
  readonly stale: number;
  readonly leftOut: number;
  readonly done: boolean;
}

export interface QueryParts {
  readonly definition: TableDefinition;
  readonly reader: StoreReader;
  readonly clock: Clock;
}

export class QueryReader {
  readonly plan: Plan;
  readonly #query: Query;
  readonly #parts: QueryParts;
  readonly #matches: RowTest | undefined;
  readonly #invalidations: Invalidations;
  readonly #sorted: SortedRows | undefined;
  readonly #source: Source;
  readonly #now: EpochMs;
  readonly #page = { rows: [] as Uint8Array[], bytes: 0, stale: 0, leftOut: 0, looked: 0 };
  #skip: number;
  #left: number;
  #looked = 0;
  #spentMs = 0;
  #sentBytes = 0;
  #isOver = false;
  #isCut = false;
  #place: Place | undefined;

  /** Throws `QUERY_INVALID` for a cursor that does not fit. */
  constructor(query: Query, parts: QueryParts) {
    const { definition, reader, clock } = parts;
    const table: TableName = definition.name;
    this.#query = query;
    this.#parts = parts;
    this.plan = planQuery(query, table, reader);
    requireIndexes(this.plan.access, table, reader);
    const { residual, cursor, access, order } = this.plan;
    this.#matches = residual && compileFilter(residual);
    this.#invalidations = reader.invalidations(table);
    this.#now = clock.now();
    this.#skip = query.offset;
    this.#left = query.limit;
    const rowsWanted =
      residual === undefined ? query.offset + query.limit : LIMITS.queryPageRowsMax;
    const sourceParts = { reader, table, rowsWanted };
    this.#sorted = order === 'way' ? undefined : new SortedRows(query, this.plan, sourceParts);
    const steps = cursor?.kind === 'rows' ? cursor.steps : undefined;
    this.#source = this.#sorted?.source ?? openSource(access, sourceParts, steps);
  }

  /** The next page; `done` with the last one. Throws `QUERY_TOO_EXPENSIVE`. */
  next(): QueryPage {
    const { clock } = this.#parts;
    const startedAt = clock.monotonic();
    const until = startedAt + LIMITS.queryTurnMsMax;
    const page = this.#page;
    Object.assign(page, { rows: [], bytes: 0, stale: 0, leftOut: 0, looked: 0 });
    this.#emitHeld();
    while (this.#wantsMore && !this.#isOver && !this.#isPageFull && clock.monotonic() < until) {
      this.#isOver = this.#pull(until);
      if (this.#isOver) this.#sorted?.finish();
      this.#emitHeld();
    }
    this.#spentMs += clock.monotonic() - startedAt;
    this.#sentBytes += page.bytes;
    const hasHeld = this.#sorted?.hasHeld ?? false;
    const done = !this.#wantsMore || (this.#isOver && !hasHeld);
    if (!done) this.#checkBudget();
    const hasDropped = this.#sorted?.hasDropped ?? false;
    this.#isCut = done && (!this.#isOver || hasHeld || hasDropped);
    return { rows: page.rows, stale: page.stale, leftOut: page.leftOut, done };
  }

  /** The instant by which all rows are judged. */
  get now(): EpochMs {
    return this.#now;
  }

  /** How the query is answered, instead of its rows. */
  explain(): Explanation {
    return explain(this.#parts.definition, this.plan, this.#parts.reader);
  }

  /** Whether `limit()` ended the answer before all rows were given. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Where a query with `after()` goes on; `undefined` when it is answered to the end. */
  get cursor(): string | undefined {
    if (!this.#isCut || this.#place === undefined) return undefined;
    return formatCursor(this.#place, this.#query.signature);
  }

  get #wantsMore(): boolean {
    const isPaged = this.#query.after !== undefined;
    const bytes = this.#sentBytes + this.#page.bytes;
    return this.#left > 0 && !(isPaged && bytes >= LIMITS.queryCursorPageBytesMax);
  }

  get #isPageFull(): boolean {
    const { rows, bytes, looked } = this.#page;
    const most = LIMITS.queryPageRowsMax;
    return rows.length >= most || looked >= most || bytes >= LIMITS.queryPageBytesMax;
  }

  #pull(until: number): boolean {
    const { clock } = this.#parts;
    return this.#source.pull((entry, row, hit) => {
      this.#page.looked += 1;
      this.#looked += 1;
      if (entry !== undefined) this.#see(entry, row, hit);
      const isSated = this.#sorted?.isSated(this.#skip + this.#left) ?? false;
      return !isSated && this.#wantsMore && !this.#isPageFull && clock.monotonic() <= until;
    });
  }

  #see(entry: Entry, row: () => Row, hit: IndexHit | undefined): void {
    const state = this.#stateOf(entry);
    if (state === 'hidden') return;
    if (this.#matches !== undefined && !this.#matches(row(), entry.id)) return;
    const isStale = state === 'stale';
    if (this.#sorted === undefined) this.#take(entry, row, isStale);
    else this.#sorted.see(entry, row, hit, this.#skip + this.#left, isStale);
  }

  #stateOf(entry: Entry): 'fresh' | 'stale' | 'hidden' {
    if (entry.kind !== 'record') return 'hidden';
    const isFresh = entry.freshUntil > this.#now;
    if (!isFresh && this.#parts.definition.sourcedFrom === undefined) return 'hidden';
    const { kind } = this.#invalidations.judge(entry);
    if (kind === 'hard') {
      this.#page.leftOut += 1;
      return 'hidden';
    }
    return isFresh && kind === 'valid' ? 'fresh' : 'stale';
  }

  #take(entry: Entry, row: () => Row, isStale: boolean): void {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    const { select } = this.#query;
    const bytes =
      select === undefined ? Buffer.from(entry.body) : projectRow(select, row(), factsOf(entry));
    this.#emit(bytes, isStale);
    if (this.#wantsMore) return;
    this.#place = {
      kind: 'rows',
      access: this.plan.access.name,
      steps: this.#source.steps ?? [],
    };
  }

  #emitHeld(): void {
    const sorted = this.#sorted;
    if (sorted === undefined) return;
    while (this.#wantsMore && !this.#isPageFull) {
      const held = sorted.shift();
      if (held === undefined) return;
      if (this.#skip > 0) this.#skip -= 1;
      else this.#emitRow(held);
    }
  }

  #emitRow({ keys, id, body, facts, isStale }: HeldRow): void {
    this.#emit(this.#projected(body, facts), isStale);
    this.#place = { kind: 'sorted', keys, id };
  }

  #projected(body: Uint8Array, facts: RowFacts): Uint8Array {
    const { select } = this.#query;
    return select === undefined ? body : projectRow(select, parseRow(body), facts);
  }

  #emit(bytes: Uint8Array, isStale: boolean): void {
    this.#page.rows.push(bytes);
    this.#page.bytes += bytes.length;
    if (isStale) this.#page.stale += 1;
    this.#left -= 1;
  }

  #checkBudget(): void {
    const cure = 'index an attribute of the conditions, or narrow them';
    if (this.#looked > LIMITS.queryRowsScannedMax) {
      throw queryTooExpensive(`it looked at ${LIMITS.queryRowsScannedMax} rows; ${cure}`);
    }
    if (this.#spentMs > LIMITS.queryMsMax) {
      throw queryTooExpensive(`it took ${LIMITS.queryMsMax} ms of work; ${cure}`);
    }
  }
}
