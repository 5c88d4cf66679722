/**
 * What an operation is: a name, a check of its arguments, and what it does. One file an operation;
 * the registry of them is `api.ts`. An operation needs an administrator unless it says otherwise.
 */
import type { Principal } from '../access/principal.ts';
import type { UrlKey } from '../access/signed-url.ts';
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { ToldSchemes } from '../cache/pages/cache-key.ts';
import type { LimitName } from '../config/limits.ts';
import type { QueryObject } from '../resource/query-object.ts';
import type { Query } from '../table/query/query.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Table } from '../table/table.ts';
import type { Tables } from '../table/tables.ts';
import type { ClusterContext } from './cluster/context.ts';
import type { IdentityContext } from './identity/context.ts';
import type { LiveClients } from './live/live-clients.ts';
import type { PurgeLog } from './purge-log.ts';

/** How records are read: by the queries and the reads of application code. */
export interface RecordReads {
  /** `bind` turns the query into the one that may be asked. */
  search(table: Table, query: QueryObject, bind?: (query: Query) => Query): AsyncIterable<unknown>;
  /**
   * Asks the origin where it must, and other nodes before it unless `isOwnOnly`; `undefined` when
   * there is no such record.
   */
  read(table: Table, id: RecordId, isOwnOnly: boolean): Promise<JsonRecord | undefined>;
}

export interface OperationContext {
  readonly tables: Tables;
  readonly records: RecordReads;
  /** Those which the application adds. */
  readonly added: readonly Operation[];
  /** Name of whoever asks; '' for nobody in particular. */
  readonly by: string;
  readonly principal: Principal;
  /** Address of the client. */
  readonly address: string;
  /** The `Authorization` field as it came: a refresh token stands there. */
  readonly authorization: string | undefined;
  /** What the session cookie carries. */
  readonly session: string | undefined;
  /** Sends a cookie with the answer. */
  readonly setCookie: (cookie: string) => void;
  readonly identity: IdentityContext;
  /** `undefined` on a node by itself. */
  readonly cluster: ClusterContext | undefined;
  /** By which URLs are signed; the first unless another is named. */
  readonly urlKeys: readonly UrlKey[];
  /** Schemes that may be in the key of a page besides the node's own. */
  readonly pageSchemes: ToldSchemes;
  /** Who is connected, on all threads. */
  readonly live: LiveClients;
  /** Where each purge is noted. */
  readonly purges: PurgeLog;
  /** What Prometheus is told, of all threads. */
  readonly metrics: () => Promise<string>;
  /** Takes over what changed in the files; with `dryRun` only says what that would be. */
  readonly reload: (dryRun: boolean) => Promise<object>;
  /** Writes a backup into a folder; rejects with `USAGE` or `STORE_FAILED`. */
  readonly backup: (folder: string) => Promise<object>;
}

/** `nothing`: also whoever has not signed in. */
export type Needs = 'nothing' | 'signedIn' | 'administrator';

export type Arguments = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly name: string;
  /** Who may run it; an administrator when it does not say. */
  readonly needs?: Needs | undefined;
  /** Names of the arguments it takes; any other is refused. */
  readonly takes: readonly string[] | 'anything';
  /** Throws `USAGE` naming the argument; rejects with the errors of what it does. */
  run(args: Arguments, context: OperationContext): Promise<object> | object;
}

/** The table an argument names; throws `TABLE_UNKNOWN` listing those there are. */
export function tableArgument(args: Arguments, context: OperationContext): Table {
  const { table: name } = args;
  if (typeof name !== 'string') throw usage('table: the name of a table is required');
  const table = context.tables.get(name);
  if (table !== undefined) return table;
  const known = context.tables.all().map((one) => one.definition.typeName);
  throw new NodeError(
    'TABLE_UNKNOWN',
    `there is no table ${JSON.stringify(name)}; there is ${known.join(', ') || 'none'}`,
    { blame: 'client' },
  );
}

/** `limit`: the one that the arguments are beyond. */
export function usage(message: string, limit?: LimitName): NodeError {
  const details = limit === undefined ? {} : { limit };
  return new NodeError('USAGE', message, { blame: 'client', details });
}
