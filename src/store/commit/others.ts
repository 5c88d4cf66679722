/**
 * The smaller writes: a client's delete, an invalidation, a message, an eviction asked for.
 */
import { epochMs, type RecordId, type TableName } from '../../base/brands.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Publication, Relay, WriteOp, WriteOutcome } from '../../table/store-port.ts';
import { conditionHolds } from '../conditions.ts';
import { HIGH, type Key } from '../engine.ts';
import { entityTagOf } from '../entity-tag.ts';
import type { EntryView } from '../entry-view.ts';
import type { TableInvalidations } from '../invalidations.ts';
import { elementsOf, entryKey, isBeneath } from '../keys.ts';
import type { TableTrees } from '../tables.ts';
import type { Batch, EvictionReason } from './batch.ts';
import { dropBeneath, goesBeneath, isLocal, LOCAL, sharedRow, uncover } from './local-rows.ts';
import { outdate, tombstone } from './outdate.ts';
import {
  livingRecord,
  loggedBody,
  type Row,
  readRow,
  removeRow,
  rowAt,
  standingRecord,
  writeRow,
} from './rows.ts';

type OpOf<Kind extends WriteOp['kind']> = Extract<WriteOp, { kind: Kind }>;
type ClientsOp = OpOf<'put' | 'patch' | 'delete'>;

export function applyDelete(
  batch: Batch,
  op: OpOf<'delete'>,
  invalidations: (table: TableName) => TableInvalidations,
): WriteOutcome {
  const table = batch.table(op.table);
  const row = readRow(batch, table, op.id, '');
  const current = standingRecord(batch, row, invalidations);
  if (op.condition !== undefined && !conditionHolds(op.condition, current)) {
    return { kind: 'preconditionFailed', current: current?.entityTag };
  }
  if (op.isLocal === true) return deleteLocal(batch, row, current);
  evictVariants(batch, table, op.id, 'asked');
  // What was invalidated goes too: subscribers may still show it.
  const removed = livingRecord(batch, row);
  if (removed === undefined) {
    if (op.reason === 'feed') outdate(batch, row);
    return { kind: 'absent' };
  }
  if (goesBeneath(row, op) && livingRecord(batch, sharedRow(batch, row)) === undefined) {
    return deleteLocal(batch, row, removed);
  }
  const version = batch.nextVersion();
  const before = loggedBody(removed);
  const { id, table: name } = op;
  const publication = publicationOf(op);
  const relay = clientsRelay(batch, op);
  const sequence = batch.append({
    ...{ version, table: name, op: 'delete', id, before, publication, relay },
  });
  const evictAt = epochMs(batch.now + LIMITS.tombstoneRetentionMs);
  writeRow(batch, row, { ...tombstone(batch), version, stamp: sequence, evictAt });
  dropBeneath(batch, row);
  return { kind: 'deleted', sequence };
}

/** Other nodes have nothing to delete: what they share stays, and is seen again. */
function deleteLocal(batch: Batch, row: Row, current: EntryView | undefined): WriteOutcome {
  if (!isLocal(row) || current === undefined) return { kind: 'absent' };
  return { kind: 'deleted', sequence: uncover(batch, row) };
}

/** Marks a client's write to a cache for other nodes, which hold no rows of it. */
export const clientsRelay = (
  batch: Batch,
  { table, reason, isLocal: isOwn }: Pick<ClientsOp, 'table' | 'reason' | 'isLocal'>,
): Relay | undefined => {
  if (isOwn === true) return LOCAL;
  return batch.parts.replica && reason === 'client' && !batch.parts.replica.hasRows(table)
    ? { isClients: true }
    : undefined;
};

export function applyInvalidate(batch: Batch, op: OpOf<'invalidate'>): WriteOutcome {
  const table = batch.table(op.table);
  const { scopes } = batch.parts;
  for (const { table: held, id } of scopes.fold(batch.now)) {
    evictRecord(batch, held, id, 'scope');
  }
  const version = batch.nextVersion();
  const id = op.scope.kind === 'key' ? op.scope.id : undefined;
  const { soft, scope, reason } = op;
  const relay = batch.parts.replica && { scope, soft, reason };
  const sequence = batch.append({ version, table: op.table, op: 'invalidate', id, relay });
  scopes.bump(table, op.scope, op.soft, sequence, batch.now);
  return { kind: 'invalidated', sequence };
}

export function applyMessage(batch: Batch, op: OpOf<'message'>): WriteOutcome {
  const version = batch.nextVersion();
  const { table, id, body } = op;
  const publication = publicationOf(op);
  const sequence = batch.append({ version, table, op: 'message', id, after: body, publication });
  const entityTag = entityTagOf(body);
  return { kind: 'stored', sequence, version, entityTag, created: false, unchanged: false };
}

/** What the log keeps of what a publisher said beside its payload. */
export const publicationOf = ({
  publication: properties,
}: {
  readonly publication?: Uint8Array | undefined;
}): Publication | undefined => properties && { properties };

export function applyEvict(batch: Batch, op: OpOf<'evict'>): WriteOutcome {
  const row = readRow(batch, batch.table(op.table), op.id, op.variant);
  if (row.entry === undefined && row.ruinBytes === 0) return { kind: 'absent' };
  if (isLocal(row)) uncover(batch, row);
  else removeRow(batch, row);
  batch.noteEviction(op.table, 'asked');
  return { kind: 'evicted' };
}

/** Removes the entry of an id with all its variants; tombstones stay. */
export function evictRecord(
  batch: Batch,
  table: TableTrees,
  id: RecordId,
  reason: EvictionReason,
): void {
  const row = readRow(batch, table, id, '');
  if (row.entry !== undefined && row.entry.kind !== 'tombstone') {
    removeRow(batch, row);
    batch.noteEviction(table.name, reason);
  }
  evictVariants(batch, table, id, reason);
}

function evictVariants(
  batch: Batch,
  table: TableTrees,
  id: RecordId,
  reason: EvictionReason,
): void {
  const base = elementsOf(entryKey(id, ''));
  const found: [Key, Uint8Array][] = [];
  table.entries.range({ start: [...base, ''], end: [...base, HIGH] }, (key, value) => {
    if (!isBeneath(key)) found.push([key, value]);
    return true;
  });
  for (const [key, value] of found) {
    removeRow(batch, rowAt(batch, table, key, id, value));
    batch.noteEviction(table.name, reason);
  }
}
