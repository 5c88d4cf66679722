/**
 * From an origin's live events to operations of the store. Events of one transaction become
 * operations of one commit. An event that the schema refuses is reported, and what it was about is
 * stale from then on: one bad row must not stop a feed, nor be vouched for by it.
 */
import { deltaSeconds, type RecordId, type TableName } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import {
  type DraftContext,
  type JsonRecord,
  patchOp,
  putOp,
  type WriteOptions,
} from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import type { WriteOp, WriteOutcome } from './store-port.ts';
import type { Table } from './table.ts';

/** One live change as an origin tells it; the origin layer's events have this shape. */
export interface LiveWrite {
  readonly type: 'put' | 'patch' | 'invalidate' | 'delete' | 'message';
  /** Only an `invalidate` may leave it out: then it concerns the group, or else the whole table. */
  readonly id?: RecordId | undefined;
  readonly group?: string | undefined;
  readonly soft?: boolean | undefined;
  readonly table?: string | undefined;
  readonly value?: unknown;
  /** Of a `put`: seconds for which it is fresh, instead of the policy's default. */
  readonly maxAge?: number | undefined;
}

export interface LiveTransaction {
  readonly type: 'transaction';
  readonly writes: readonly LiveWrite[];
}

export type LiveEvent = LiveWrite | LiveTransaction;

export interface FeedTarget {
  /** The table an event names, or the feed's own. */
  table(name: string | undefined): Table | undefined;
  readonly onRefused: (id: RecordId | undefined, error: NodeError) => void;
}

const decoder = new TextDecoder();

/** The operations of one event, in order; those of a transaction are to be committed together. */
export function feedOps(event: LiveEvent, target: FeedTarget): readonly WriteOp[] {
  const writes = event.type === 'transaction' ? event.writes : [event];
  const ops: WriteOp[] = [];
  for (const write of writes) {
    try {
      ops.push(liveOp(write, target));
    } catch (error) {
      target.onRefused(write.id, asNodeError(error));
      ops.push(...outdatedBy(write, target));
    }
  }
  return ops;
}

/** What was held of the record that a refused event is about may be wrong. */
function outdatedBy(write: LiveWrite, target: FeedTarget): readonly WriteOp[] {
  const table = target.table(write.table);
  if (table?.definition.sourcedFrom === undefined) return [];
  try {
    return [staleOp(table.name, liveId(table.draftContext(), write.id))];
  } catch {
    // Not even its key makes sense.
    return [];
  }
}

/** Operations that follow those which the store found to break the schema. */
export function followUps(
  ops: readonly WriteOp[],
  outcomes: readonly WriteOutcome[],
  target: FeedTarget,
): readonly WriteOp[] {
  return ops.flatMap((op, at) => {
    const outcome = outcomes[at];
    if (outcome?.kind !== 'invalid' || op.kind !== 'patch') return [];
    target.onRefused(op.id, new NodeError('RECORD_INVALID', outcome.problem, { blame: 'origin' }));
    const isCache = target.table(op.table)?.definition.sourcedFrom !== undefined;
    return isCache ? [staleOp(op.table, op.id)] : [];
  });
}

const staleOp = (table: TableName, id: RecordId): WriteOp => ({
  kind: 'invalidate',
  table,
  scope: { kind: 'key', id },
  soft: true,
  reason: 'invalidate',
});

function liveOp(write: LiveWrite, target: FeedTarget): WriteOp {
  const table = target.table(write.table);
  if (table === undefined) {
    throw new NodeError(
      'TABLE_UNKNOWN',
      `the feed names a table ${write.table} which there is not`,
      {
        blame: 'origin',
      },
    );
  }
  if (write.type === 'invalidate') return invalidateOp(table, write);
  const context = table.draftContext();
  const id = liveId(context, write.id);
  const place = { table: table.name, id };
  switch (write.type) {
    case 'put':
      return putOp(context, id, liveRecord(write.value), 'feed', maxAgeOf(write));
    case 'patch':
      return patchOp(context, id, liveRecord(write.value), 'merge', 'feed', {});
    case 'delete':
      return { kind: 'delete', ...place, reason: 'feed' };
    case 'message':
      return {
        kind: 'message',
        ...place,
        body: Buffer.from(JSON.stringify(write.value ?? null)),
      };
  }
}

function invalidateOp(table: Table, { id, group, soft = false }: LiveWrite): WriteOp {
  const scope =
    id !== undefined
      ? ({ kind: 'key', id: liveId(table.draftContext(), id) } as const)
      : group !== undefined
        ? ({ kind: 'group', group } as const)
        : ({ kind: 'table' } as const);
  return { kind: 'invalidate', table: table.name, scope, soft, reason: 'invalidate' };
}

function maxAgeOf({ maxAge }: LiveWrite): WriteOptions {
  return maxAge === undefined || !(maxAge >= 0) ? {} : { maxAge: deltaSeconds(maxAge) };
}

/** A feed may spell a numeric key as text. */
function liveId(context: DraftContext, id: unknown): RecordId {
  const { definition } = context;
  const numeric = definition.primaryKeyType === 'number' && typeof id === 'string';
  return recordIdFrom(definition, numeric ? Number(id) : id);
}

function liveRecord(value: unknown): JsonRecord {
  const record = value instanceof Uint8Array ? JSON.parse(decoder.decode(value)) : value;
  if (typeof record === 'object' && record !== null && !Array.isArray(record)) {
    return record as JsonRecord;
  }
  throw new NodeError('ORIGIN_BODY_INVALID', 'the value of a feed event is not a JSON object', {
    blame: 'origin',
  });
}
