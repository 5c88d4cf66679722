/**
 * Answers a query page by page. Each page is one short stretch of work, so that other requests have
 * their turn between pages; nothing is held between them but a place, and the rows of a sort.
 *
 * Rows come in the order of the way they are found, or sorted: by walking the index of the first
 * sort key (only rows with equal values are sorted in memory), else by gathering the first rows.
 *
 * Each row is judged like a read of it (`decideRow`). What may not be served as it is keeps its
 * place in order and window and is left out; whoever can have it fetched is told its name. Related
 * rows are judged alike, by their times alone; those that may not be served are not there.
 */
import type { EpochMs, RecordId, TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { type DecisionContext, decideRow, type RowVerdict } from '../../cache/decide.ts';
import { type Entry, FOREVER } from '../../cache/entry.ts';
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
import { Related } from './related.ts';
import { plainContext } from './row-context.ts';
import { type RowJson, rowJsonOf } from './row-json.ts';
import { maskedRow, type RowView } from './row-view.ts';
import { parseRow } from './rows.ts';
import { SortedRows } from './sorted-rows.ts';
import { openSource, type Source } from './sources.ts';
import type { HeldRow, RowTimes } from './top-rows.ts';

export interface QueryPage {
  /** JSON of each row: the stored bytes, unless the query selects. */
  readonly rows: readonly Uint8Array[];
  readonly bytes: number;
  /** How many rows were served stale. */
  readonly stale: number;
  /** Rows left out, since their origin would have to be asked first. */
  readonly missing: readonly RecordId[];
  /** Related rows that were passed over, since their origin would have to be asked first. */
  readonly unseen: number;
  /** Stale rows to be refreshed behind the answer. */
  readonly behind: readonly RecordId[];
  /** Of the rows served: the end of the shortest freshness, and when the oldest was made. */
  readonly freshUntil: EpochMs;
  readonly bornAt: EpochMs;
  readonly done: boolean;
}

export interface QueryParts {
  readonly definition: TableDefinition;
  readonly reader: StoreReader;
  readonly clock: Clock;
  /** What rows are judged by; without it by their times alone. */
  readonly context?: DecisionContext | undefined;
  /** Rows which were fetched for this query: no demand of the request asks for more. */
  readonly fetched?: ReadonlySet<RecordId> | undefined;
}

export class QueryReader {
  readonly plan: Plan;
  readonly #query: Query;
  readonly #parts: QueryParts;
  readonly #matches: RowTest | undefined;
  readonly #related: Related;
  readonly #view: RowView | undefined;
  readonly #invalidations: Invalidations;
  readonly #jsonOf: RowJson;
  readonly #sorted: SortedRows | undefined;
  readonly #source: Source;
  readonly #now: EpochMs;
  #page = newPage();
  readonly #context: DecisionContext;
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
    this.#context = parts.context ?? plainContext(definition, clock.now());
    this.#now = this.#context.now;
    const related = new Related(reader, this.#now, query.views);
    this.#view = query.views?.get(definition);
    this.#related = related;
    this.#matches = rowTest(residual && compileFilter(residual, related), query.accepts);
    this.#invalidations = reader.invalidations(table);
    this.#skip = query.offset;
    this.#left = query.limit;
    const rowsWanted =
      this.#matches === undefined ? query.offset + query.limit : LIMITS.queryPageRowsMax;
    this.#jsonOf = rowJsonOf(definition, this.#invalidations, this.#now);
    const hasVariants = definition.pages !== undefined;
    const sourceParts = { reader, table, jsonOf: this.#jsonOf, related, rowsWanted, hasVariants };
    this.#sorted = order === 'way' ? undefined : new SortedRows(query, this.plan, sourceParts);
    const steps = cursor?.kind === 'rows' ? cursor.steps : undefined;
    this.#source = this.#sorted?.source ?? openSource(access, sourceParts, steps);
  }

  /** The next page; `done` with the last one. Throws `QUERY_TOO_EXPENSIVE`. */
  next(): QueryPage {
    const { clock } = this.#parts;
    const startedAt = clock.monotonic();
    const until = startedAt + LIMITS.queryTurnMsMax;
    const page = newPage();
    this.#page = page;
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
    page.done = done;
    return page;
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
    const isPaged = this.#query.after !== undefined;
    if (!isPaged || !this.#isCut || this.#place === undefined) return undefined;
    return formatCursor(this.#place, this.#query.signature);
  }

  get #wantsMore(): boolean {
    const isPaged = this.#query.after !== undefined;
    const bytes = this.#sentBytes + this.#page.bytes;
    return this.#left > 0 && !(isPaged && bytes >= LIMITS.queryCursorPageBytesMax);
  }

  get #isPageFull(): boolean {
    const { rows, missing, bytes, looked } = this.#page;
    const most = LIMITS.queryPageRowsMax;
    return (
      rows.length + missing.length >= most || looked >= most || bytes >= LIMITS.queryPageBytesMax
    );
  }

  #pull(until: number): boolean {
    const { clock } = this.#parts;
    return this.#source.pull((entry, row, hit) => {
      this.#countLooked(1);
      if (entry !== undefined) this.#see(entry, row, hit);
      this.#countRelated();
      const isSated = this.#sorted?.isSated(this.#skip + this.#left) ?? false;
      return !isSated && this.#wantsMore && !this.#isPageFull && clock.monotonic() <= until;
    });
  }

  #countLooked(rows: number): void {
    this.#page.looked += rows;
    this.#looked += rows;
  }

  /** Rows of other tables count like those of this one. */
  #countRelated(): void {
    const { tally } = this.#related;
    if (tally.looked === 0 && tally.leftOut === 0 && tally.stale === 0) return;
    this.#countLooked(tally.looked);
    this.#page.unseen += tally.leftOut;
    this.#page.stale += tally.stale;
    Object.assign(tally, { looked: 0, leftOut: 0, stale: 0 });
  }

  #see(entry: Entry, row: () => Row, hit: IndexHit | undefined): void {
    const verdict = this.#verdictOn(entry);
    if (verdict === 'hidden') return;
    this.#related.beginRow();
    if (this.#matches !== undefined && !this.#matches(row(), entry.id)) return;
    if (this.#sorted === undefined) this.#take(entry, row, verdict);
    else this.#sorted.see(entry, row, hit, this.#skip + this.#left, verdict);
  }

  #verdictOn(entry: Entry): RowVerdict {
    // A list of pages tells of them, fresh or not: none is answered with.
    if (this.#parts.definition.pages !== undefined) {
      return entry.kind === 'record' ? 'fresh' : 'hidden';
    }
    const judged = this.#invalidations.judge(entry);
    const verdict = decideRow(this.#context, judged, entry);
    if (verdict !== 'fetch' || this.#parts.fetched?.has(entry.id) !== true) return verdict;
    return judged.kind === 'hard' ? 'fetch' : 'fresh';
  }

  #take(entry: Entry, row: () => Row, verdict: RowVerdict): void {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    const { select } = this.#query;
    if (verdict === 'fetch') this.#leaveOut(entry.id);
    else {
      const bytes =
        select === undefined && this.#view?.isMasked !== true
          ? Buffer.from(this.#jsonOf(entry))
          : this.#seen(row(), factsOf(entry));
      this.#emit(bytes, entry.id, verdict, entry);
    }
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

  #emitRow({ keys, id, body, facts, verdict, times }: HeldRow): void {
    if (verdict === 'fetch') this.#leaveOut(id);
    else this.#emit(this.#projected(body, facts), id, verdict, times);
    this.#place = { kind: 'sorted', keys, id };
  }

  #projected(body: Uint8Array, facts: RowFacts): Uint8Array {
    if (this.#query.select === undefined && this.#view?.isMasked !== true) return body;
    this.#related.beginRow();
    const bytes = this.#seen(parseRow(body), facts);
    this.#countRelated();
    return bytes;
  }

  /** What is selected of a row, as far as whoever asks may see it. */
  #seen(row: Row, facts: RowFacts): Uint8Array {
    const { select } = this.#query;
    const mask = this.#view?.maskOf(row, facts.id);
    if (select !== undefined) return projectRow(select, row, facts, this.#related, mask);
    return Buffer.from(JSON.stringify(maskedRow(row, mask)));
  }

  #emit(bytes: Uint8Array, id: RecordId, verdict: RowVerdict, times: RowTimes): void {
    const page = this.#page;
    page.rows.push(bytes);
    page.bytes += bytes.length;
    this.#left -= 1;
    if (verdict !== 'fresh') page.stale += 1;
    if (verdict === 'behind') page.behind.push(id);
    const { freshUntil } = times;
    const bornAt = times.storedAt - times.initialAge;
    if (freshUntil < page.freshUntil) page.freshUntil = freshUntil;
    if (bornAt < page.bornAt) page.bornAt = bornAt as EpochMs;
  }

  /** It has its place all the same: fetched, it would have stood there. */
  #leaveOut(id: RecordId): void {
    this.#page.missing.push(id);
    this.#left -= 1;
  }

  #checkBudget(): void {
    const cure = 'index an attribute of the conditions, or narrow them';
    if (this.#looked > LIMITS.queryRowsScannedMax) {
      const spent = `it looked at ${LIMITS.queryRowsScannedMax} rows; ${cure}`;
      throw queryTooExpensive('queryRowsScannedMax', spent);
    }
    if (this.#spentMs > LIMITS.queryMsMax) {
      const spent = `it took ${LIMITS.queryMsMax} ms of work; ${cure}`;
      throw queryTooExpensive('queryMsMax', spent);
    }
  }
}

/** What a row has to pass: the conditions first, which cost less than code. */
function rowTest(matches: RowTest | undefined, accepts: Query['accepts']): RowTest | undefined {
  if (accepts === undefined) return matches;
  return (row, id) => (matches === undefined || matches(row, id)) && accepts(row);
}

const newPage = () => ({
  rows: [] as Uint8Array[],
  missing: [] as RecordId[],
  unseen: 0,
  behind: [] as RecordId[],
  bytes: 0,
  stale: 0,
  looked: 0,
  done: false,
  freshUntil: FOREVER as EpochMs,
  bornAt: FOREVER as EpochMs,
});
