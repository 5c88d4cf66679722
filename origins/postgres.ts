/**
 * Origin kind `postgres`: records that are rows of PostgreSQL.
 *
 *   kind: postgres
 *   url: postgres://reader:secret@db.example.com/app?sslmode=verify-full
 *   table: flights                 # or query: "select * from flights where id = $1"
 *   write: true                    # or statements: { put: …, patch: …, delete: … }
 *   changes: { channel: flights_changed, poll: updated_at, every: 1s }
 *
 * Reads are one parameterised query a record, on a pool as large as the origin's `concurrency`. Its
 * live changes are in `postgres-changes.ts`, the statements made from `table` in
 * `postgres-statements.ts`.
 */
import {
  defineOriginKind,
  type GetContext,
  type GetResult,
  type JsonRecord,
  type KindServices,
  type KindSettings,
  NodeError,
  notModified,
  type OriginDefinition,
  type RecordId,
  type TableBinding,
  type WriteContext,
} from 'millrace';
import { postgresChanges } from './postgres-changes.ts';
import { PostgresDatabase, type Row, type Rows } from './postgres-database.ts';
import { isImpossibleKey, refusal } from './postgres-errors.ts';
import { type PostgresSettings, postgresSettings } from './postgres-settings.ts';
import {
  deleteOne,
  selectAll,
  selectOne,
  TableColumns,
  update,
  upsert,
} from './postgres-statements.ts';

export const kind = defineOriginKind({ name: 'postgres', open: openPostgres });

/** Rows of a list fetched at a time. */
const LIST_PAGE_ROWS = 500;

function openPostgres(written: KindSettings, services: KindServices): OriginDefinition {
  const settings = postgresSettings(written);
  const { name, table, query, changes, list } = settings;
  if (table === undefined && query === undefined) {
    throw new Error(`origin ${name}: kind postgres needs a table, or a query with $1 for the id`);
  }
  const database = new PostgresDatabase(settings, services);
  return {
    get: (id, context) => getRow(database, settings, id, context),
    ...(list === undefined ? {} : { list: (context) => listRows(database, settings, context) }),
    ...writesOf(database, settings),
    ...(changes === undefined
      ? {}
      : {
          subscribe: (context) => postgresChanges(database, settings, changes, services, context),
        }),
    probe: async (signal) => void (await database.query('select 1', [], signal)),
    close: () => database.close(),
  };
}

const keyOf = ({ key }: PostgresSettings, { primaryKey }: TableBinding): string =>
  key ?? primaryKey;

/** The query for one record: the written one, or the one made from the table. */
function oneRow(settings: PostgresSettings, binding: TableBinding): string {
  const { query, table = '' } = settings;
  return query ?? selectOne(table, keyOf(settings, binding));
}

async function getRow(
  database: PostgresDatabase,
  settings: PostgresSettings,
  id: RecordId,
  context: GetContext,
): Promise<GetResult> {
  const { name, version } = settings;
  let rows: readonly Row[];
  try {
    ({ rows } = await database.query(oneRow(settings, context), [id], context.signal));
  } catch (thrown) {
    if (isImpossibleKey(thrown instanceof NodeError ? thrown.cause : thrown)) return undefined;
    throw thrown;
  }
  if (rows.length > 1) {
    const message = `origin ${name}: the query answered ${rows.length} rows for one id`;
    throw new NodeError('ORIGIN_BODY_INVALID', message, { blame: 'origin', retry: 'later' });
  }
  const [row] = rows;
  if (row === undefined || version === undefined) return row;
  const tag = JSON.stringify(row[version] ?? null).replace(/^"|"$/g, '');
  if (context.replacing?.entityTag === `"${tag}"`) return notModified();
  context.entityTag = tag;
  return row;
}

/** Through a cursor: no more than a page of a large table is in memory. */
async function* listRows(
  database: PostgresDatabase,
  settings: PostgresSettings,
  context: WriteContext,
): AsyncGenerator<JsonRecord> {
  const { list, table = '' } = settings;
  const statement = typeof list === 'string' ? list : selectAll(table, keyOf(settings, context));
  const client = await database.session();
  const end = () => void client.end().catch(() => undefined);
  context.signal.addEventListener('abort', end, { once: true });
  try {
    await client.query('begin read only');
    await client.query(`declare rows no scroll cursor for ${statement}`);
    for (;;) {
      const { rows } = await client.query(`fetch ${LIST_PAGE_ROWS} from rows`);
      yield* rows as Row[];
      if (rows.length < LIST_PAGE_ROWS) return;
    }
  } finally {
    context.signal.removeEventListener('abort', end);
    end();
  }
}

type Writes = Pick<OriginDefinition, 'put' | 'patch' | 'delete'>;

function writesOf(database: PostgresDatabase, settings: PostgresSettings): Writes {
  const { write, table } = settings;
  if (write === undefined) return {};
  if (write !== true) return writtenStatements(database, settings, write);
  if (table !== undefined) return tableWrites(database, settings, table);
  throw new Error(`origin ${settings.name}: write: true needs a table; else write statements`);
}

/** Of which `$1` is the id, and `$2` the record as JSON. */
function writtenStatements(
  database: PostgresDatabase,
  { name }: PostgresSettings,
  { put, patch, delete: remove }: Exclude<PostgresSettings['write'], true | undefined>,
): Writes {
  const run = (statement: string, id: RecordId, record: JsonRecord, context: WriteContext) => {
    const values = /\$2\b/.test(statement) ? [id, JSON.stringify(record)] : [id];
    return database.query(statement, values, context.signal, true);
  };
  return {
    ...(put === undefined
      ? {}
      : { put: async (id, record, to) => written(name, 409, await run(put, id, record, to)) }),
    ...(patch === undefined
      ? {}
      : { patch: async (id, record, to) => written(name, 404, await run(patch, id, record, to)) }),
    ...(remove === undefined ? {} : { delete: (id, to) => run(remove, id, {}, to) }),
  };
}

function tableWrites(
  database: PostgresDatabase,
  settings: PostgresSettings,
  table: string,
): Writes {
  const { name } = settings;
  const columns = new TableColumns(database, table);
  return {
    async put(id, record, context) {
      const key = keyOf(settings, context);
      const whole = { ...record, [key]: id };
      const statement = upsert(table, key, await columns.all(context.signal), whole);
      return writtenBy(statement, [JSON.stringify(whole)], context, 409);
    },
    async patch(id, patch, context) {
      const key = keyOf(settings, context);
      const statement = update(table, key, await columns.all(context.signal), patch);
      if (statement === undefined) return undefined;
      return writtenBy(statement, [JSON.stringify(patch), id], context, 404);
    },
    delete: (id, context) =>
      database.query(deleteOne(table, keyOf(settings, context)), [id], context.signal, true),
  };

  async function writtenBy(
    statement: string,
    values: readonly unknown[],
    context: WriteContext,
    nothing: 404 | 409,
  ) {
    try {
      return written(name, nothing, await database.query(statement, values, context.signal, true));
    } catch (thrown) {
      // The table may have been altered: its columns are asked for again.
      columns.forget();
      throw thrown;
    }
  }
}

/** The row as the database now has it, when the statement returns it. */
function written(name: string, nothing: 404 | 409, { rows, rowCount }: Rows): Row | undefined {
  if (rowCount !== 0) return rows[0];
  throw refusal(name, nothing, nothing === 404 ? 'there is no such row' : 'no row was written');
}
