/**
 * Changing a part of a record. The merged record is checked by the schema's rules here, inside the
 * commit, since only here is it known what it is merged into. What was touched is remembered by
 * attribute, so that replicas which were patched apart can be merged.
 */
import type { RecordId, RecordVersion, Sequence, TableName } from '../../base/brands.ts';
import { durationMs } from '../../base/brands.ts';
import { type Blobs, keptBlobs } from '../../cache/blobs.ts';
import { type EntryMeta, FOREVER, NEVER } from '../../cache/entry.ts';
import {
  isDeeperThan,
  type Merged,
  mergePatch,
  mergeTopLevel,
  parseObject,
  storedRecord,
} from '../../cache/merge-record.ts';
import { LIMITS } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { EntryTimes, WriteOp, WriteOutcome } from '../../table/store-port.ts';
import { conditionHolds } from '../conditions.ts';
import { entityTagOf } from '../entity-tag.ts';
import type { EntryView } from '../entry-view.ts';
import type { TableInvalidations } from '../invalidations.ts';
import type { Batch } from './batch.ts';
import { outdate } from './outdate.ts';
import { instantFor } from './put.ts';
import {
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
  const merged = merge(op, current);
  if (typeof merged === 'string') return { kind: 'invalid', problem: merged };
  const record = stamped(merged.record, row.table.definition, op, batch.now);
  const problem = wrongWith(batch, op, row.table.definition, record);
  if (problem !== undefined) return { kind: 'invalid', problem };
  if (current !== undefined && isSame(current, merged)) return unchanged(batch, current);
  const known = { ...current?.meta.blobs, ...op.blobs };
  const kept = keptBlobs(row.table.definition, record, known);
  if (kept.kind === 'unknown') return { kind: 'invalid', problem: kept.problem };
  return store(batch, row, op, { current, merged: { ...merged, record }, blobs: kept.blobs });
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

function isSame(current: EntryView, merged: Merged): boolean {
  return Buffer.compare(current.body, Buffer.from(JSON.stringify(merged.record))) === 0;
}

function unchanged(batch: Batch, current: EntryView): WriteOutcome {
  const { sequence } = batch.state;
  const { version, entityTag } = current;
  return { kind: 'stored', sequence, version, entityTag, created: false, unchanged: true };
}

interface Patched {
  readonly current: EntryView | undefined;
  readonly merged: Merged;
  readonly blobs: Blobs | undefined;
}

function store(
  batch: Batch,
  row: Row,
  op: PatchOp,
  { current, merged, blobs }: Patched,
): WriteOutcome {
  const { table, id } = op;
  const version = batch.nextVersion();
  const body = Buffer.from(JSON.stringify(merged.record));
  const entityTag = entityTagOf(body);
  const stood = recordOf(row);
  const before = stood === undefined ? null : loggedBody(stood);
  const meta = { ...patchedMeta(batch, op, current?.meta ?? NO_META, merged, version), blobs };
  const sequence = batch.append({ version, table, op: 'patch', id, before, after: body });
  writeRow(batch, row, {
    kind: 'record',
    status: current?.status ?? HTTP_OK,
    version,
    author: batch.parts.author,
    ...ageOf(batch, row, op, current, sequence),
    ...(op.times ?? timesOf(current)),
    mustValidate: current?.mustValidate ?? false,
    staleForbidden: current?.staleForbidden ?? false,
    entityTag,
    meta,
    body,
  });
  const created = current === undefined;
  return { kind: 'stored', sequence, version, entityTag, created, unchanged: false };
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

function patchedMeta(
  batch: Batch,
  op: PatchOp,
  old: EntryMeta,
  merged: Merged,
  version: RecordVersion,
): EntryMeta {
  const fields: Record<string, RecordVersion> = { ...old.fields };
  for (const name of merged.touched) fields[name] = version;
  const counters: Record<string, Record<string, number>> = {};
  for (const [name, sums] of Object.entries(old.counters ?? {})) counters[name] = { ...sums };
  const author = String(batch.parts.author);
  for (const name of merged.touched) {
    const amount = merged.added[name];
    // A plain value set over a counter ends its sums: they were added to something else.
    if (amount === undefined) delete counters[name];
    else counters[name] = { ...counters[name], [author]: (counters[name]?.[author] ?? 0) + amount };
  }
  const indexed = batch.parts.rules.indexedValues(op.table, merged.record);
  // The origin's validators described other bytes.
  const { contentType, groups, headers, variant } = old;
  const hasCounters = Object.keys(counters).length > 0;
  return {
    contentType,
    groups,
    headers,
    variant,
    fields,
    indexed,
    ...(hasCounters && { counters }),
  };
}
