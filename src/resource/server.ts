/**
 * `server` and `logger`, as application code imports them from `millrace`: ways into the node's
 * HTTP server, what the node says of itself, and its log.
 */

import { NodeError } from '../base/errors.ts';
import { contentTypes } from './content-types.ts';
import { getUser, type User } from './context.ts';
import { recordMeasurement } from './measurements.ts';
import {
  type RegisteredOperation,
  registrations,
  type ServerHandler,
  type ServerHandlerOptions,
} from './registrations.ts';
import { type ResourceMatch, threadScope } from './thread-scope.ts';

type OperationDocument = Readonly<Record<string, unknown>> & { readonly operation: string };

/**
 * `{ name, execute }`, while a module is being loaded, adds an operation to the admin port.
 * `{ operation: NAME, … }` runs one, with all rights unless `authorize` asks for those of the user
 * of the running call or of `context`.
 */
function operation(added: RegisteredOperation): void;
function operation(
  asked: OperationDocument,
  context?: { readonly user?: User | undefined },
  authorize?: boolean,
): Promise<object>;
function operation(
  given: RegisteredOperation | OperationDocument,
  context?: { readonly user?: User | undefined },
  authorize = false,
): Promise<object> | undefined {
  if ('execute' in given && typeof given.execute === 'function') {
    addOperation(given as RegisteredOperation);
    return undefined;
  }
  return ask(given as OperationDocument, context?.user ?? getUser(), authorize);
}

const NAME = /^[a-z][a-z0-9_]{0,63}$/;
const NEEDS: readonly unknown[] = ['administrator', 'signedIn', 'nothing', undefined];

function addOperation(added: RegisteredOperation): void {
  const { name, needs } = added;
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new TypeError(`server.operation: ${name} is no name: use a-z, 0-9 and _`);
  }
  if (!NEEDS.includes(needs)) {
    throw new TypeError(`server.operation: ${name} needs administrator, signedIn or nothing`);
  }
  const { operations } = registrations(`server.operation({ name: '${name}', … })`);
  if (operations.some((one) => one.name === name)) {
    throw new TypeError(`server.operation: there are two of the name ${name}`);
  }
  operations.push(added);
}

async function ask(
  document: OperationDocument,
  user: User | undefined,
  authorize: boolean,
): Promise<object> {
  const { runOperation } = threadScope();
  if (runOperation === undefined)
    throw new Error('server.operation is used before the node is open');
  if (authorize && user?.role.permission.super_user !== true) {
    const [code, why] =
      user === undefined
        ? (['AUTHENTICATION_REQUIRED', 'nobody has signed in'] as const)
        : (['ACCESS_DENIED', `${user.username} is no administrator`] as const);
    throw new NodeError(code, `${document.operation}: ${why}`, { blame: 'client' });
  }
  return runOperation(document, user?.username ?? 'application');
}

/** Ways into the node's own HTTP server, to be called while a module is being loaded. */
export const server = {
  /** Adds `value` to the metrics `millrace_app_measurements_total` and `…_sum`. */
  recordAnalytics: recordMeasurement,
  contentTypes,
  operation,
  /** Runs `handler` before the node's own answer, for all requests or those below `urlPath`. */
  http(handler: ServerHandler, options: ServerHandlerOptions = {}): void {
    registrations('server.http(…)').handlers.push({ handler, options });
  },
  /** The name of this node. */
  get hostname(): string {
    return threadScope().node?.hostname ?? '';
  },
  /** Of the threads that serve requests, which this is: from 0. */
  get workerIndex(): number {
    return threadScope().node?.workerIndex ?? 0;
  },
  /** What the node was configured with; secrets are left out. */
  get config(): Readonly<Record<string, unknown>> {
    return threadScope().node?.config ?? {};
  },
  /** The user of these credentials; `undefined` when they are wrong. */
  async authenticateUser(username: string, password: string): Promise<User | undefined> {
    return threadScope().node?.authenticate(username, password);
  },
  resources: {
    /** The class that serves a path, and what the path says behind its name. */
    getMatch(path: string): ResourceMatch | undefined {
      return threadScope().node?.match(path.startsWith('/') ? path : `/${path}`);
    },
    /** Serves a `Resource` class at a path, as if it were exported under it. */
    set(path: string, resource: unknown): void {
      registrations('server.resources.set(…)').resources.push({ path, resource });
    },
  },
} as const;

/** The resources of the application by their paths. */
export const { resources } = server;

/** The user of these credentials; `undefined` when they are wrong. */
export const auth = (username: string, password: string): Promise<User | undefined> =>
  server.authenticateUser(username, password);

export type Logger = Readonly<
  Record<'trace' | 'debug' | 'info' | 'notify' | 'warn' | 'error' | 'fatal', LogMethod>
>;
/** Texts, errors and values, as `console.log` takes them. */
export type LogMethod = (...parts: readonly unknown[]) => void;

const TEXT_MAX = 8_192;

function write(level: 'debug' | 'info' | 'warn' | 'error', parts: readonly unknown[]): void {
  const text = parts.map(textOf).join(' ').slice(0, TEXT_MAX);
  threadScope().writeLog?.(level, { from: 'application' }, text);
}

function textOf(part: unknown): string {
  if (typeof part === 'string') return part;
  if (part instanceof Error) return part.stack ?? part.message;
  try {
    return JSON.stringify(part) ?? String(part);
  } catch {
    return String(part);
  }
}

/** The node's log. Lines carry `from: "application"`. */
export const logger: Logger = {
  trace: (...parts) => write('debug', parts),
  debug: (...parts) => write('debug', parts),
  info: (...parts) => write('info', parts),
  notify: (...parts) => write('info', parts),
  warn: (...parts) => write('warn', parts),
  error: (...parts) => write('error', parts),
  fatal: (...parts) => write('error', parts),
};
