/**
 * Storing an entry of a cache that another node fetched (replication/SPEC.md §14): as a fill whose
 * fetch began at a place of this log, unless something stands there that may be newer. The log
 * says whose it is, so that it is no news to where it came from.
 */
import type { EpochMs, RecordId, Sequence, TableName } from '../../base/brands.ts';
import { parseObject } from '../../cache/merge-record.ts';
import { isJsonType } from '../../cache/record-json.ts';
import { mayReplace, receivedTimes, type SharedEntry } from '../../cache/shared-entry.ts';
import type { TableInvalidations } from '../invalidations.ts';
import type { Batch } from './batch.ts';
import { applyPut, type CameFrom } from './put.ts';
import { readRow } from './rows.ts';

export type InvalidationsOf = (table: TableName) => TableInvalidations;

export interface SentEntry {
  readonly table: TableName;
  readonly id: RecordId;
  readonly entry: SharedEntry;
}

export interface EntryPlace {
  /** Up to here all that this log obeyed was obeyed before the fetch began. */
  readonly place: Sequence;
  /** Milliseconds since it was sent. */
  readonly elapsed: number;
  readonly doubtMs: number;
  readonly cameFrom: CameFrom;
  readonly invalidations: InvalidationsOf;
}

/** Whether it was stored. */
export function applyEntry(batch: Batch, sent: SentEntry, place: EntryPlace): boolean {
  const { table, id, entry } = sent;
  const times = receivedTimes(entry, batch.now, place.elapsed);
  if (times.freshUntil <= batch.now) return false;
  if (!mayStand(batch, sent, times.storedAt, place)) return false;
  const { contentType, lastModified, originTag, groups, status, tag, body } = entry;
  const record = isJsonType(contentType) ? parseObject(body) : undefined;
  if (isJsonType(contentType) && record === undefined) return false;
  const indexed = record && batch.parts.rules.indexedValues(table, record);
  const outcome = applyPut(
    batch,
    {
      ...{ kind: 'put', table, id, variant: '', entryKind: 'record', status, body },
      meta: { contentType, lastModified, originTag, groups, indexed },
      ...{ entityTag: tag, times, storedAt: times.storedAt, initialAge: entry.initialAgeMs },
      ...{ mustValidate: false, staleForbidden: entry.staleForbidden, reason: 'fill' },
      ...{ stamp: place.place, cameFrom: place.cameFrom },
    },
    place.invalidations,
  );
  return outcome.kind === 'stored';
}

/** Whether it is newer than all that stands there, or what stands there is invalid. */
function mayStand(
  batch: Batch,
  { table, id }: SentEntry,
  storedAt: EpochMs,
  { place, doubtMs, invalidations }: EntryPlace,
): boolean {
  const { entry } = readRow(batch, batch.table(table), id, '');
  if (entry === undefined) return true;
  if (entry.stamp > place) return false;
  const isInvalidated = invalidations(table).judge(entry).kind !== 'valid';
  const standing = { storedAt: entry.storedAt, isInvalidated };
  return mayReplace(standing, storedAt, doubtMs);
}
