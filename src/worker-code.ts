/**
 * Serves an application's resources on one thread: each path with what runs its class, the tables
 * that a class stands in front of, and the log line of code that fails.
 */

import { authorise } from './access/authorise.ts';
import type { Principal } from './access/principal.ts';
import { assert } from './base/assert.ts';
import type { Clock } from './base/clock.ts';
import { realSignal } from './base/stop.ts';
import type { Config } from './config/config.ts';
import type { Log } from './observe/log.ts';
import type { RequestCounts } from './observe/request-meter.ts';
import type { Exchange, HttpRequest } from './protocols/http/port.ts';
import type { CustomRequest, CustomResource } from './protocols/rest/custom-resource.ts';
import type { RestResource } from './protocols/rest/resource.ts';
import type { AdmitFollower, CodeStream } from './protocols/websocket/code-stream.ts';
import { extendedTable } from './resource/application-table.ts';
import { Call, ReadFacts } from './resource/call.ts';
import { placeInCode } from './resource/code-place.ts';
import type { Context, User } from './resource/context.ts';
import { failureOf } from './resource/failure.ts';
import type { LoadedResource } from './resource/load-resources.ts';
import { type PathMatch, PathTree } from './resource/path-tree.ts';
import { methodsOf, ownMethod, type Resource } from './resource/resource.ts';
import {
  type AnsweredCall,
  type CallRequest,
  type CallSurroundings,
  runCall,
} from './resource/run-call.ts';
import { admitToStream, openStream, publishTo, streamsOf } from './resource/run-stream.ts';
import type { Commit } from './resource/transaction.ts';
import { NO_NODES } from './table/confirmation.ts';
import type { PreparedApplication } from './worker-resources.ts';

/** What serves a path that code has a say in. */
export interface CodeRoute {
  readonly custom: CustomResource | undefined;
  readonly type?: typeof Resource | undefined;
  /** What clients may follow or send messages to, where the class has a say in it. */
  readonly stream?: CodeStream<Principal> | undefined;
  readonly publish?: PublishToCode | undefined;
  /** Asked before the table behind it is followed, where the class judges its readers. */
  readonly admit?: AdmitFollower<Principal> | undefined;
  /** The table behind it, for the methods which the class leaves as they are. */
  readonly table: RestResource | undefined;
  /** Methods which go to the table at once. */
  readonly untouched: ReadonlySet<string>;
}

/** Rejects with what the code threw, made an error of ours. */
export type PublishToCode = (
  exchange: Exchange,
  principal: Principal,
  found: PathMatch<unknown>,
  message: unknown,
) => Promise<void>;

export interface CodeParts {
  readonly prepared: PreparedApplication;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly commit: Commit;
  /** Counts the requests of a resource of this name. */
  readonly meter: (name: string) => RequestCounts;
}

/**
 * The paths of the application's classes. Tables which share the first segment of one of them are
 * taken out of `tables` and found here too, so that the longest path wins.
 */
export function codeRoutes(
  parts: CodeParts,
  tables: Map<string, RestResource>,
): PathTree<CodeRoute> | undefined {
  const { resources } = parts.prepared.resources;
  if (resources.length === 0) return undefined;
  const tree = new PathTree<CodeRoute>();
  for (const loaded of resources) {
    assert(tree.set(loaded.path, codeRoute(loaded, parts, tables)), 'each path is claimed once');
  }
  const first = new Set(resources.map(({ path }) => path.split('/', 1)[0]));
  for (const [name, table] of [...tables]) {
    if (!first.has(name.split('/', 1)[0])) continue;
    tables.delete(name);
    tree.set(name, { custom: undefined, table, untouched: new Set() });
  }
  return tree;
}

function codeRoute(
  { path, type }: LoadedResource,
  parts: CodeParts,
  tables: ReadonlyMap<string, RestResource>,
): CodeRoute {
  const behind = extendedTable(type)?.export?.name;
  const table = behind === path ? tables.get(path) : undefined;
  const untouched = table === undefined ? new Set<string>() : untouchedMethods(type);
  const custom = customResource(type, path, parts);
  const { follows, publishes } = streamsOf(type);
  return {
    ...{ custom, type, table, untouched },
    stream: follows ? codeStream(type, path, parts) : undefined,
    publish: publishes ? publishToCode(type, parts) : undefined,
    admit: table !== undefined && judgesReaders(type) ? admitTo(type, path, parts) : undefined,
  };
}

