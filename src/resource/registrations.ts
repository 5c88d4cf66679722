/**
 * What modules of an application declare while they are being loaded, besides what they export:
 * `server.http(…)`, `server.resources.set(…)`, `tables.X.sourcedFrom(…)`. Collected here, taken
 * over by the node when every module has been loaded.
 */
import type { TableName } from '../base/brands.ts';
import type { OriginDefinition } from '../origin/definition.ts';
import type { Compute } from '../schema/computed.ts';
import type { Context } from './context.ts';
import { threadScope } from './thread-scope.ts';

/** A request as a handler of `server.http` sees it: a web `Request` and who asks. */
export interface ServerRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly pathname: string;
  readonly headers: Headers;
  readonly ip: string;
  readonly signal: AbortSignal;
  readonly user: { readonly username: string } | undefined;
  text(): Promise<string>;
  json(): Promise<unknown>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Hands the request on; what it yields is returned as it is. */
export type NextHandler = (request: ServerRequest) => unknown;
export type ServerHandler = (request: ServerRequest, next: NextHandler) => unknown;

export interface ServerHandlerOptions {
  /** Only requests whose path begins with this. */
  readonly urlPath?: string | undefined;
  /** Only requests for this host. */
  readonly host?: string | undefined;
}

/** Lifetimes in seconds, as `@table` has them. */
export interface SourceOptions {
  readonly expiration?: number | undefined;
  readonly eviction?: number | undefined;
  readonly scanInterval?: number | undefined;
}

export interface RegisteredSource {
  readonly typeName: string;
  readonly origin: OriginDefinition;
  readonly options: SourceOptions;
}

/** Who may run an operation: administrators, whoever has signed in, or anybody. */
export type OperationNeeds = 'administrator' | 'signedIn' | 'nothing';

/** An operation of the application: `POST { "operation": NAME, … }` to the admin port. */
export interface RegisteredOperation {
  readonly name: string;
  /** `administrator` when it is left out. */
  readonly needs?: OperationNeeds | undefined;
  /** What it returns is the answer, as JSON. `operation` is the whole document. */
  execute(operation: Readonly<Record<string, unknown>>, context: Context): unknown;
}

export interface Registrations {
  readonly operations: RegisteredOperation[];
  readonly handlers: { readonly handler: ServerHandler; readonly options: ServerHandlerOptions }[];
  readonly resources: { readonly path: string; readonly resource: unknown }[];
  readonly sources: RegisteredSource[];
  readonly computed: {
    readonly table: TableName;
    readonly attribute: string;
    readonly compute: Compute;
  }[];
}

export const noRegistrations = (): Registrations => ({
  handlers: [],
  resources: [],
  sources: [],
  computed: [],
  operations: [],
});

/** Throws when no module is being loaded: what came later would be known to one thread only. */
export function registrations(what: string): Registrations {
  const collecting = threadScope().registrations;
  if (collecting !== undefined) return collecting;
  throw new Error(
    `${what} is called too late: call it while the module is being loaded, not in a function`,
  );
}
