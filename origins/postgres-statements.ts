/**
 * The statements that are made from a table's name and key. Names are quoted as identifiers, values
 * are parameters always: nothing that a client sends becomes SQL.
 */
import { NodeError } from 'millrace';
import type { PostgresDatabase, Row } from './postgres-database.ts';
import { BYTEA } from './postgres-values.ts';

/** `name` as an identifier. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** `table` or `schema.table` as an identifier. */
export const quotedTable = (table: string): string => table.split('.').map(quoted).join('.');

export const selectOne = (table: string, key: string): string =>
  `select * from ${quotedTable(table)} where ${quoted(key)} = $1`;

export const selectSome = (table: string, key: string): string =>
  `select * from ${quotedTable(table)} where ${quoted(key)} = any($1)`;

export const selectAll = (table: string, key: string): string =>
  `select * from ${quotedTable(table)} order by ${quoted(key)}`;

export const deleteOne = (table: string, key: string): string =>
  `delete from ${quotedTable(table)} where ${quoted(key)} = $1`;

interface Column {
  readonly name: string;
  readonly type: number;
}

/** The columns of a table which can be written, asked once. */
export class TableColumns {
  readonly #database: PostgresDatabase;
  readonly #table: string;
  #columns: readonly Column[] | undefined;

  constructor(database: PostgresDatabase, table: string) {
    this.#database = database;
    this.#table = table;
  }

  async all(signal: AbortSignal): Promise<readonly Column[]> {
    if (this.#columns !== undefined) return this.#columns;
    const { rows } = await this.#database.query(
      'select attname, atttypid::int4 from pg_attribute where attrelid = $1::regclass ' +
        "and attnum > 0 and not attisdropped and attgenerated = '' and attidentity <> 'a'",
      [quotedTable(this.#table)],
      signal,
    );
    this.#columns = rows.map(({ attname, atttypid }) => ({
      name: String(attname),
      type: Number(atttypid),
    }));
    return this.#columns;
  }

  /** They may have been changed: ask again. */
  forget(): void {
    this.#columns = undefined;
  }
}

/**
 * Inserts the record, or replaces the row: what the record lacks gets the column's default, as a
 * PUT asks. `$1` is the record as JSON.
 */
export function upsert(
  table: string,
  key: string,
  columns: readonly Column[],
  record: Row,
): string {
  const given = givenColumns(table, columns, record);
  const names = given.map(({ name }) => quoted(name)).join(', ');
  const values = given.map(columnValue).join(', ');
  const others = columns.filter(({ name }) => name !== key);
  const changes = others.map(({ name }) => {
    const isGiven = given.some((column) => column.name === name);
    return `${quoted(name)} = ${isGiven ? `excluded.${quoted(name)}` : 'default'}`;
  });
  // A row of nothing but its key is written as it is, so that it is returned.
  const set =
    changes.length === 0 ? `${quoted(key)} = excluded.${quoted(key)}` : changes.join(', ');
  return (
    `insert into ${quotedTable(table)} (${names}) select ${values} ` +
    `from jsonb_populate_record(null::${quotedTable(table)}, $1::jsonb) as r ` +
    `on conflict (${quoted(key)}) do update set ${set} returning *`
  );
}

/** Sets the columns that the patch names. `$1` is the patch as JSON, `$2` the id. */
export function update(
  table: string,
  key: string,
  columns: readonly Column[],
  patch: Row,
): string | undefined {
  const given = givenColumns(table, columns, patch).filter(({ name }) => name !== key);
  if (given.length === 0) return undefined;
  const changes = given
    .map((column) => `${quoted(column.name)} = ${columnValue(column)}`)
    .join(', ');
  return (
    `update ${quotedTable(table)} as t set ${changes} ` +
    `from jsonb_populate_record(null::${quotedTable(table)}, $1::jsonb) as r ` +
    `where t.${quoted(key)} = $2 returning t.*`
  );
}

function givenColumns(table: string, columns: readonly Column[], record: Row): readonly Column[] {
  const known = new Set(columns.map(({ name }) => name));
  const unknown = Object.keys(record).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    const message = `the table ${table} has no column ${unknown.join(', ')} that can be written`;
    throw new NodeError('ORIGIN_STATUS', message, { blame: 'origin', details: { status: 422 } });
  }
  return columns.filter(({ name }) => Object.hasOwn(record, name));
}

/** A record holds bytes as base64, which the database knows as such only when it is told. */
const columnValue = ({ name, type }: Column): string =>
  type === BYTEA
    ? `decode($1::jsonb ->> '${name.replaceAll("'", "''")}', 'base64')`
    : `r.${quoted(name)}`;
