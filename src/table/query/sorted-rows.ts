/**
 * Rows in the order of `sort()`. Walking the index of the first key, rows of equal value (and long
 * texts, which the index tells apart only by their beginning) form a class that is sorted by
 * itself; without such an index all rows are one class. Of a class only the first rows are held
 * which the answer can still use.
 */
import type { RowVerdict } from '../../cache/decide.ts';
import type { Entry } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import type { IndexHit } from '../store-port.ts';
import { sortValue } from './matches.ts';
import type { Plan } from './plan.ts';
import { factsOf } from './project.ts';
import type { Query, QueryValue, Row } from './query.ts';
import type { RowJson } from './row-json.ts';
import { IndexSource, openSource, type Source, type SourceParts } from './sources.ts';
import { type HeldRow, type Ranked, rankingOf, TopRows } from './top-rows.ts';

/** Texts that share this many characters may stand in the index in another order. */
const SURE_CHARS = 30;

export class SortedRows {
  readonly source: Source;
  readonly #query: Query;
  readonly #isWalk: boolean;
  readonly #jsonOf: RowJson;
  readonly #compare: (one: Ranked, other: Ranked) => number;
  readonly #values: readonly ((row: Row, id: Entry['id']) => QueryValue)[];
  /** Rows up to this rank were in the page before. */
  readonly #after: Ranked | undefined;
  #class: { readonly value: unknown; readonly rows: TopRows } | undefined;
  #ready: HeldRow[] = [];
  #readyBytes = 0;
  #shifted = 0;
  #hasDropped = false;

  constructor(query: Query, plan: Plan, parts: SourceParts) {
    this.#query = query;
    this.#isWalk = plan.order === 'index';
    this.#jsonOf = parts.jsonOf;
    this.#compare = rankingOf(query.sort);
    this.#values = query.sort.map((key) => sortValue(key.field, key.isDescending, parts.related));
    this.#after = plan.cursor?.kind === 'sorted' ? plan.cursor : undefined;
    this.source = this.#open(plan, parts);
  }

  /** Whether rows were passed over which a later answer may give. */
  get hasDropped(): boolean {
    return this.#hasDropped;
  }

  get hasHeld(): boolean {
    return this.#shifted < this.#ready.length;
  }

  /** The next row in order, as far as it is certain. */
  shift(): HeldRow | undefined {
    const row = this.#ready[this.#shifted];
    if (row === undefined) return undefined;
    this.#shifted += 1;
    this.#readyBytes -= row.body.length;
    return row;
  }

  /** Whether enough rows are ready to go on answering before more are looked for. */
  isSated(wanted: number): boolean {
    return this.#readyLeft >= wanted || this.#readyBytes >= LIMITS.queryPageBytesMax;
  }

  /** `wanted`: rows that the answer can still use. */
  see(
    entry: Entry,
    row: () => Row,
    hit: IndexHit | undefined,
    wanted: number,
    verdict: RowVerdict,
  ): void {
    const { id } = entry;
    const rank = { keys: this.#keys(row, id, hit), id };
    if (this.#after !== undefined && this.#compare(rank, this.#after) <= 0) return;
    const held = (): HeldRow => {
      const { freshUntil, storedAt, initialAge } = entry;
      const times = { freshUntil, storedAt, initialAge };
      const body = Buffer.from(this.#jsonOf(entry));
      return { ...rank, facts: factsOf(entry), body, verdict, times };
    };
    if (this.#isInOrder(hit)) {
      this.finish();
      this.#add([held()]);
      return;
    }
    const value = this.#isWalk ? classOf(hit?.value) : undefined;
    if (this.#class?.value !== value) this.finish();
    this.#class ??= {
      value,
      rows: new TopRows(Math.max(0, wanted - this.#readyLeft), this.#compare),
    };
    if (this.#class.rows.admits(rank)) this.#class.rows.add(held());
  }

  /** What has been seen is all: the class that is open is complete. */
  finish(): void {
    if (this.#class === undefined) return;
    const rows = this.#class.rows.take();
    this.#hasDropped ||= this.#class.rows.hasDropped;
    this.#class = undefined;
    this.#add(rows);
  }

  #add(rows: readonly HeldRow[]): void {
    if (this.#shifted === this.#ready.length) {
      this.#ready = [];
      this.#shifted = 0;
    }
    for (const row of rows) {
      this.#ready.push(row);
      this.#readyBytes += row.body.length;
    }
  }

  get #readyLeft(): number {
    return this.#ready.length - this.#shifted;
  }

  /** The index has the rows of a short value in order of their keys: nothing is left to sort. */
  #isInOrder(hit: IndexHit | undefined): boolean {
    return this.#isWalk && this.#values.length === 1 && hit !== undefined && !isLong(hit.value);
  }

  /** A short value of the index is the row's own: the row need not be parsed. */
  #keys(row: () => Row, id: Entry['id'], hit: IndexHit | undefined): readonly QueryValue[] {
    if (hit !== undefined && this.#isInOrder(hit)) return [hit.value];
    const parsed = row();
    return this.#values.map((value) => value(parsed, id));
  }

  #open({ access }: Plan, parts: SourceParts): Source {
    if (!this.#isWalk || access.kind !== 'index') return openSource(access, parts);
    const isDescending = this.#query.sort[0]?.isDescending === true;
    const from = this.#after?.keys[0];
    const id = this.#after?.id;
    const isShort = this.#query.sort.length === 1 && from !== undefined && !isLong(from);
    return new IndexSource(access.span, parts, {
      mayRepeat: false,
      isDescending,
      // The first key of a walk is never a big integer.
      ...(isShort && id !== undefined
        ? { after: { value: from as IndexHit['value'], id } }
        : { from: from as IndexHit['value'] | undefined }),
    });
  }
}

const isLong = (value: unknown): boolean => typeof value === 'string' && value.length > SURE_CHARS;

const classOf = (value: IndexHit['value'] | undefined): unknown =>
  typeof value === 'string' ? value.slice(0, SURE_CHARS) : value;
