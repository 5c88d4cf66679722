/**
 * One row inside a commit: reading it, writing it, removing it, together with everything that must
 * agree with it: indexes, expiry index, the table's size, a body kept apart.
 */
import type { RecordId, TableName } from '../../base/brands.ts';
import type { Blobs } from '../../cache/blobs.ts';
import {
  type EntryMeta,
  FOREVER,
  type IndexedValues,
  type IndexValue,
  type StoredBody,
} from '../../cache/entry.ts';
import { holdsRecord } from '../../cache/record-json.ts';
import { putBody, releaseBody } from '../bodies.ts';
import { dropFile, holdFile } from '../body-keeper.ts';
import type { Key, Tree } from '../engine.ts';
import { type DraftFacts, encodeEntry, type PlacedBody } from '../entry-format.ts';
import type { EntryView } from '../entry-view.ts';
import type { TableInvalidations } from '../invalidations.ts';
import { elementsOf, entryKey, indexElement, isBeneath, isHashedKey } from '../keys.ts';
import { moveNames } from '../record-interest.ts';
import type { TableTrees } from '../tables.ts';
import type { Batch } from './batch.ts';

export interface Row {
  readonly table: TableTrees;
  readonly id: RecordId;
  readonly key: Key;
  /** The entry which stands there, owning its bytes; `undefined` when there is none. */
  readonly entry: EntryView | undefined;
  /** Bytes of a value that stands there but cannot be decoded; it will be overwritten. */
  readonly ruinBytes: number;
  /** Where the entry stands in the indexes, when its meta does not say it rightly. */
  readonly standsUnder?: IndexedValues | undefined;
}

/** An entry as it is to stand in its row; the row decides how its key and body are kept. */
export interface RowDraft extends DraftFacts {
  readonly meta: EntryMeta;
  readonly body: Uint8Array | PlacedBody;
}

const NOTHING = new Uint8Array(0);
const EXPIRY_UNIT_MS = 1000;
const NO_BLOBS: Blobs = {};
const NO_VALUES: IndexedValues = {};

export function readRow(batch: Batch, table: TableTrees, id: RecordId, variant: string): Row {
  const key = entryKey(id, variant);
  return rowAt(batch, table, key, id, table.entries.get(key));
}

/** The row of a key that was found in the tree; the id of a hashed key is in its meta. */
export function rowAt(
  batch: Batch,
  table: TableTrees,
  key: Key,
  id: RecordId,
  bytes: Uint8Array | undefined,
): Row {
  if (bytes === undefined) return { table, id, key, entry: undefined, ruinBytes: 0 };
  const entry = batch.newView();
  if (entry.attach(id, bytes)) return { table, id, key, entry, ruinBytes: 0 };
  batch.parts.onUndecodable(table.name, id);
  return { table, id, key, entry: undefined, ruinBytes: bytes.length };
}

/** The row's entry when it is a record: what clients and conditions see. */
export const recordOf = (row: Row): EntryView | undefined =>
  row.entry?.kind === 'record' ? row.entry : undefined;

/** The row's record, unless it has expired in a table that is its own origin. */
export function livingRecord(batch: Batch, row: Row): EntryView | undefined {
  const record = recordOf(row);
  const isOver = !row.table.sourced && record !== undefined && record.freshUntil <= batch.now;
  return isOver ? undefined : record;
}

/**
 * The record that a condition or a patch is about: one which a read would not be answered with any
 * more, since it has expired or was invalidated for good, counts as none.
 */
export function standingRecord(
  batch: Batch,
  row: Row,
  invalidations: (table: TableName) => TableInvalidations,
): EntryView | undefined {
  const record = livingRecord(batch, row);
  if (record === undefined) return undefined;
  return invalidations(row.table.name).judge(record).kind === 'hard' ? undefined : record;
}

