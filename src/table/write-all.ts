/**
 * Many records in one write: all of them are stored, or none. Each is drafted and checked like a
 * single one; what is wrong names its row (counted from 1) and attribute, and then nothing was
 * written. A table whose origin decides on writes takes no lists: an origin cannot be rolled back.
 */
import type { DeltaSeconds, RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { LIMITS } from '../config/limits.ts';
import { formatRecordId } from '../schema/key.ts';
import { judgedRow, type WriteGuard } from './guarded-write.ts';
import { type DraftContext, type JsonRecord, patchOp, putOp } from './record-draft.ts';
import { recordIdFrom } from './record-key.ts';
import { succeeded, type WriteCondition, type WriteOp, type WriteOutcome } from './store-port.ts';
import type { Table } from './table.ts';

/** `create`: as `put`, with a generated key where there is none, and only where no record is. */
export type WriteAllVerb = 'put' | 'patch' | 'create';

export interface WriteAllOptions {
  /** Judges each record for a writer who may not write everything. */
  readonly guard?: WriteGuard | undefined;
  readonly condition?: WriteCondition | undefined;
  readonly maxAge?: DeltaSeconds | undefined;
  /** No other node is to see them. */
  readonly isLocal?: boolean | undefined;
}

export interface AllWritten {
  readonly kind: 'written';
  readonly ids: readonly RecordId[];
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
}

/** Nothing was written, because of this row. */
export interface RowRefused {
  readonly kind: 'refused';
  readonly row: number;
  readonly id: RecordId;
  readonly outcome: WriteOutcome;
}

/**
 * Rejects with `RECORD_INVALID`, `KEY_INVALID`, `STORE_FULL` or `WRITE_QUEUE_FULL`; a failed
 * precondition, or a patch of what is not there, is an outcome.
 */
export async function writeAll(
  table: Table,
  verb: WriteAllVerb,
  records: readonly JsonRecord[],
  options: WriteAllOptions = {},
): Promise<AllWritten | RowRefused> {
  takesLists(table);
  const { guard, condition = {} } = options;
  const hasOwnTerms = verb === 'create' || Object.keys(condition).length > 0;
  // The only condition is then the guard's: it failed when another writer came between.
  const triesMax = guard === undefined || hasOwnTerms ? 1 : LIMITS.guardedWriteTriesMax;
  for (let tries = 1; ; tries += 1) {
    const written = await writeOnce(table, verb, records, options);
    const isRaced = written.kind === 'refused' && written.outcome.kind === 'preconditionFailed';
    if (!isRaced || tries >= triesMax) return written;
  }
}

async function writeOnce(
  table: Table,
  verb: WriteAllVerb,
  records: readonly JsonRecord[],
  options: WriteAllOptions,
): Promise<AllWritten | RowRefused> {
  const context = table.draftContext();
  const seen = new Set<RecordId>();
  const ids: RecordId[] = [];
  const ops: WriteOp[] = [];
  for (const [index, record] of records.entries()) {
    try {
      const { id, op } = await draftRow(table, context, verb, record, options);
      if (options.guard !== undefined && seen.has(id)) throw twice(table, id);
      seen.add(id);
      ids.push(id);
      ops.push(op);
    } catch (error) {
      throw rowError(index + 1, error);
    }
  }
  if (ops.length === 0) return { kind: 'written', ids, created: 0, updated: 0, unchanged: 0 };
  return counted(table, ids, await table.commitAll(ops));
}

/** A row's key, and the write which stores it. */
export interface DraftedRow {
  readonly id: RecordId;
  readonly op: WriteOp;
}

/**
 * The write of one row; throws (or rejects with) `RECORD_INVALID` or `KEY_INVALID`. A promise only
 * when a key must be made or a guard asked: an upload of many rows is not to wait for each of them.
 */
export function draftRow(
  table: Table,
  context: DraftContext,
  verb: WriteAllVerb,
  record: JsonRecord,
  options: WriteAllOptions,
): DraftedRow | Promise<DraftedRow> {
  const draft = (id: RecordId) =>
    options.guard === undefined
      ? { id, op: opOf(context, verb, id, record, options) }
      : guardedRow(table, context, verb, id, record, { ...options, guard: options.guard });
  const key = keyOf(table, verb, record);
  return key instanceof Promise ? key.then(draft) : draft(key);
}

/** The same for who may write some records only: what stands there is looked at first. */
async function guardedRow(
  table: Table,
  context: DraftContext,
  verb: WriteAllVerb,
  id: RecordId,
  record: JsonRecord,
  options: WriteAllOptions & { readonly guard: NonNullable<WriteAllOptions['guard']> },
): Promise<DraftedRow> {
  const judged = await judgedRow(table, options.guard, verb, id, record, options.condition);
  const { condition } = judged;
  return { id, op: opOf(context, verb, id, judged.record, { ...options, condition }) };
}

/** What the second one would replace is not there before the first is written. */
function twice({ definition: { typeName } }: Table, id: RecordId): NodeError {
  const message =
    `${typeName}/${formatRecordId(id)} stands twice in the list; who may write some of the ` +
    'records only, sends each of them once';
  return new NodeError('RECORD_INVALID', message, { blame: 'client' });
}

function keyOf(table: Table, verb: WriteAllVerb, record: JsonRecord): RecordId | Promise<RecordId> {
  const { definition } = table;
  const given = record[definition.primaryKey];
  if (given !== undefined && given !== null) return recordIdFrom(definition, given);
  if (verb === 'create') return table.freeId();
  const problem = `${definition.primaryKey}: each record of a list brings its key; POST makes keys`;
  throw new NodeError('RECORD_INVALID', `${definition.typeName}: ${problem}`, {
    blame: 'client',
    details: { table: definition.typeName, attribute: definition.primaryKey },
  });
}

function opOf(
  context: DraftContext,
  verb: WriteAllVerb,
  id: RecordId,
  record: JsonRecord,
  options: WriteAllOptions,
): WriteOp {
  if (verb === 'patch') return patchOp(context, id, record, 'merge', 'client', options);
  if (verb === 'put') return putOp(context, id, record, 'client', options);
  return putOp(context, id, record, 'client', { ...options, condition: { ifNoneMatch: '*' } });
}

function counted(
  table: Table,
  ids: readonly RecordId[],
  outcomes: readonly WriteOutcome[],
): AllWritten | RowRefused {
  const counts = { created: 0, updated: 0, unchanged: 0 };
  for (const [index, outcome] of outcomes.entries()) {
    const row = index + 1;
    const problem = rowProblem(table, row, outcome);
    if (problem !== undefined) throw problem;
    if (!succeeded(outcome)) return { kind: 'refused', row, id: ids[index] ?? '', outcome };
    if (outcome.kind !== 'stored') continue;
    if (outcome.created) counts.created += 1;
    else if (outcome.unchanged) counts.unchanged += 1;
    else counts.updated += 1;
  }
  return { kind: 'written', ids, ...counts };
}

/** What no condition of the write can answer for: a broken record, or want of room. */
export function rowProblem(table: Table, row: number, outcome: WriteOutcome): unknown {
  const { typeName } = table.definition;
  if (outcome.kind === 'invalid') {
    const message = `${typeName}: ${outcome.problem}`;
    return rowError(row, new NodeError('RECORD_INVALID', message, { blame: 'client' }));
  }
  if (outcome.kind !== 'shed') return undefined;
  const message = `${typeName} was not written: the node has no room for it at the moment`;
  return new NodeError(outcome.code, message, { retry: 'later' });
}

/** The error of one record, with its row; nothing else is wrong with the others. */
export function rowError(row: number, error: unknown): unknown {
  if (!(error instanceof NodeError)) return error;
  const { code, message, blame, retry, details } = error;
  const whole = `row ${row}: ${message}; nothing was written`;
  return new NodeError(code, whole, { blame, retry, cause: error, details: { ...details, row } });
}

/** Throws `METHOD_NOT_ALLOWED` for a table which is written through its origin. */
export function takesLists({ writesThrough, definition: { typeName } }: Table): void {
  if (!writesThrough) return;
  const message =
    `${typeName} is written through its origin, which cannot take a list back when a part of it ` +
    'fails; send the records one by one';
  throw new NodeError('METHOD_NOT_ALLOWED', message, { blame: 'client' });
}
