/**
 * Makes fetches that are under way lose: the origin's feed has told of a change to a record which
 * is not held here, so a reply that was asked for before may be from before the change. Nothing is
 * told to subscribers; what stands in the row afterwards is not what those fetches saw.
 */
import { durationMs, epochMs } from '../../base/brands.ts';
import { FOREVER, NEVER } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Batch } from './batch.ts';
import { placedBodyOf, type Row, type RowDraft, recordOf, writeRow } from './rows.ts';

/** No fetch that began before takes longer. */
const retentionMs = () => 2 * LIMITS.fetchMsMax;
const HTTP_GONE = 410;
const NO_BYTES = new Uint8Array(0);

export function outdate(batch: Batch, row: Row): void {
  if (!row.table.sourced) return;
  const record = recordOf(row);
  writeRow(batch, row, record === undefined ? briefTombstone(batch) : renumbered(batch, record));
}

/** Its stamp is newer than that of any fetch which has begun. */
const briefTombstone = (batch: Batch): RowDraft => ({
  ...tombstone(batch),
  version: batch.nextVersion(),
  stamp: batch.upcoming(),
  evictAt: epochMs(batch.now + retentionMs()),
});

/** What every tombstone has in common. */
export const tombstone = (batch: Batch): Omit<RowDraft, 'version' | 'stamp' | 'evictAt'> => ({
  kind: 'tombstone',
  status: HTTP_GONE,
  author: batch.parts.author,
  storedAt: batch.now,
  initialAge: durationMs(0),
  freshUntil: FOREVER,
  staleWhileRevalidateUntil: NEVER,
  staleIfErrorUntil: NEVER,
  mustValidate: false,
  staleForbidden: false,
  entityTag: undefined,
  meta: {},
  body: NO_BYTES,
});

/** The record as it is, under another version. */
const renumbered = (batch: Batch, record: NonNullable<Row['entry']>): RowDraft => ({
  kind: record.kind,
  status: record.status,
  version: batch.nextVersion(),
  author: batch.parts.author,
  stamp: record.stamp,
  storedAt: record.storedAt,
  initialAge: record.initialAge,
  freshUntil: record.freshUntil,
  staleWhileRevalidateUntil: record.staleWhileRevalidateUntil,
  staleIfErrorUntil: record.staleIfErrorUntil,
  evictAt: record.evictAt,
  mustValidate: record.mustValidate,
  staleForbidden: record.staleForbidden,
  entityTag: record.entityTag,
  meta: record.meta,
  body: placedBodyOf(record),
});
