/**
 * Rows of this node alone (replication/SPEC.md §15). A local row stands where readers look; the row
 * that other nodes share lies beneath it, under a key of its own, with its bytes, times and state
 * as they were. It stands in no index and counts as no entry of the table, but in the digests.
 */
import type { RecordId, Sequence } from '../../base/brands.ts';
import { parseObject } from '../../cache/merge-record.ts';
import { recordJson } from '../../cache/record-json.ts';
import { compareStamps, type Stamp } from '../../cache/row-state.ts';
import type { Relay } from '../../table/store-port.ts';
import type { PlacedBody } from '../entry-format.ts';
import type { EntryView } from '../entry-view.ts';
import { keyBeneath } from '../keys.ts';
import type { Batch } from './batch.ts';
import {
  factsOf,
  loggedBody,
  type Row,
  type RowDraft,
  removeRow,
  rowAt,
  writeRow,
} from './rows.ts';

/** What the log keeps of a change which is told to nobody else. */
export const LOCAL: Relay = { isLocal: true };

export const isLocal = ({ entry }: Row): boolean => entry?.isLocal === true;

/** Whether a write goes to what lies beneath a local row, which it takes away. */
export const goesBeneath = (row: Row, op: { readonly isLocal?: boolean | undefined }): boolean =>
  isLocal(row) && op.isLocal !== true && !row.table.sourced;

/** Of a hashed key only the entry knows it. */
const idOf = ({ entry, id }: Row): RecordId => entry?.meta.fullKey ?? id;

/** The row that other nodes share: the one beneath, where a local one stands. */
export function sharedRow(batch: Batch, row: Row): Row {
  if (!isLocal(row)) return row;
  const id = idOf(row);
  const key = keyBeneath(id);
  return rowAt(batch, row.table, key, id, row.table.entries.get(key));
}

/** Whether readers are to go on seeing the local row when `stamp` is the newest one beneath it. */
export const staysAbove = ({ entry }: Row, stamp: Stamp): boolean =>
  entry !== undefined && compareStamps(entry, stamp) > 0;

/** Puts what stands there beneath, before a local row is written in its place. */
export function cover(batch: Batch, row: Row): void {
  const { entry } = row;
  if (entry === undefined || entry.isLocal || row.table.sourced) return;
  const key = keyBeneath(row.id);
  writeRow(batch, rowAt(batch, row.table, key, row.id, undefined), copyOf(entry));
}

/** Forgets what lies beneath, when something has been written in place of the local row. */
export function dropBeneath(batch: Batch, row: Row): void {
  if (!isLocal(row) || row.table.sourced) return;
  const beneath = sharedRow(batch, row);
  if (beneath.entry !== undefined || beneath.ruinBytes > 0) removeRow(batch, beneath);
}

/** Takes a local row away: readers see again what lies beneath. Returns the place in the log. */
export function uncover(batch: Batch, local: Row): Sequence {
  const id = idOf(local);
  const row = { ...local, id };
  const { entry } = sharedRow(batch, row);
  const { table } = row;
  const isSeen = entry?.kind === 'record' && (table.sourced || entry.freshUntil > batch.now);
  const before = row.entry && loggedBody(row.entry);
  const at = batch.append({
    ...{ version: batch.nextVersion(), table: table.name, id, before, relay: LOCAL },
    ...(isSeen ? { op: 'put', after: loggedBody(entry) } : { op: 'delete' }),
  });
  if (entry === undefined) removeRow(batch, row);
  else writeRow(batch, row, indexedAnew(batch, row, entry));
  dropBeneath(batch, row);
  return at;
}

function indexedAnew(batch: Batch, { table }: Row, entry: EntryView): RowDraft {
  const draft = copyOf(entry);
  if (entry.kind !== 'record') return draft;
  const record = parseObject(recordJson(entry, table.definition.primaryKey)) ?? {};
  const indexed = batch.parts.rules.indexedValues(table.name, record);
  return { ...draft, meta: { ...draft.meta, indexed } };
}

/** An entry as it is to stand elsewhere. */
export const copyOf = (entry: EntryView): RowDraft => ({
  ...factsOf(entry),
  body: bodyOf(entry),
});

/** A body kept apart belongs to one entry: another one gets a copy. */
function bodyOf(entry: EntryView): Uint8Array | PlacedBody {
  const { storedBody } = entry;
  return storedBody === undefined ? entry.body : { kind: 'file', file: storedBody };
}
