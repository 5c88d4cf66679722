/**
 * `tables.X.sourcedFrom(source)`: a source as code writes it (an object or a `Resource` class with
 * `get`, `put`, `patch`, `delete`, `subscribe`) as an origin. The context has the names that such
 * sources know: `replacingRecord`, `replacingVersion`, `expiresAt` in epoch milliseconds,
 * `noCacheStore`; returning `replacingRecord` itself says that it is still right.
 */
import type { RecordId } from '../base/brands.ts';
import {
  type GetContext,
  type GetResult,
  notModified,
  type OriginDefinition,
  type WriteContext,
} from '../origin/definition.ts';
import type { FeedEvent } from '../origin/feed-events.ts';
import type { Context } from './context.ts';
import { type CallVerb, isResourceClass, ownMethod, type Resource } from './resource.ts';
import { inSourceCall } from './source-call.ts';
import { currentCall } from './thread-scope.ts';

/** What a source's methods are told, and what `get` may say about its record. */
export interface SourceContext {
  readonly signal: AbortSignal;
  readonly id: RecordId;
  /**
   * The request whose read began this fetch, when code of the application made it. Others may wait
   * for the same fetch: the record must not depend on who asked first.
   */
  readonly requestContext: Context | undefined;
  /** The record that is to be replaced or confirmed. */
  readonly replacingRecord: Readonly<Record<string, unknown>> | undefined;
  /** Its modification time at the source, milliseconds since 1970. */
  readonly replacingVersion: number | undefined;
  readonly replacingEntityTag: string | undefined;
  lastModified: number | Date | string | undefined;
  entityTag: string | undefined;
  /** Milliseconds since 1970. */
  expiresAt: number | undefined;
  noCacheStore: boolean;
  groups: readonly string[] | undefined;
}

type Result = unknown;

export interface SourceObject {
  get(id: RecordId, context: SourceContext): Result;
  put?(id: RecordId, record: unknown, context: SourceContext): Result;
  patch?(id: RecordId, patch: unknown, context: SourceContext): Result;
  delete?(id: RecordId, context: SourceContext): Result;
  subscribe?(context: unknown): Result;
}

/** Without its own `get`, or an object's parameters would have no types. */
type SourceClass = abstract new (...args: never[]) => Resource;
export type Source = SourceObject | SourceClass;

/** Throws a `TypeError` when the source has no `get`. */
export function sourceToOrigin(source: Source): OriginDefinition {
  const call = caller(source);
  if (!call.has('get')) throw new TypeError('sourcedFrom(source): a source needs a method get');
  const write = (verb: 'put' | 'patch') => ({
    [verb]: async (id: RecordId, record: unknown, context: WriteContext) =>
      call.run(verb, id, record, toldAt(id, context.signal)) as never,
  });
  return {
    get: (id, context) => read(call, id, context),
    ...(call.has('put') ? write('put') : {}),
    ...(call.has('patch') ? write('patch') : {}),
    ...(call.has('delete')
      ? {
          delete: async (id: RecordId, context: WriteContext) =>
            call.run('delete', id, toldAt(id, context.signal)),
        }
      : {}),
    ...(call.subscribe === undefined ? {} : { subscribe: call.subscribe }),
  };
}

interface Caller {
  has(verb: CallVerb): boolean;
  run(verb: CallVerb, ...args: readonly unknown[]): unknown;
  readonly subscribe: OriginDefinition['subscribe'];
}

function caller(source: Source): Caller {
  const isClass = isResourceClass(source);
  const own = (name: string): boolean =>
    isClass
      ? ownMethod(source, name) !== undefined || ownMethod(source.prototype, name) !== undefined
      : typeof Reflect.get(source, name) === 'function';
  return {
    has: own,
    run(verb, ...args) {
      const method = Reflect.get(source, verb) as (...given: readonly unknown[]) => unknown;
      return method.apply(source, [...args]);
    },
    subscribe: own('subscribe') ? (context) => events(source, context) : undefined,
  };
}

async function* events(source: Source, context: unknown): AsyncGenerator<FeedEvent> {
  const isOfInstances = isResourceClass(source) && ownMethod(source, 'subscribe') === undefined;
  const holder = isOfInstances
    ? new (source as unknown as typeof Resource)(undefined, undefined)
    : source;
  const subscribe = Reflect.get(holder, 'subscribe') as (context: unknown) => unknown;
  yield* (await subscribe.call(holder, context)) as AsyncIterable<FeedEvent>;
}

async function read(call: Caller, id: RecordId, context: GetContext): Promise<GetResult> {
  const { replacing } = context;
  const told: SourceContext = {
    ...toldAt(id, context.signal),
    get replacingRecord() {
      return replacing?.record;
    },
    replacingVersion: replacing?.lastModified ?? replacing?.storedAt,
    replacingEntityTag: replacing?.entityTag,
  };
  const { result, writes } = await inSourceCall(told, async () => call.run('get', id, told));
  context.beside = writes;
  context.lastModified = told.lastModified;
  context.entityTag = told.entityTag;
  context.freshUntil = told.expiresAt;
  context.groups = told.groups;
  context.noStore = told.noCacheStore;
  if (result !== undefined && replacing !== undefined && result === replacing.record) {
    return notModified();
  }
  return result as GetResult;
}

function toldAt(id: RecordId, signal: AbortSignal): SourceContext {
  return {
    signal,
    id,
    requestContext: askingContext(),
    replacingRecord: undefined,
    replacingVersion: undefined,
    replacingEntityTag: undefined,
    lastModified: undefined,
    entityTag: undefined,
    expiresAt: undefined,
    noCacheStore: false,
    groups: undefined,
  };
}

/** Of a fetch that another fetch began, the request behind both. */
function askingContext(): Context | undefined {
  const around = currentCall();
  if (around?.fills === undefined) return around?.context;
  return (around.context as Partial<SourceContext>).requestContext;
}
