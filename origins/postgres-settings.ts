/**
 * What `origins/NAME.yaml` says of a PostgreSQL origin, as the kind uses it: where the server is,
 * which rows are records, how they are written, how their changes are known. Throws with the key at
 * fault and what to write.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { KindSettings } from 'millrace';

export interface PostgresPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly tls: ConnectionOptions | undefined;
}

/** Statements of which `$1` is the id and `$2` the record or patch as JSON. */
export type WriteStatements = Partial<Record<'put' | 'patch' | 'delete', string>>;

export interface ChangeSettings {
  readonly channel: string | undefined;
  /** The column by which changed rows are found. */
  readonly poll: string | undefined;
  readonly everyMs: number;
  readonly overlapMs: number;
  /** The column that marks deleted rows; `false`: no row is ever deleted. */
  readonly deleted: string | false | undefined;
}

export interface PostgresSettings {
  readonly name: string;
  readonly place: PostgresPlace;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly table: string | undefined;
  readonly key: string | undefined;
  readonly query: string | undefined;
  /** A statement, or `true` for all rows of the table; without it the origin lists nothing. */
  readonly list: string | true | undefined;
  readonly version: string | undefined;
  readonly write: true | WriteStatements | undefined;
  readonly changes: ChangeSettings | undefined;
}

const POLL_EVERY_MS = 1_000;
/** The longest that a transaction is expected to take between its timestamp and its commit. */
const OVERLAP_MS = 10_000;

export function postgresSettings(settings: KindSettings): PostgresSettings {
  const { name, options, timeoutMs, concurrency } = settings;
  return {
    name,
    place: placeOf(settings),
    timeoutMs,
    connections: concurrency,
    table: textOf(options.table),
    key: textOf(options.key),
    query: queryOf(name, textOf(options.query)),
    list: options.list === true ? true : textOf(options.list),
    version: textOf(options.version),
    write: options.write === true ? true : statementsOf(options.write),
    changes: changesOf(name, options.changes, textOf(options.table)),
  };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

function queryOf(name: string, query: string | undefined): string | undefined {
  if (query === undefined || /\$1\b/.test(query)) return query;
  throw new Error(`origin ${name}: query has no $1, which is where the id goes`);
}

function statementsOf(written: unknown): WriteStatements | undefined {
  if (!isMap(written)) return undefined;
  return Object.fromEntries(
    (['put', 'patch', 'delete'] as const).flatMap((verb) => {
      const statement = textOf(written[verb]);
      return statement === undefined ? [] : [[verb, statement]];
    }),
  );
}

function changesOf(
  name: string,
  written: unknown,
  table: string | undefined,
): ChangeSettings | undefined {
  if (!isMap(written)) return undefined;
  const { every, overlap, deleted } = written;
  const channel = textOf(written.channel);
  const poll = textOf(written.poll);
  if (channel === undefined && poll === undefined) {
    throw new Error(`origin ${name}: changes needs a channel, a poll column, or both`);
  }
  if (poll !== undefined && table === undefined) {
    throw new Error(`origin ${name}: changes.poll needs the key table, besides the query`);
  }
  return {
    channel,
    poll,
    everyMs: typeof every === 'number' ? Math.max(10, every) : POLL_EVERY_MS,
    overlapMs: typeof overlap === 'number' ? overlap : OVERLAP_MS,
    deleted: deleted === false ? false : textOf(deleted),
  };
}

function placeOf({ name, url }: KindSettings): PostgresPlace {
  if (url === undefined || !/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error(`origin ${name}: url must be like postgres://user@db.example.com/app`);
  }
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const user = decodeURIComponent(username);
  if (hostname === '' || user === '') {
    throw new Error(`origin ${name}: the url names no ${hostname === '' ? 'host' : 'user'}`);
  }
  return {
    host: hostname,
    port: port === '' ? 5432 : Number(port),
    user,
    password: password === '' ? undefined : decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)) || user,
    tls: tlsOf(name, searchParams),
  };
}

/** `sslmode` and `sslrootcert` mean what they mean to every client of PostgreSQL. */
function tlsOf(name: string, parameters: URLSearchParams): ConnectionOptions | undefined {
  for (const key of parameters.keys()) {
    if (key !== 'sslmode' && key !== 'sslrootcert') {
      throw new Error(
        `origin ${name}: url: unknown parameter ${key}; sslmode, sslrootcert are known`,
      );
    }
  }
  const mode = parameters.get('sslmode') ?? 'disable';
  const rootFile = parameters.get('sslrootcert');
  const ca = rootFile === null ? {} : { ca: readFileSync(rootFile) };
  switch (mode) {
    case 'disable':
      return undefined;
    case 'require':
      // Encrypted, whoever the peer is, unless there is something to judge it by.
      return rootFile === null ? { rejectUnauthorized: false } : ca;
    case 'verify-ca':
      return { ...ca, checkServerIdentity: () => undefined };
    case 'verify-full':
      return ca;
    default:
      throw new Error(
        `origin ${name}: sslmode is disable, require, verify-ca or verify-full, not ${mode}`,
      );
  }
}
