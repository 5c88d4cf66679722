/**
 * Merging into a row what another node knows of it. Who watches the row, its indexes, its expiry
 * and the pages made from it see the outcome as they see a local write. Other nodes are told too:
 * what came in the order of its author's log gets an entry in this one even when all was known.
 */
import {
  durationMs,
  epochMs,
  type NodeId,
  type RecordVersion,
  type Sequence,
} from '../../base/brands.ts';
import { versionTime } from '../../base/hlc.ts';
import {
  type EntryMeta,
  FOREVER,
  NEVER,
  type StoredBlob,
  type StoredBody,
} from '../../cache/entry.ts';
import { setOwn } from '../../cache/merge-record.ts';
import { mergeRows } from '../../cache/merge-rows.ts';
import { isJsonType, standIn } from '../../cache/record-json.ts';
import { mergingMeta, shownVersion, stateOfEntry } from '../../cache/row-entry.ts';
import {
  isPresent,
  isSameStamp,
  NO_ROW,
  newestStamp,
  type RowFile,
  type RowState,
  recordOfRow,
  type Stamp,
} from '../../cache/row-state.ts';
import { LIMITS } from '../../config/limits.ts';
import { copyName } from '../../table/body-store.ts';
import type { Change, Relay } from '../../table/store-port.ts';
import { entityTagOf } from '../entity-tag.ts';
import type { EntryView } from '../entry-view.ts';
import type { Batch } from './batch.ts';
import { dropBeneath, sharedRow, staysAbove } from './local-rows.ts';
import { tombstone } from './outdate.ts';
import { livingRecord, loggedBody, type Row, type RowDraft, readRow, writeRow } from './rows.ts';

const HTTP_OK = 200;
const JSON_TYPE = 'application/json';
const NO_BYTES = new Uint8Array(0);

export interface RemoteRow {
  readonly table: Change['table'];
  readonly id: NonNullable<Change['id']>;
  readonly state: RowState;
  /** Who made the change, and its place in that log; `null` without one. */
  readonly author: NodeId;
  readonly origin: NonNullable<Relay['origin']> | null;
  readonly isJoined?: boolean | undefined;
}

/** `isConflict`: what came met a change that its author had not seen, and did not simply win. */
export interface RowOutcome {
  readonly kind: 'merged' | 'unchanged';
  readonly isConflict: boolean;
}

export function applyRow(batch: Batch, remote: RemoteRow): RowOutcome {
  const row = readRow(batch, batch.table(remote.table), remote.id, '');
  const shared = sharedRow(batch, row);
  const living = livingRecord(batch, shared);
  const local = stateNow(shared, living);
  const merged = isForgotten(batch, shared, local, remote.state)
    ? local
    : mergeRows(local, remote.state);
  const newest = newestStamp(remote.state);
  if (newest !== undefined) batch.observe(newest.version);
  if (merged === local) {
    if (remote.origin !== null) logQuietly(batch, remote, newest?.version);
    return { kind: 'unchanged', isConflict: remote.origin !== null && isOutdone(local, newest) };
  }
  const stamp = newestStamp(merged) ?? { version: batch.nextVersion(), author: remote.author };
  // A local row that is the later one goes on hiding it.
  const isSeen = shared === row || !staysAbove(row, stamp);
  const place = isSeen ? row : shared;
  const version = shownVersion(stamp, place.entry?.version);
  batch.observe(version);
  const seen = shared === row ? living : livingRecord(batch, row);
  writeMerged(batch, place, remote, {
    ...{ merged, living: seen, stamp: { version, author: stamp.author }, isSeen },
    last: shared === row ? local.base : undefined,
  });
  if (isSeen) dropBeneath(batch, row);
  const isMixed = !isSameStamp(newestStamp(merged), newest);
  return { kind: 'merged', isConflict: remote.origin !== null && isMixed };
}

/** Something newer stands here than what came. */
function isOutdone(local: RowState, came: Stamp | undefined): boolean {
  const held = newestStamp(local);
  return held !== undefined && came !== undefined && !isSameStamp(held, came);
}

/** What has expired counts as removed, as it will be by the next sweep. */
function stateNow(row: Row, living: EntryView | undefined): RowState {
  const { entry } = row;
  if (entry === undefined || (entry.kind === 'record' && living === undefined)) return NO_ROW;
  return stateOfEntry(entry);
}

/** What is over, and unknown here: it was removed, or would be at once. */
function isForgotten(batch: Batch, row: Row, local: RowState, state: RowState): boolean {
  if (local !== NO_ROW) return false;
  if (!isPresent(state)) return tombstoneEnd(state) <= batch.now;
  const { times } = state;
  if (times === undefined) return false;
  return times.evictAt <= batch.now || (!row.table.sourced && times.freshUntil <= batch.now);
}

const tombstoneEnd = ({ base }: RowState): number =>
  base === undefined ? FOREVER : versionTime(base.version) + LIMITS.tombstoneRetentionMs;

function relayOf({ origin, isJoined }: RemoteRow, isQuiet: boolean): Relay {
  if (isJoined === true) return isQuiet ? { origin, isQuiet, isJoined } : { origin, isJoined };
  return isQuiet ? { origin, isQuiet } : { origin };
}

function logQuietly(batch: Batch, remote: RemoteRow, version: RecordVersion | undefined): Sequence {
  const { table, id, author } = remote;
  const relay = relayOf(remote, true);
  return batch.append({
    version: version ?? batch.nextVersion(),
    table,
    op: 'put',
    id,
    author,
    relay,
  });
}