/** Of the table behind it: what a class says of its own stream is asked with the stream. */
export function judgesReaders(type: typeof Resource): boolean {
  const judges = ownMethod(type, 'allowRead') ?? ownMethod(type.prototype, 'allowRead');
  return judges !== undefined && !streamsOf(type).follows;
}

function admitTo(type: typeof Resource, path: string, parts: CodeParts): AdmitFollower<Principal> {
  const stream = codeStream(type, path, parts);
  return (request, principal) =>
    stream.admit(request, principal).catch((thrown: unknown) => {
      throw stream.failure(thrown, request);
    });
}

const METHODS = {
  GET: ['get', 'search', 'allowRead'],
  HEAD: ['get', 'search', 'allowRead'],
  PUT: ['put', 'validate', 'allowUpdate'],
  PATCH: ['patch', 'validate', 'allowUpdate'],
  POST: ['post', 'create', 'validate', 'allowCreate'],
  DELETE: ['delete', 'allowDelete'],
} as const;

/** Methods that a class over a table has not overridden: they stay as fast as the table's own. */
export function untouchedMethods(type: typeof Resource): Set<string> {
  const readsPaths = 'parsePath' in type || type.directURLMapping === true;
  if (readsPaths || type.public !== undefined) return new Set();
  const isOwn = (name: string): boolean =>
    ownMethod(type, name) !== undefined || ownMethod(type.prototype, name) !== undefined;
  const entries = Object.entries(METHODS).filter(([, names]) => {
    return !names.some((name) => (name === 'create' ? Object.hasOwn(type, name) : isOwn(name)));
  });
  return new Set(entries.map(([method]) => method));
}

function customResource(type: typeof Resource, path: string, parts: CodeParts): CustomResource {
  const { clock } = parts;
  const { around, complain } = surroundings(type, parts);
  const { follows } = streamsOf(type);
  const methods = methodsOf(type);
  return {
    methods: follows && !methods.includes('GET') ? ['GET', ...methods] : methods,
    meter: parts.meter(path === '' ? '/' : path),
    monotonic: () => clock.monotonic(),
    answer: (request) =>
      follows && wantsEventStream(request.exchange)
        ? streamedEvents(type, callRequest(request), around)
        : runCall(type, callRequest(request), around),
    failure(thrown, { request }) {
      const failure = failureOf(thrown);
      const { method, path: at } = request;
      if (failure.isFault) complain(thrown, { method, path: at }, 'a resource failed');
      return failure;
    },
  };
}

/** How code of the class is run, and where its faults are told. */
export function surroundings(type: typeof Resource, parts: Omit<CodeParts, 'meter'>) {
  const { clock, config, log, prepared } = parts;
  const { folder } = prepared.application;
  const complain = (thrown: unknown, facts: object, message: string): void => {
    const place = placeInCode(thrown, folder);
    const stack = thrown instanceof Error ? thrown.stack : String(thrown);
    log.error({ resource: type.name, ...facts, ...place, stack }, message);
  };
  const around: CallSurroundings = {
    commit: parts.commit,
    clock,
    deadlineMs: config.limits.resourceMsMax,
    late: (error) => complain(error, {}, 'a resource failed after it had been given up'),
  };
  return { around, complain };
}

const wantsEventStream = ({ request }: Exchange): boolean =>
  request.method === 'GET' && /text\/event-stream/i.test(request.header('accept') ?? '');

/** `connect` without incoming messages: an event for each that it yields. */
async function streamedEvents(
  type: typeof Resource,
  request: CallRequest,
  around: CallSurroundings,
): Promise<AnsweredCall> {
  await admitToStream(type, request, around);
  const rows = await openStream(type, request, {}, around);
  const headers = new Headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  return { answer: { status: 200, headers, body: { kind: 'rows', rows } }, reads: new ReadFacts() };
}

