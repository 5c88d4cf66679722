/**
 * A `get` of an origin in code, run as a call of its own: `getContext()` yields the origin's
 * context there, and what it writes to tables is no write of the client whose read began it. Such
 * writes are stored in the commit of the record that it returns, or not at all when it throws: rows
 * of other caches as fills, which give way to whatever came after the origin was asked.
 */
import { type EpochMs, type RecordId, recordVersion, type Sequence } from '../base/brands.ts';
import type { OriginDefinition } from '../origin/definition.ts';
import {
  type DraftContext,
  type JsonRecord,
  putOp,
  type WriteOptions,
} from '../table/record-draft.ts';
import type { StoreReader, WriteOp } from '../table/store-port.ts';
import { Call } from './call.ts';
import type { Context } from './context.ts';
import { threadScope } from './thread-scope.ts';

/** What writes beside a fetch have to know of the time before it. */
export interface FillTerms {
  readonly requestedAt: EpochMs;
  readonly stamp: Sequence;
  readonly reader: StoreReader;
}

/** An origin in code whose `get` may write rows of other tables. */
export function withSiblingFills(definition: OriginDefinition): OriginDefinition {
  return {
    ...bound(definition),
    async get(id, context) {
      const { result, writes } = await inSourceCall(context, async () =>
        definition.get(id, context),
      );
      context.beside = writes;
      return result;
    },
  };
}

/** The methods of the definition, which may be those of an object with a state. */
function bound(definition: OriginDefinition): OriginDefinition {
  const { list, put, patch, delete: remove, subscribe, probe, close } = definition;
  const methods = { list, put, patch, delete: remove, subscribe, probe, close };
  const own = Object.entries(methods).flatMap(([name, method]) =>
    typeof method === 'function' ? [[name, method.bind(definition)] as const] : [],
  );
  return { ...definition, ...Object.fromEntries(own) } as OriginDefinition;
}

/** Runs a `get` which is told `context`; resolves with what it wrote beside its result. */
export async function inSourceCall<T>(
  context: object,
  get: () => Promise<T>,
): Promise<{ readonly result: T; readonly writes: readonly WriteOp[] }> {
  const { calls, newFillTerms } = threadScope();
  const commit = () => Promise.reject(new Error('a fetch is over: its writes come too late'));
  const told = context as Context;
  const call = new Call({ context: told, commit, may: () => true, fills: newFillTerms?.() });
  try {
    const result = await calls.run(call, get);
    return { result, writes: await call.transaction.taken() };
  } finally {
    // Whatever the code does later is not stored.
    call.transaction.abort();
  }
}

/** A row that a fetch brought along; `undefined` when what is held is newer. */
export function siblingOp(
  context: DraftContext,
  id: RecordId,
  record: JsonRecord,
  options: WriteOptions,
  { requestedAt, stamp, reader }: FillTerms,
): WriteOp | undefined {
  const { definition } = context;
  if (definition.sourcedFrom === undefined) return putOp(context, id, record, 'feed', options);
  const held = reader.withEntry(definition.name, id, '', (entry) => ({
    version: entry?.version ?? recordVersion(0),
    isNewer: (entry?.storedAt ?? 0) > requestedAt,
  }));
  if (held.isNewer) return undefined;
  return { ...putOp(context, id, record, 'fill', options), stamp, replaces: held.version };
}