export function writeRow(batch: Batch, row: Row, draft: RowDraft): void {
  const { table, key, entry: old } = row;
  const keyHashed = isHashedKey(key);
  const body = placeBody(batch, draft.body);
  const meta = metaFor(row, draft, keyHashed, body);
  const bytes = encodeEntry(draft, { keyHashed, meta, body });
  table.entries.put(key, bytes);
  if (old?.bodyId !== undefined && !(body.kind === 'referenced' && body.bodyId === old.bodyId)) {
    releaseBody(batch.trees.bodies, old.bodyId, batch.now);
  }
  moveFile(batch, old?.storedBody, body.kind === 'file' ? body.file : undefined);
  moveBlobs(batch, old?.meta.blobs, meta.blobs);
  const stands = row.standsUnder ?? old?.meta.indexed ?? NO_VALUES;
  moveIndexes(table, key, row.id, stands, meta.indexed ?? NO_VALUES);
  moveNames(batch, table, old?.meta.groups, meta.groups);
  moveExpiry(batch, row, draft.evictAt);
  const { replica } = batch.parts;
  if (replica?.hasRows(table.name)) replica.digests.changed(batch, row, { ...draft, meta });
  const stored = bytes.length + bytesApart(body);
  const counts = draft.kind === 'tombstone' || isBeneath(key) ? 0 : 1;
  batch.resize(table.name, counts - countOf(row), stored - bytesOf(row));
}

export function removeRow(batch: Batch, row: Row): void {
  const { table, key, entry } = row;
  table.entries.remove(key);
  if (entry?.bodyId !== undefined) releaseBody(batch.trees.bodies, entry.bodyId, batch.now);
  moveFile(batch, entry?.storedBody, undefined);
  moveBlobs(batch, entry?.meta.blobs, undefined);
  moveIndexes(table, key, row.id, entry?.meta.indexed ?? NO_VALUES, NO_VALUES);
  moveNames(batch, table, entry?.meta.groups, undefined);
  moveExpiry(batch, row, undefined);
  const { replica } = batch.parts;
  if (replica?.hasRows(table.name)) replica.digests.changed(batch, row, undefined);
  batch.resize(table.name, -countOf(row), -bytesOf(row));
}

const countOf = (row: Row): number => {
  if (row.entry === undefined) return row.ruinBytes > 0 ? 1 : 0;
  if (isBeneath(row.key)) return 0;
  return row.entry.kind === 'tombstone' ? 0 : 1;
};
const bytesOf = (row: Row): number => row.entry?.storedBytes ?? row.ruinBytes;

function bytesApart(body: PlacedBody): number {
  if (body.kind === 'inline') return 0;
  return body.kind === 'referenced' ? body.length : body.file.length;
}

/** Makes the row hold on to the file of `next` instead of that of `last`. */
function moveFile(batch: Batch, last: StoredBody | undefined, next: StoredBody | undefined): void {
  if (last?.name === next?.name) return;
  const { bodies } = batch.trees;
  if (next !== undefined && holdFile(bodies, next)) batch.state.fileBytes += next.length;
  if (last === undefined || !dropFile(bodies, last)) return;
  batch.state.fileBytes -= last.length;
  batch.releasedFiles.push(last);
}

function moveBlobs(batch: Batch, last: Blobs = NO_BLOBS, next: Blobs = NO_BLOBS): void {
  if (last === next) return;
  for (const name of new Set([...Object.keys(last), ...Object.keys(next)])) {
    moveFile(batch, last[name]?.body, next[name]?.body);
  }
}

function metaFor(row: Row, draft: RowDraft, keyHashed: boolean, placed: PlacedBody): EntryMeta {
  const { meta } = draft;
  const indexed = draft.kind === 'record' && !isBeneath(row.key) ? meta.indexed : undefined;
  const fullKey = keyHashed ? String(row.id) : undefined;
  const body = placed.kind === 'file' ? placed.file : undefined;
  if (indexed === meta.indexed && fullKey === meta.fullKey && body === meta.body) return meta;
  return { ...meta, indexed, fullKey, body };
}

function placeBody(batch: Batch, body: Uint8Array | PlacedBody): PlacedBody {
  if (!(body instanceof Uint8Array)) return body;
  if (body.length <= batch.parts.inlineBodyBytesMax) return { kind: 'inline', bytes: body };
  batch.state.bodies += 1;
  const bodyId = batch.state.bodies;
  putBody(batch.trees.bodies, bodyId, body);
  return { kind: 'referenced', bodyId, length: body.length };
}

