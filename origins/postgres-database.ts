/**
 * The connections of a PostgreSQL origin: a pool for queries, bounded by the origin's concurrency,
 * and single sessions for its feed. Every connection passes the address guard.
 *
 * A query that is abandoned is cancelled at the server and takes its connection with it: a cancel
 * that comes late would hit the next query. The server's own `statement_timeout` ends what even the
 * cancel did not reach.
 */
import type { KindServices } from 'millrace';
import { Client, type ClientConfig, Pool, type PoolClient, type QueryResult } from 'pg';
import { postgresError } from './postgres-errors.ts';
import type { PostgresSettings } from './postgres-settings.ts';
import { valueTypes } from './postgres-values.ts';

export type Row = Readonly<Record<string, unknown>>;
export type Rows = QueryResult<Record<string, unknown>>;

/** A connection nobody used for so long is closed. */
const IDLE_MS = 60_000;
const CANCEL_REQUEST = 80_877_102;

export class PostgresDatabase {
  readonly #settings: PostgresSettings;
  readonly #services: KindServices;
  readonly #pool: Pool;

  constructor(settings: PostgresSettings, services: KindServices) {
    this.#settings = settings;
    this.#services = services;
    this.#pool = new Pool({
      ...this.#clientConfig(),
      max: settings.connections,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: settings.timeoutMs,
      allowExitOnIdle: true,
    });
    // An idle connection that broke is replaced when one is needed; nobody waits for it.
    this.#pool.on('error', () => undefined);
    // One that is lent is told by the query it was lent for; its event too must have a listener.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Runs a statement; `isWrite` decides what a refused value is. */
  async query(
    text: string,
    values: readonly unknown[],
    signal: AbortSignal,
    isWrite = false,
  ): Promise<Rows> {
    return this.withClient(signal, isWrite, (client) => client.query(text, [...values]));
  }

  /** Lends a connection of the pool; it is given up when the signal aborts. */
  async withClient<T>(
    signal: AbortSignal,
    isWrite: boolean,
    task: (client: PoolClient) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const client = await this.#borrow();
    let released = false;
    const release = (broken: boolean) => {
      if (!released) client.release(broken);
      released = true;
    };
    const abandon = () => {
      this.#cancel(client);
      release(true);
    };
    if (signal.aborted) release(false);
    signal.throwIfAborted();
    signal.addEventListener('abort', abandon, { once: true });
    try {
      return await task(client);
    } catch (thrown) {
      throw postgresError(this.#settings.name, thrown, isWrite);
    } finally {
      signal.removeEventListener('abort', abandon);
      release(false);
    }
  }

  /** A connection of its own, outside the pool; the caller ends it. */
  async session(): Promise<Client> {
    const client = new Client({
      ...this.#clientConfig(),
      connectionTimeoutMillis: this.#settings.timeoutMs,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (thrown) {
      throw postgresError(this.#settings.name, thrown, false);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #borrow(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (thrown) {
      throw postgresError(this.#settings.name, thrown, false);
    }
  }

  #clientConfig(): ClientConfig {
    const { place, timeoutMs } = this.#settings;
    return {
      host: place.host.replace(/^\[|\]$/g, ''),
      port: place.port,
      user: place.user,
      ...(place.password === undefined ? {} : { password: place.password }),
      database: place.database,
      ssl: place.tls ?? false,
      keepAlive: true,
      application_name: 'millrace',
      statement_timeout: timeoutMs,
      options: '-c timezone=UTC -c datestyle=ISO -c bytea_output=hex',
      types: valueTypes,
      stream: () => this.#socket(),
    };
  }

  /** Already on its way when the library asks it to connect. */
  #socket() {
    const { host, port } = this.#settings.place;
    const socket = this.#services.connectSocket({ host, port });
    return Object.assign(socket, { connect: () => socket });
  }

  /** Asks the server to stop what a connection is at; it has no answer. */
  #cancel(client: PoolClient): void {
    const { processID, secretKey } = client as unknown as Record<string, unknown>;
    if (typeof processID !== 'number' || typeof secretKey !== 'number') return;
    const request = Buffer.alloc(16);
    for (const [at, word] of [16, CANCEL_REQUEST, processID, secretKey].entries()) {
      request.writeInt32BE(word, at * 4);
    }
    const { host, port } = this.#settings.place;
    const socket = this.#services.connectSocket({ host, port });
    socket.on('error', () => undefined);
    socket.once('connect', () => socket.end(request));
  }
}
