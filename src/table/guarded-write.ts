/**
 * Writes of somebody who may not write everything: the record as it is held and the record as it
 * would be are both judged, and the write succeeds only over what was judged; when another one came
 * between, it is judged anew. So no race lies between looking and writing, and what the writer may
 * not touch is kept as it stands.
 *
 *   held ─► preconditions ─► guard ─► write, if the record is as it was held ─┬─ it was ─► outcome
 *     ▲                                                                       └─ it was not ─┐
 *     └────────────────────── bounded number of tries ──────────────────────────────────────┘
 */
import type { EntityTag, EpochMs, RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { mergePatch, mergeTopLevel } from '../cache/merge-record.ts';
import { LIMITS } from '../config/limits.ts';
import type { Row } from './query/query.ts';
import type { JsonRecord, WriteOptions } from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import type { RecordFacts } from './seen-record.ts';
import type { WriteCondition, WriteOutcome } from './store-port.ts';
import type { Table } from './table.ts';
import { preconditionHolds } from './write-precondition.ts';

export interface HeldRecord extends RecordFacts {
  readonly lastModified: EpochMs;
}

export type PatchFormat = 'merge' | 'merge-patch';

/** Decides about the writes of one principal to one table; each throws `ACCESS_DENIED`. */
export interface WriteGuard {
  /** The record to store in place of `before`: what was sent, and what may not be touched. */
  put(id: RecordId, before: Row | undefined, sent: JsonRecord): JsonRecord;
  /** `named`: the attributes that the patch sets. */
  patch(id: RecordId, before: Row | undefined, named: readonly string[], after: Row): void;
  /** False: the writer does not know of the record. */
  delete(id: RecordId, before: Row): boolean;
  /** Of what has no attributes. */
  putBytes(id: RecordId, before: Row | undefined): void;
  /** By what tag the writer knows the record; `undefined` when they do not see it. */
  tagOf(held: HeldRecord): EntityTag | undefined;
}

type Write = (condition: WriteCondition) => Promise<WriteOutcome>;
type Judge = (held: HeldRecord | undefined) => Write | WriteOutcome;

/** Rejects as `Table.put` does, with `ACCESS_DENIED`, and `WRITE_QUEUE_FULL` after many races. */
export function guardedPut(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  record: JsonRecord,
  options: WriteOptions = {},
): Promise<WriteOutcome> {
  return guarded(table, guard, id, options, (held) => {
    const stored = guard.put(id, held?.row, record);
    return (condition) => table.put(id, stored, { ...options, condition });
  });
}

export function guardedPatch(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  patch: JsonRecord,
  format: PatchFormat,
  options: WriteOptions = {},
): Promise<WriteOutcome> {
  return guarded(table, guard, id, options, (held) => {
    judgePatch(table, guard, id, held?.row, patch, format);
    return (condition) => table.patch(id, patch, format, { ...options, condition });
  });
}

export function guardedDelete(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  options: WriteOptions = {},
): Promise<WriteOutcome> {
  return guarded(table, guard, id, options, (held) => {
    if (held === undefined || !guard.delete(id, held.row)) return { kind: 'absent' };
    return (condition) => table.delete(id, { ...options, condition });
  });
}

/** As `Table.create`; the key of the new record must be covered too. */
export async function guardedCreate(
  table: Table,
  guard: WriteGuard,
  record: JsonRecord,
  options: WriteOptions = {},
): Promise<{ readonly id: RecordId; readonly outcome: WriteOutcome }> {
  const { primaryKey } = table.definition;
  const given = record[primaryKey];
  const isGiven = given !== undefined && given !== null;
  const id = isGiven ? recordIdFrom(table.definition, given) : await table.freeId();
  const inserted = guard.put(id, undefined, record);
  const { outcome } = await table.create({ ...inserted, [primaryKey]: id }, options);
  return { id, outcome };
}

/** The condition under which a record may be deleted; `absent` when the writer knows of none. */
export async function judgedDelete(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
): Promise<WriteCondition | 'absent'> {
  const held = await table.held(id);
  return held !== undefined && guard.delete(id, held.row) ? asHeld(held) : 'absent';
}

/**
 * The condition under which an attribute of a record may be set by an upload: the record is as it
 * was judged. Throws `ACCESS_DENIED`.
 */
export async function judgedUpload(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  attribute: string,
  asked: WriteCondition,
): Promise<WriteCondition> {
  const held = await table.held(id);
  if (!preconditionHolds(asked, currentOf(guard, held))) return NEVER;
  guard.patch(id, held?.row, [attribute], held?.row ?? { [table.definition.primaryKey]: id });
  return asHeld(held);
}

/** What one row of a list is to be written as, and over what. Throws `ACCESS_DENIED`. */
export async function judgedRow(
  table: Table,
  guard: WriteGuard,
  verb: 'put' | 'patch' | 'create',
  id: RecordId,
  record: JsonRecord,
  asked: WriteCondition | undefined,
): Promise<{ readonly record: JsonRecord; readonly condition: WriteCondition }> {
  const held = await table.held(id);
  const current = currentOf(guard, held);
  if (asked !== undefined && !preconditionHolds(asked, current)) {
    // It must not hold over what the writer does not see either: nothing was judged.
    return { record, condition: NEVER };
  }
  const before = verb === 'create' ? undefined : held?.row;
  if (verb === 'patch') judgePatch(table, guard, id, before, record, 'merge');
  const stored = verb === 'patch' ? record : guard.put(id, before, record);
  return { record: stored, condition: asHeld(verb === 'create' ? undefined : held) };
}

function judgePatch(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  before: Row | undefined,
  patch: JsonRecord,
  format: PatchFormat,
): void {
  const base = before ?? { [table.definition.primaryKey]: id };
  const merged = format === 'merge' ? mergeTopLevel(base, patch) : mergePatch(base, patch);
  guard.patch(id, before, Object.keys(patch), merged.record);
}

async function guarded(
  table: Table,
  guard: WriteGuard,
  id: RecordId,
  { condition }: WriteOptions,
  judge: Judge,
): Promise<WriteOutcome> {
  for (let tries = 0; tries < LIMITS.guardedWriteTriesMax; tries += 1) {
    const held = await table.held(id);
    const current = currentOf(guard, held);
    if (condition !== undefined && !preconditionHolds(condition, current)) {
      return { kind: 'preconditionFailed', current: current?.entityTag };
    }
    const judged = judge(held);
    if (typeof judged !== 'function') return judged;
    const outcome = await judged(asHeld(held));
    if (outcome.kind !== 'preconditionFailed') return outcome;
  }
  throw contended(table, id);
}

/** Holds over no record, and over none. */
const NEVER: WriteCondition = { ifMatch: [] };

/** The record as the writer knows it, for preconditions. */
function currentOf(guard: WriteGuard, held: HeldRecord | undefined) {
  const entityTag = held && guard.tagOf(held);
  if (held === undefined || entityTag === undefined) return undefined;
  return { entityTag, lastModified: held.lastModified };
}

const asHeld = (held: HeldRecord | undefined): WriteCondition =>
  held === undefined ? { ifNoneMatch: '*' } : { ifMatch: [held.entityTag] };

function contended({ definition }: Table, id: RecordId): NodeError {
  const message =
    `${definition.typeName}/${String(id)} was changed by others ${LIMITS.guardedWriteTriesMax} ` +
    'times while it was written; nothing of this write was stored, send it again';
  return new NodeError('WRITE_QUEUE_FULL', message, { retry: 'now' });
}
