/**
 * Finds changed rows by a column that grows with every change (`updated_at`, or a serial), a page
 * at a time, ordered by that column and the key, so that rows of one instant are told apart.
 *
 * A transaction commits later than the instant it writes down: rows appear behind those which were
 * read already. So each round begins a stretch before the newest row it knows (`overlap` for times,
 * `SERIAL_OVERLAP` for numbers), and rows that were seen there, in the same version, are skipped.
 */
import { NodeError } from 'millrace';
import type { PostgresDatabase, Row } from './postgres-database.ts';
import type { ChangeSettings, PostgresSettings } from './postgres-settings.ts';
import { quoted, quotedTable } from './postgres-statements.ts';

const PAGE_ROWS = 500;
const SERIAL_OVERLAP = 1_000;
/** Rows remembered of the overlap; more are told again, which the store does not mind. */
const SEEN_MAX = 100_000;
const PLACE = 'millrace place';
const ROW_VERSION = 'millrace version';

export interface PolledRow {
  readonly row: Row;
  /** The polled column's value, as text. */
  readonly place: string;
}

export class PostgresPoll {
  readonly #database: PostgresDatabase;
  readonly #table: string;
  readonly #column: string;
  readonly #key: string;
  readonly #overlapMs: number;
  #type: string | undefined;
  #seen = new Map<string, unknown>();
  #place: string | undefined;

  constructor(
    database: PostgresDatabase,
    settings: PostgresSettings,
    changes: ChangeSettings,
    key: string,
    place: string | undefined,
  ) {
    const { name, table } = settings;
    if (table === undefined || changes.poll === undefined) {
      throw new Error(`origin ${name}: changes.poll needs the key table`);
    }
    this.#database = database;
    this.#table = table;
    this.#column = changes.poll;
    this.#key = key;
    this.#overlapMs = changes.overlapMs;
    this.#place = place;
  }

  /** The newest row's place; `undefined` while the table is empty. */
  get place(): string | undefined {
    return this.#place;
  }

  /** Takes what is there now as known, so that only later changes are told. */
  async skipToNow(signal: AbortSignal): Promise<void> {
    const column = quoted(this.#column);
    const newest = `select max(${column})::text as place from ${quotedTable(this.#table)}`;
    const { rows } = await this.#database.query(newest, [], signal);
    this.#place = (rows[0]?.place as string | null) ?? undefined;
    for await (const _page of this.round(signal)) {
      // Only to remember them as seen.
    }
  }

  /** The rows that changed since the last round, by page. */
  async *round(signal: AbortSignal): AsyncGenerator<readonly PolledRow[]> {
    const seenBefore = this.#seen;
    this.#seen = new Map();
    const start = this.#place;
    let after: readonly [place: string, key: unknown] | undefined;
    for (;;) {
      const rows = await this.#page(start, after, signal);
      const changed: PolledRow[] = [];
      for (const { [PLACE]: place, [ROW_VERSION]: version, ...row } of rows) {
        const key = row[this.#key];
        after = [String(place), key];
        if (this.#seen.size < SEEN_MAX) this.#seen.set(String(key), version);
        if (seenBefore.get(String(key)) !== version) changed.push({ row, place: String(place) });
      }
      if (after !== undefined) this.#place = after[0];
      if (changed.length > 0) yield changed;
      if (rows.length < PAGE_ROWS) return;
    }
  }

  async #page(
    start: string | undefined,
    after: readonly [string, unknown] | undefined,
    signal: AbortSignal,
  ): Promise<readonly Row[]> {
    const type = await this.#columnType(signal);
    const column = quoted(this.#column);
    const key = quoted(this.#key);
    const values: unknown[] = [];
    const from: string[] = [];
    if (after !== undefined) {
      values.push(...after);
      from.push(`(${column}, ${key}) > ($1::${type}, $2)`);
    } else if (start !== undefined) {
      values.push(start, this.#isTime(type) ? `${this.#overlapMs} ms` : SERIAL_OVERLAP);
      from.push(`${column} >= $1::${type} - $2::${this.#isTime(type) ? 'interval' : 'bigint'}`);
    }
    const statement =
      `select *, ${column}::text as ${quoted(PLACE)}, xmin::text as ${quoted(ROW_VERSION)} ` +
      `from ${quotedTable(this.#table)} ` +
      `where ${[`${column} is not null`, ...from].join(' and ')} ` +
      `order by ${column}, ${key} limit ${PAGE_ROWS}`;
    return (await this.#database.query(statement, values, signal)).rows;
  }

  #isTime(type: string): boolean {
    return type.startsWith('timestamp');
  }

  async #columnType(signal: AbortSignal): Promise<string> {
    if (this.#type !== undefined) return this.#type;
    const { rows } = await this.#database.query(
      'select format_type(atttypid, null) as type from pg_attribute ' +
        'where attrelid = $1::regclass and attname = $2',
      [quotedTable(this.#table), this.#column],
      signal,
    );
    const type = String(rows[0]?.type ?? 'missing');
    if (!/^(timestamp|smallint|integer|bigint)/.test(type)) {
      const message =
        `changes.poll: the column ${this.#column} of ${this.#table} is ${type}; ` +
        'name a timestamp, or a number that grows with every change';
      throw new NodeError('ORIGIN_FAILED', message, { blame: 'origin', retry: 'later' });
    }
    this.#type = type;
    return type;
  }
}
