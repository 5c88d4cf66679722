/**
 * The live feed of a PostgreSQL origin: LISTEN for the rows that a trigger names, a polled column
 * for those that changed, or both.
 *
 * What happened while the feed was away is told by the polled column from the last place on. What
 * that cannot tell (deleted rows, unless `deleted` says how they are known; everything, without
 * `poll`) makes all that is held stale, so that it is not served as fresh before it was asked for.
 * LISTEN begins before anything is read: no change falls between the two.
 */
import type {
  FeedContext,
  FeedEvent,
  FeedTransaction,
  FeedWrite,
  KindServices,
  RecordId,
} from 'millrace';
import type { Client } from 'pg';
import type { PostgresDatabase, Row } from './postgres-database.ts';
import { Inbox, type Notice } from './postgres-inbox.ts';
import { type PolledRow, PostgresPoll } from './postgres-poll.ts';
import type { ChangeSettings, PostgresSettings } from './postgres-settings.ts';
import { quoted, selectOne, selectSome } from './postgres-statements.ts';

/** A connection that only listens is asked for a sign of life this often. */
const HEARTBEAT_MS = 15_000;
/** Rows that are read for one event of the feed. */
const READ_ROWS_MAX = 500;

export async function* postgresChanges(
  database: PostgresDatabase,
  settings: PostgresSettings,
  changes: ChangeSettings,
  services: KindServices,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const client = await database.session();
  const stop = () => void client.end().catch(() => undefined);
  try {
    const inbox = new Inbox(client, context.signal);
    if (changes.channel !== undefined) await client.query(`listen ${quoted(changes.channel)}`);
    const session = new ChangeSession(database, settings, changes, context);
    yield* session.begin();
    context.connected();
    for (;;) {
      const { notices, inDoubt } = inbox.drain();
      if (inDoubt) yield session.inDoubt();
      yield* session.noticed(notices);
      yield* session.polled();
      const every = changes.poll === undefined ? HEARTBEAT_MS : changes.everyMs;
      await inbox.wait((wake) => services.after(every, wake));
      if (changes.poll === undefined) await signOfLife(client, settings, services);
    }
  } finally {
    stop();
  }
}

/** Throws when the server does not answer: the connection may be half open. */
async function signOfLife(
  client: Client,
  { name, timeoutMs }: PostgresSettings,
  services: KindServices,
): Promise<void> {
  let stop = () => {};
  const late = new Promise<never>((_, reject) => {
    const message = `the connection of origin ${name} that listens gave no sign of life`;
    stop = services.after(timeoutMs, () => reject(new Error(message)));
  });
  await Promise.race([client.query('select 1'), late]).finally(() => stop());
}

class ChangeSession {
  readonly #database: PostgresDatabase;
  readonly #settings: PostgresSettings;
  readonly #changes: ChangeSettings;
  readonly #context: FeedContext;
  readonly #key: string;
  readonly #poll: PostgresPoll | undefined;

  constructor(
    database: PostgresDatabase,
    settings: PostgresSettings,
    changes: ChangeSettings,
    context: FeedContext,
  ) {
    this.#database = database;
    this.#settings = settings;
    this.#changes = changes;
    this.#context = context;
    this.#key = settings.key ?? context.tables[0]?.primaryKey ?? 'id';
    if (changes.poll !== undefined) {
      const place = context.resumeFrom;
      this.#poll = new PostgresPoll(database, settings, changes, this.#key, place);
    }
  }

  /** What was missed before this session; see the head of this file. */
  async *begin(): AsyncGenerator<FeedEvent> {
    const { signal, resumeFrom } = this.#context;
    if (resumeFrom === undefined) await this.#poll?.skipToNow(signal);
    const knowsAll = resumeFrom !== undefined && this.#changes.deleted !== undefined;
    if (!knowsAll) yield this.inDoubt();
    yield* this.polled();
  }

  /** Everything that is held is stale from now on. */
  inDoubt(): FeedEvent {
    return this.#event([{ type: 'invalidate', soft: true }]);
  }

  async *polled(): AsyncGenerator<FeedEvent> {
    if (this.#poll === undefined) return;
    for await (const page of this.#poll.round(this.#context.signal)) {
      yield this.#event(
        page.map((polled) => this.#writeOf(polled)),
        page.at(-1)?.place,
      );
    }
  }

  async *noticed(notices: readonly Notice[]): AsyncGenerator<FeedEvent> {
    for (let at = 0; at < notices.length; at += READ_ROWS_MAX) {
      const some = notices.slice(at, at + READ_ROWS_MAX);
      // A polled row may be newer than the value that a notification carries: then rows are read.
      const isKnown = ({ deleted, value }: Notice) =>
        deleted || (value !== undefined && this.#poll === undefined);
      const unknown = some.filter((notice) => !isKnown(notice)).map(({ id }) => id);
      const rows = await this.#read(unknown);
      yield this.#event(
        some.map(({ id, deleted, value }): FeedWrite => {
          if (deleted) return { type: 'delete', id };
          const row = rows.get(String(id)) ?? (unknown.includes(id) ? undefined : value);
          return row === undefined ? { type: 'delete', id } : { type: 'put', id, value: row };
        }),
      );
    }
  }

  /** The rows there are under these ids. */
  async #read(ids: readonly RecordId[]): Promise<ReadonlyMap<string, Row>> {
    const { query, table } = this.#settings;
    const { signal } = this.#context;
    const found = new Map<string, Row>();
    if (ids.length === 0) return found;
    if (query === undefined && table !== undefined) {
      const { rows } = await this.#database.query(selectSome(table, this.#key), [ids], signal);
      for (const row of rows) found.set(String(row[this.#key]), row);
      return found;
    }
    const statement = query ?? selectOne(table ?? '', this.#key);
    for (const id of ids) {
      const { rows } = await this.#database.query(statement, [id], signal);
      if (rows[0] !== undefined) found.set(String(id), rows[0]);
    }
    return found;
  }

  #writeOf({ row }: PolledRow): FeedWrite {
    const id = row[this.#key] as RecordId;
    const mark = this.#changes.deleted;
    const isDeleted = typeof mark === 'string' && row[mark] !== null && row[mark] !== false;
    return isDeleted ? { type: 'delete', id } : { type: 'put', id, value: row };
  }

  /** The same for every table over this origin, committed together. */
  #event(writes: readonly FeedWrite[], position = this.#poll?.place): FeedEvent {
    const { tables } = this.#context;
    const all = tables.flatMap(({ table }) => writes.map((write) => ({ ...write, table })));
    const event: FeedTransaction = { type: 'transaction', writes: all };
    return { ...event, position };
  }
}
