/**
 * From record to page, inside the commit: what was made from a record becomes stale in the
 * transaction which changes the record, and what is stored was compared with the records it names.
 * So a page is never fresh beside a newer record, and no purge is ever sent for it.
 */
import { type EpochMs, epochMs, type TableName } from '../../base/brands.ts';
import { versionTime } from '../../base/hlc.ts';
import { checkRecordId, isKeyProblem } from '../../schema/key.ts';
import { parseRecordGroup, recordGroup } from '../../table/record-groups.ts';
import type { Change, EntryTimes } from '../../table/store-port.ts';
import type { TableInvalidations } from '../invalidations.ts';
import { newsOf } from '../named-versions.ts';
import type { TableTrees } from '../tables.ts';
import type { Batch } from './batch.ts';
import { evictRecord } from './others.ts';
import type { PutOp } from './put.ts';
import { readRow } from './rows.ts';

type InvalidationsOf = (table: TableName) => TableInvalidations;

/** Makes stale what was made from the records that have changed in the batch since `from`. */
export function outdateReaders(batch: Batch, from: number): void {
  // Those which this adds say only that readers became stale.
  const until = batch.changes.length;
  for (let at = from; at < until; at += 1) {
    const change = batch.changes[at];
    if (change === undefined || change.op === 'message') continue;
    if (change.relay?.isQuiet === true) continue;
    const table = batch.table(change.table);
    if (batch.parts.interest.changed(table, change.version, change.sequence)) {
      outdateReadersOf(batch, table, change);
    }
  }
}

function outdateReadersOf(batch: Batch, table: TableTrees, change: Change): void {
  const { interest } = batch.parts;
  const type = table.definition.typeName;
  for (const reader of interest.readers(type)) {
    // Which records were meant by an invalidation of many is not known: all that may name them.
    if (change.id === undefined) {
      if (reader === table) continue;
      bump(batch, reader, { kind: 'table' }, change);
      tellFollowers(batch, reader);
      continue;
    }
    const groups = [recordGroup(type, change.id), type].filter((group) =>
      interest.mayName(reader, group),
    );
    for (const group of groups) bump(batch, reader, { kind: 'group', group }, change);
    if (groups.length > 0) tellFollowers(batch, reader);
  }
}

/** Who shows a page that became stale is to hear of it. */
function tellFollowers(batch: Batch, { definition, name }: TableTrees): void {
  if (definition.pages === undefined) return;
  batch.append({ version: batch.nextVersion(), table: name, op: 'invalidate', id: undefined });
}

function bump(
  batch: Batch,
  reader: TableTrees,
  scope: { readonly kind: 'table' } | { readonly kind: 'group'; readonly group: string },
  change: Change,
): void {
  const { scopes } = batch.parts;
  for (const { table, id } of scopes.fold(batch.now)) evictRecord(batch, table, id, 'scope');
  scopes.bump(reader, scope, true, change.sequence, batch.now);
}

/**
 * The operation as it is to be stored: when it was made from a record that has changed since, its
 * freshness is over since then, and both stale windows count from then. So it is stale to whoever
 * came after the change, though that was before this commit.
 */
export function comparedWithRecords(
  batch: Batch,
  op: PutOp,
  invalidations: InvalidationsOf,
): PutOp {
  const { groups } = op.meta;
  if (groups === undefined || op.times.freshUntil <= batch.now) return op;
  const since = groups.map((group) => outdatedSince(batch, op, group, invalidations));
  const known = since.filter((at) => at !== undefined);
  if (known.length === 0) return op;
  return { ...op, times: staleSince(op.times, epochMs(Math.min(batch.now, ...known))) };
}

/** When the record changed; `undefined` when it did not. */
function outdatedSince(
  batch: Batch,
  op: PutOp,
  group: string,
  invalidations: InvalidationsOf,
): EpochMs | undefined {
  const named = parseRecordGroup(group);
  const source = named && batch.parts.interest.source(named.table);
  // What an upper node calls its copy of this very row is no record of this node.
  if (source?.name === op.table) return undefined;
  if (named === undefined || source === undefined) return undefined;
  const id = named.id === undefined ? '' : checkRecordId(source.definition, named.id);
  if (isKeyProblem(id)) return undefined;
  const { stamp } = op;
  if (stamp !== undefined && invalidations(source.name).newest(id) > stamp) return batch.now;
  const { interest } = batch.parts;
  if (named.version === undefined) {
    // Without a version only the time is known: anything since may have been the record.
    return stamp !== undefined && interest.newestSequence(source) > stamp ? batch.now : undefined;
  }
  const newest =
    named.id === undefined
      ? interest.newestVersion(source)
      : newsOf(readRow(batch, source, id, '').entry, named.version);
  return newest > named.version ? versionTime(newest) : undefined;
}

function staleSince(times: EntryTimes, at: EpochMs): EntryTimes {
  const moved = (until: EpochMs): EpochMs =>
    until <= times.freshUntil ? until : epochMs(at + (until - times.freshUntil));
  return {
    freshUntil: at,
    staleWhileRevalidateUntil: moved(times.staleWhileRevalidateUntil),
    staleIfErrorUntil: moved(times.staleIfErrorUntil),
    evictAt: times.evictAt,
  };
}