/** What a row says of its entry, all but the body. */
export function factsOf(entry: EntryView): Omit<RowDraft, 'body'> {
  return {
    kind: entry.kind,
    status: entry.status,
    version: entry.version,
    author: entry.author,
    stamp: entry.stamp,
    storedAt: entry.storedAt,
    initialAge: entry.initialAge,
    freshUntil: entry.freshUntil,
    staleWhileRevalidateUntil: entry.staleWhileRevalidateUntil,
    staleIfErrorUntil: entry.staleIfErrorUntil,
    evictAt: entry.evictAt,
    mustValidate: entry.mustValidate,
    staleForbidden: entry.staleForbidden,
    isLocal: entry.isLocal,
    entityTag: entry.kind === 'tombstone' ? undefined : entry.entityTag,
    meta: entry.meta,
  };
}

/** The body of an entry as it is stored, so that it need not be written again. */
export function placedBodyOf(entry: EntryView): PlacedBody {
  const { storedBody, bodyId } = entry;
  if (storedBody !== undefined) return { kind: 'file', file: storedBody };
  if (bodyId === undefined) return { kind: 'inline', bytes: entry.body };
  return { kind: 'referenced', bodyId, length: entry.bodyLength };
}

/** The body as the log and the ring keep it: of records only, of all else the row tells. */
export const loggedBody = (entry: EntryView): Uint8Array | undefined =>
  holdsRecord(entry) ? entry.body : undefined;

/** Makes the indexes of the table hold the entry under `next` instead of `last`. */
export function moveIndexes(
  table: TableTrees,
  key: Key,
  id: RecordId,
  last: IndexedValues,
  next: IndexedValues,
): void {
  if (last === next) return;
  for (const [attribute, tree] of table.indexes) {
    moveIndex(tree, key, id, last[attribute] ?? [], next[attribute] ?? []);
  }
}

function moveIndex(
  tree: Tree,
  key: Key,
  id: RecordId,
  last: IndexedValues[string],
  next: IndexedValues[string],
): void {
  for (const value of last) {
    if (!next.includes(value)) tree.remove(placeInIndex(value, key));
  }
  for (const value of next) {
    if (last.includes(value)) continue;
    // The index gives back ids: of a hashed key only the row would know it.
    const named = isHashedKey(key) ? Buffer.from(String(id)) : NOTHING;
    tree.put(placeInIndex(value, key), named);
  }
}

/** Written without a spread for keys of one element, as nearly all are: bulk writes live here. */
const placeInIndex = (value: IndexValue, key: Key): Key =>
  typeof key === 'string' || typeof key === 'number'
    ? [indexElement(value), key]
    : [indexElement(value), ...elementsOf(key)];

/** The second in which an entry is due, as the expiry index counts. */
export const expiryUnit = (evictAt: number): number => Math.ceil(evictAt / EXPIRY_UNIT_MS);

const expiryKey = (row: Row, evictAt: number): Key => [
  row.table.name,
  expiryUnit(evictAt),
  ...elementsOf(row.key),
];

/** Only what can be evicted is in the expiry index; for room, that is every entry of a cache. */
const isListed = (row: Row, evictAt: number): boolean => evictAt < FOREVER || row.table.sourced;

function moveExpiry(batch: Batch, row: Row, evictAt: number | undefined): void {
  const { expiry } = batch.trees;
  const last = row.entry?.evictAt;
  const isListedAlready = last !== undefined && evictAt !== undefined;
  if (isListedAlready && expiryUnit(last) === expiryUnit(evictAt)) return;
  if (last !== undefined && isListed(row, last)) expiry.remove(expiryKey(row, last));
  if (evictAt !== undefined && isListed(row, evictAt)) expiry.put(expiryKey(row, evictAt), NOTHING);
}

/** First key of the expiry index that is not due at `now`, for one table. */
export const expiryEnd = (table: TableTrees, now: number): Key => [
  table.name,
  Math.floor(now / EXPIRY_UNIT_MS) + 1,
];