interface Outcome {
  readonly merged: RowState;
  /** What readers saw before. */
  readonly living: EntryView | undefined;
  /** Version and author of the entry. */
  readonly stamp: Stamp;
  /** The base of what readers saw before. */
  readonly last: RowState['base'];
  /** It is not beneath a local row that stays. */
  readonly isSeen: boolean;
}

function writeMerged(batch: Batch, row: Row, remote: RemoteRow, outcome: Outcome): void {
  const { merged } = outcome;
  const sequence = logMerged(batch, remote, outcome);
  const draft = isPresent(merged)
    ? recordDraft(batch, row, remote, outcome, sequence)
    : tombstoneDraft(batch, outcome, sequence);
  writeRow(batch, row, draft);
}

function tombstoneDraft(batch: Batch, { merged, stamp }: Outcome, sequence: Sequence): RowDraft {
  const evictAt = epochMs(tombstoneEnd(merged));
  const meta = { merging: mergingMeta(merged, stamp) };
  return { ...tombstone(batch), ...stamp, stamp: sequence, evictAt, meta };
}

/** Written out field by field: whole logs come by this way. */
function recordDraft(
  batch: Batch,
  row: Row,
  remote: RemoteRow,
  { merged, living, stamp }: Outcome,
  sequence: Sequence,
): RowDraft {
  const body = placed(merged.body ?? NO_BYTES, living);
  const { times } = merged;
  return {
    kind: 'record',
    status: merged.content?.status ?? HTTP_OK,
    version: stamp.version,
    author: stamp.author,
    stamp: sequence,
    storedAt: times?.storedAt ?? batch.now,
    initialAge: durationMs(0),
    freshUntil: times?.freshUntil ?? FOREVER,
    staleWhileRevalidateUntil: times?.staleWhileRevalidateUntil ?? NEVER,
    staleIfErrorUntil: times?.staleIfErrorUntil ?? NEVER,
    evictAt: times?.evictAt ?? FOREVER,
    mustValidate: false,
    staleForbidden: false,
    entityTag: entityTagOf(body),
    meta: metaOf(batch, row, remote, merged, stamp),
    body: body instanceof Uint8Array ? body : { kind: 'file', file: body },
  };
}

/** Subscribers are told where something changed for them; returns the place in the log. */
function logMerged(batch: Batch, remote: RemoteRow, outcome: Outcome): Sequence {
  const { table, id, author } = remote;
  const { merged, living, stamp, last, isSeen } = outcome;
  const { version } = stamp;
  if (!isSeen) return logQuietly(batch, remote, version);
  const before = living === undefined ? null : loggedBody(living);
  const relay = relayOf(remote, false);
  if (!isPresent(merged)) {
    if (living === undefined) return logQuietly(batch, remote, version);
    return batch.append({ version, table, op: 'delete', id, before, author, relay });
  }
  const { body, content } = merged;
  const isRecord = isJsonType(content?.contentType ?? JSON_TYPE) && body instanceof Uint8Array;
  const after = isRecord ? body : undefined;
  const isPut = living === undefined || !isSameStamp(last, merged.base);
  const properties = isPut ? content?.publication : undefined;
  if (properties === undefined && isSameBody(before, after)) {
    return logQuietly(batch, remote, version);
  }
  const payload = isRecord || !(body instanceof Uint8Array) ? undefined : body;
  const publication = properties && { properties, payload };
  const op = isPut ? 'put' : 'patch';
  return batch.append({ version, table, op, id, before, after, publication, author, relay });
}

const isSameBody = (before: Uint8Array | null | undefined, after: Uint8Array | undefined) =>
  after !== undefined && before != null && Buffer.compare(before, after) === 0;

/** The body where it is kept here: bytes, or the file which has them. */
function placed(
  body: Uint8Array | RowFile,
  living: EntryView | undefined,
): Uint8Array | StoredBody {
  if (body instanceof Uint8Array) return body;
  const { storedBody } = living ?? {};
  if (storedBody?.digest === body.digest) return storedBody;
  // Its bytes are fetched behind the row, and found under this name when they have come.
  return { name: copyName(body), length: body.length, digest: body.digest };
}

function metaOf(
  batch: Batch,
  row: Row,
  remote: RemoteRow,
  merged: RowState,
  stamp: Stamp,
): EntryMeta {
  const indexed = row.table.indexes.size === 0 ? undefined : indexedOf(batch, row, remote, merged);
  const merging = mergingMeta(merged, stamp);
  const { content, blobs } = merged;
  // Most rows were put, and nothing else.
  if (content === undefined && blobs === undefined && merging === undefined) return { indexed };
  const { contentType, lastModified, groups, publication } = content ?? {};
  const kept = { contentType, lastModified, groups, publication };
  return { ...kept, merging, indexed, blobs: blobsOf(row, merged) };
}

function indexedOf(batch: Batch, { table }: Row, { id }: RemoteRow, merged: RowState) {
  const { body, content } = merged;
  const contentType = content?.contentType ?? JSON_TYPE;
  const facts = { contentType, size: body?.length ?? 0 };
  const record = recordOfRow(merged) ?? standIn(table.definition.primaryKey, id, facts);
  return batch.parts.rules.indexedValues(table.name, record);
}

function blobsOf(row: Row, { blobs }: RowState): EntryMeta['blobs'] {
  if (blobs === undefined) return undefined;
  const known = Object.values(row.entry?.meta.blobs ?? {});
  const found: Record<string, StoredBlob> = {};
  for (const [name, { contentType, entityTag, length, digest }] of Object.entries(blobs)) {
    const held = known.find(({ body }) => body.digest === digest)?.body;
    const body = held ?? { length, digest, name: copyName({ digest }) };
    setOwn(found, name, { contentType, entityTag: entityTag as StoredBlob['entityTag'], body });
  }
  return found;
}
