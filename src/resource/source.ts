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
import { type CallVerb, isResourceClass, ownMethod, type Resource } from './resource.ts';

/** What a source's methods are told, and what `get` may say about its record. */
export interface SourceContext {
  readonly signal: AbortSignal;
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
      call.run(verb, id, record, writeContext(context)) as never,
  });
  return {
    get: (id, context) => read(call, id, context),
    ...(call.has('put') ? write('put') : {}),
    ...(call.has('patch') ? write('patch') : {}),
    ...(call.has('delete')
      ? {
          delete: async (id: RecordId, context: WriteContext) =>
            call.run('delete', id, writeContext(context)),
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
  const holder = Reflect.has(source, 'subscribe')
    ? source
    : new (source as unknown as typeof Resource)(undefined, undefined);
  const subscribe = Reflect.get(holder, 'subscribe') as (context: unknown) => unknown;
  yield* (await subscribe.call(holder, context)) as AsyncIterable<FeedEvent>;
}

async function read(call: Caller, id: RecordId, context: GetContext): Promise<GetResult> {
  const { replacing } = context;
  const told: SourceContext = {
    signal: context.signal,
    get replacingRecord() {
      return replacing?.record;
    },
    replacingVersion: replacing?.lastModified,
    replacingEntityTag: replacing?.entityTag,
    lastModified: undefined,
    entityTag: undefined,
    expiresAt: undefined,
    noCacheStore: false,
    groups: undefined,
  };
  const result = await call.run('get', id, told);
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

const writeContext = ({ signal }: WriteContext): SourceContext => ({
  signal,
  replacingRecord: undefined,
  replacingVersion: undefined,
  replacingEntityTag: undefined,
  lastModified: undefined,
  entityTag: undefined,
  expiresAt: undefined,
  noCacheStore: false,
  groups: undefined,
});