function codeStream(type: typeof Resource, path: string, parts: CodeParts): CodeStream<Principal> {
  const { around, complain } = surroundings(type, parts);
  const tree = new PathTree<true>();
  tree.set(path, true);
  const asked = (request: HttpRequest, principal: Principal, signal: AbortSignal): CallRequest => {
    const { rest, params, wildcard } = tree.match(request.path) ?? NOWHERE;
    const exchange = { request, signal, interim: () => undefined };
    return callRequest({ exchange, principal, rest, params, wildcard, body: undefined });
  };
  return {
    admit: (request, principal) => admitToStream(type, asked(request, principal, NEVER), around),
    open: (request, principal, { incoming, signal }) =>
      openStream(type, asked(request, principal, signal), { incoming }, around),
    failure(thrown, { path: at }) {
      const failure = failureOf(thrown);
      if (failure.isFault) complain(thrown, { path: at }, 'a stream of a resource failed');
      return failure.error;
    },
  };
}

const NEVER = new AbortController().signal;
const NOWHERE = { rest: '', params: {}, wildcard: undefined };

function publishToCode(type: typeof Resource, parts: CodeParts): PublishToCode {
  const { around, complain } = surroundings(type, parts);
  return async (exchange, principal, { rest, params, wildcard }, body) => {
    try {
      const request = callRequest({ exchange, principal, rest, params, wildcard, body });
      await publishTo(type, request, around);
    } catch (thrown) {
      const { error, isFault } = failureOf(thrown);
      if (isFault) complain(thrown, { path: exchange.request.path }, 'a resource failed');
      throw error;
    }
  };
}

type Surrounding = Pick<Exchange, 'request' | 'signal' | 'interim'>;

export function callRequest(request: Omit<CustomRequest, 'exchange'> & { exchange: Surrounding }) {
  const { exchange, principal, rest, params, wildcard } = request;
  return {
    method: exchange.request.method,
    path: rest,
    query: exchange.request.query,
    params,
    wildcard,
    context: contextOf(exchange, principal, request.body),
    may: (...[definition, verb]: MayArguments) =>
      authorise(principal, definition, verb) === 'allowed',
  };
}

type MayArguments = [Parameters<typeof authorise>[1], Parameters<typeof authorise>[2]];

export function contextOf(exchange: Surrounding, principal: Principal, body: unknown): Context {
  const { request } = exchange;
  return {
    user: userOf(principal),
    method: request.method,
    url: request.query === '' ? request.path : `${request.path}?${request.query}`,
    pathname: request.path,
    host: request.header('host') ?? '',
    ip: request.remoteAddress,
    headers: headersOf(request.headers()),
    responseHeaders: new Headers(),
    signal: realSignal(exchange.signal),
    data: body,
    body,
    ...(request.header('x-replicate-to')?.trim() === NO_NODES && { replicateTo: NO_NODES }),
    sendEarlyHints(link, headers = {}) {
      exchange.interim(103, ['link', link, ...Object.entries(headers).flat()]);
    },
  };
}

/** A call which no request began, and which nobody has to be allowed. */
export function callOfNobody(commit: Commit): Call {
  const context: Context = {
    ...{ user: undefined, method: '', url: '', pathname: '', host: '', ip: '', data: undefined },
    headers: new Headers(),
    responseHeaders: new Headers(),
    signal: new AbortController().signal,
  };
  return new Call({ context, commit, may: () => true });
}

export function userOf(principal: Principal): User | undefined {
  if (principal.kind === 'anonymous') return undefined;
  const role = { role: principal.kind, permission: { super_user: principal.kind === 'admin' } };
  return { username: principal.name, role };
}

/** A field which `Headers` would refuse cannot be asked for either. */
export function headersOf(fields: Iterable<readonly [string, string]>): Headers {
  const headers = new Headers();
  for (const [name, value] of fields) {
    try {
      headers.append(name, value);
    } catch {
      // Such as a value beyond Latin-1: the application does not see it.
    }
  }
  return headers;
}
