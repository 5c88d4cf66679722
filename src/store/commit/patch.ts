/**
 * Changing a part of a record. The merged record is checked by the schema's rules here, inside the
 * commit, since only here is it known what it is merged into. What was touched is remembered by
 * attribute, so that replicas which were patched apart can be merged.
 */
import type { RecordId, Sequence, TableName } from '../../base/brands.ts';
import { durationMs } from '../../base/brands.ts';
import { type Blobs, keptBlobs } from '../../cache/blobs.ts';
import { type EntryMeta, FOREVER, NEVER } from '../../cache/entry.ts';
import {
  isDeeperThan,
  type Merged,
  mergePatch,
  mergeTopLevel,
  parseObject,
  setOwn,
  storedRecord,
} from '../../cache/merge-record.ts';
import { mergingMeta, stateOfEntry } from '../../cache/row-entry.ts';
import { NO_ROW, ownOf, type RowState, type Stamp } from '../../cache/row-state.ts';
import { canRevive, patchRow, putRow } from '../../cache/row-write.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { EntryTimes, WriteOp, WriteOutcome } from '../../table/store-port.ts';
import { conditionHolds } from '../conditions.ts';
import { entityTagOf } from '../entity-tag.ts';
import type { EntryView } from '../entry-view.ts';
import type { TableInvalidations } from '../invalidations.ts';
import type { Batch } from './batch.ts';
import { cover, dropBeneath, goesBeneath, isLocal, sharedRow } from './local-rows.ts';
import { clientsRelay } from './others.ts';
import { outdate } from './outdate.ts';
import { instantFor, shareAnew } from './put.ts';
import {
  livingRecord,
  loggedBody,
  type Row,
  type RowDraft,
  readRow,
  recordOf,
  standingRecord,
  writeRow,
} from './rows.ts';

type PatchOp = Extract<WriteOp, { kind: 'patch' }>;

const NO_META: EntryMeta = {};
const HTTP_OK = 200;
/** A record made here never goes stale. */
const UNBOUNDED: EntryTimes = {
  freshUntil: FOREVER,
  staleWhileRevalidateUntil: NEVER,
  staleIfErrorUntil: NEVER,
  evictAt: FOREVER,
};

export function applyPatch(
  batch: Batch,
  op: PatchOp,
  invalidations: (table: TableName) => TableInvalidations,
): WriteOutcome {
  const row = readRow(batch, batch.table(op.table), op.id, '');
  const current = standingRecord(batch, row, invalidations);
  if (op.condition !== undefined && !conditionHolds(op.condition, current)) {
    return { kind: 'preconditionFailed', current: current?.entityTag };
  }
  if (current === undefined && !op.create) {
    if (op.reason === 'feed') outdate(batch, row);
    return { kind: 'absent' };
  }
  // What a local row holds does not travel with a patch: that is one of what lies beneath.
  const isOver = goesBeneath(row, op);
  const shared = isOver ? sharedRow(batch, row) : row;
  const patched = isOver ? standingRecord(batch, shared, invalidations) : current;
  return patchRecord(batch, row, op, { shared, current: patched });
}

interface Target {
  /** The row as it is merged into. */
  readonly shared: Row;
  readonly current: EntryView | undefined;
}

function patchRecord(
  batch: Batch,
  row: Row,
  op: PatchOp,
  { shared, current }: Target,
): WriteOutcome {
  const merged = merge(op, current);
  if (typeof merged === 'string') return { kind: 'invalid', problem: merged };
  const record = stamped(merged.record, row.table.definition, op, batch.now);
  const problem = wrongWith(batch, op, row.table.definition, record);
  if (problem !== undefined) return { kind: 'invalid', problem };
  const isAsLocal = shared === row && isLocal(row) === (op.isLocal === true);
  if (current !== undefined && isAsLocal && !isShared(batch, op) && isSame(current, merged)) {
    return unchanged(batch, current);
  }
  const known = { ...current?.meta.blobs, ...op.blobs };
  const kept = keptBlobs(row.table.definition, record, known);
  if (kept.kind === 'unknown') return { kind: 'invalid', problem: kept.problem };
  return store(batch, row, op, { shared, current, merged, record, blobs: kept.blobs });
}

/** The merged record, or what is wrong with one of the two parts. */
function merge(op: PatchOp, current: EntryView | undefined): Merged | string {
  const patch = parseObject(op.patch);
  if (patch === undefined) return 'the patch is no JSON object';
  const record = current === undefined ? {} : storedRecord(current);
  if (record === undefined) return notMergeable(current);
  if (op.format === 'merge') return mergeTopLevel(record, patch);
  if (isDeeperThan(patch, LIMITS.jsonDepthMax)) return 'the patch is nested too deeply';
  return mergePatch(record, patch);
}

const notMergeable = (current: EntryView | undefined): string =>
  `what is stored is ${current?.contentType ?? 'nothing'} and no JSON object, so nothing can be ` +
  'merged into it; PUT replaces it';

function stamped(
  record: Merged['record'],
  definition: TableDefinition,
  op: PatchOp,
  now: number,
): Merged['record'] {
  const { created, updated } = op.stampAttributes ?? {};
  const whole = { ...record };
  const { primaryKey } = definition;
  const isDeclared = definition.attributes.some((attribute) => attribute.name === primaryKey);
  if (isDeclared && whole[primaryKey] === undefined) whole[primaryKey] = op.id;
  if (created !== undefined) whole[created] ??= instantFor(definition, created, now);
  if (updated !== undefined) whole[updated] = instantFor(definition, updated, now);
  return whole;
}

function wrongWith(
  batch: Batch,
  op: PatchOp,
  definition: TableDefinition,
  record: Merged['record'],
): string | undefined {
  const key = record[definition.primaryKey];
  const isOther = (id: RecordId) => key !== undefined && String(key) !== String(id);
  const isDeclared = definition.attributes.some((attribute) => attribute.primaryKey);
  if (isDeclared && isOther(op.id)) {
    return `${definition.primaryKey} is the record's key and cannot be changed`;
  }
  return batch.parts.rules.checkRecord(op.table, record);
}

/** On other nodes an older write of something else may still be under way: this one is the last. */
const isShared = (batch: Batch, { table }: PatchOp): boolean =>
  batch.parts.replica?.hasRows(table) === true;

function isSame(current: EntryView, merged: Merged): boolean {
  return Buffer.compare(current.body, Buffer.from(JSON.stringify(merged.record))) === 0;
}

function unchanged(batch: Batch, current: EntryView): WriteOutcome {
  const { sequence } = batch.state;
  const { version, entityTag } = current;
  return { kind: 'stored', sequence, version, entityTag, created: false, unchanged: true };
}

interface Patched extends Target {
  /** As the patch made it, before the store's own attributes were set. */
  readonly merged: Merged;
  readonly record: Merged['record'];
  readonly blobs: Blobs | undefined;
}

function store(batch: Batch, row: Row, op: PatchOp, patched: Patched): WriteOutcome {
  const { table, id } = op;
  const { current, record, blobs } = patched;
  const version = batch.nextVersion();
  const { author } = batch.parts;
  const isOwn = op.isLocal === true;
  // In a cache the rest of the record is still what was written for this node alone.
  const isKept = isOwn || (row.table.sourced && isLocal(row));
  const state = isOwn ? undefined : stateAfter(batch, op, patched, { version, author });
  const body = state?.body instanceof Uint8Array ? state.body : Buffer.from(JSON.stringify(record));
  const entityTag = entityTagOf(body);
  const stood = recordOf(row);
  const before = stood === undefined ? null : loggedBody(stood);
  const indexed = batch.parts.rules.indexedValues(op.table, record);
  const merging = state && mergingMeta(state, { version, author });
  // The origin's validators described other bytes.
  const { contentType, groups, headers, variant } = current?.meta ?? NO_META;
  const meta = { contentType, groups, headers, variant, merging, indexed, blobs };
  const relay = clientsRelay(batch, op);
  const sequence = batch.append({ version, table, op: 'patch', id, before, after: body, relay });
  if (isOwn) cover(batch, row);
  writeRow(batch, row, {
    kind: 'record',
    status: current?.status ?? HTTP_OK,
    version,
    author,
    ...ageOf(batch, row, op, current, sequence),
    ...(op.times ?? timesOf(current)),
    mustValidate: current?.mustValidate ?? false,
    staleForbidden: current?.staleForbidden ?? false,
    entityTag,
    isLocal: isKept,
    meta,
    body,
  });
  if (!isOwn) dropBeneath(batch, row);
  if (op.reason === 'client' && !isKept) shareAnew(batch, op, version);
  const created = current === undefined;
  return { kind: 'stored', sequence, version, entityTag, created, unchanged: false };
}

/** The state of the row after the patch; a new record is put where it cannot be revived. */
function stateAfter(
  batch: Batch,
  op: PatchOp,
  { shared, current, merged, record }: Patched,
  stamp: Stamp,
): RowState {
  const times = { storedAt: batch.now, ...(op.times ?? timesOf(current)) };
  const before = current === undefined ? remainsOf(batch, shared) : stateOfEntry(current);
  if (before === undefined || (current === undefined && !canRevive(before))) {
    return putRow(stamp, { body: Buffer.from(JSON.stringify(record)), times });
  }
  const set: Record<string, unknown> = {};
  const touched = new Set([...merged.touched, ...namesSetByStore(merged.record, record)]);
  for (const name of touched) {
    if (ownOf(merged.added, name) === undefined) setOwn(set, name, ownOf(record, name));
  }
  const isRenewed = op.times !== undefined || current === undefined;
  return patchRow(before, stamp, {
    ...{ set, added: merged.added },
    ...(isRenewed && { times }),
  });
}

/** Key, time of creation, time of update. */
const namesSetByStore = (merged: Merged['record'], record: Merged['record']): string[] =>
  Object.keys(record).filter((name) => ownOf(merged, name) !== ownOf(record, name));

/**
 * What a new record is made upon: a tombstone, or nothing. What has expired counts as removed;
 * `undefined` when something stands there that was not to be merged into.
 */
function remainsOf(batch: Batch, row: Row): RowState | undefined {
  if (row.table.sourced) return undefined;
  if (row.entry === undefined) return NO_ROW;
  if (row.entry.kind === 'tombstone') return stateOfEntry(row.entry);
  return livingRecord(batch, row) === undefined ? NO_ROW : undefined;
}

/**
 * A patch renews only what it names: in a cache the rest is as old as the reply it came in, and as
 * invalidated, unless the writer says how long the whole is good.
 */
function ageOf(
  batch: Batch,
  row: Row,
  op: PatchOp,
  current: EntryView | undefined,
  sequence: Sequence,
): Pick<RowDraft, 'stamp' | 'storedAt' | 'initialAge'> {
  if (row.table.sourced && current !== undefined && op.times === undefined) {
    const { stamp, storedAt, initialAge } = current;
    return { stamp, storedAt, initialAge };
  }
  return { stamp: sequence, storedAt: batch.now, initialAge: durationMs(0) };
}

function timesOf(current: EntryView | undefined): EntryTimes {
  if (current === undefined) return UNBOUNDED;
  const { freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil, evictAt } = current;
  return { freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil, evictAt };
}
