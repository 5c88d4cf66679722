/**
 * Storing a whole entry: what a client wrote, what a fetch brought, what a feed said. A write of
 * the same bytes only freshens the entry: neither the log nor a subscriber hears of it.
 */
import type { NodeId, Sequence } from '../../base/brands.ts';
import { type Blobs, hasBlobs, type KeptBlobs, keptBlobs } from '../../cache/blobs.ts';
import { parseObject, storedRecord } from '../../cache/merge-record.ts';
import { isJsonType } from '../../cache/record-json.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { Change, Relay, WriteOp, WriteOutcome } from '../../table/store-port.ts';
import { conditionHolds } from '../conditions.ts';
import { entityTagOf } from '../entity-tag.ts';
import type { EntryView } from '../entry-view.ts';
import type { TableInvalidations } from '../invalidations.ts';
import type { Batch } from './batch.ts';
import { cover, dropBeneath, goesBeneath, sharedRow } from './local-rows.ts';
import { comparedWithRecords } from './named-records.ts';
import { clientsRelay } from './others.ts';
import {
  livingRecord,
  loggedBody,
  placedBodyOf,
  type Row,
  type RowDraft,
  readRow,
  recordOf,
  standingRecord,
  writeRow,
} from './rows.ts';

/** Another node fetched it: whose change it is, and where that stands. */
export interface CameFrom {
  readonly author: NodeId;
  readonly relay: Relay;
}

export type PutOp = Extract<WriteOp, { kind: 'put' }> & {
  readonly cameFrom?: CameFrom | undefined;
};
export type StampAttributes = PutOp['stampAttributes'];

export function applyPut(
  batch: Batch,
  asked: PutOp,
  invalidations: (table: PutOp['table']) => TableInvalidations,
): WriteOutcome {
  const op = comparedWithRecords(batch, asked, invalidations);
  const table = batch.table(op.table);
  const row = readRow(batch, table, op.id, op.variant);
  const current = standingRecord(batch, row, invalidations);
  if (op.condition !== undefined && !conditionHolds(op.condition, current)) {
    return { kind: 'preconditionFailed', current: current?.entityTag };
  }
  if (isSuperseded(row, op, invalidations)) return { kind: 'superseded' };
  const stamped = goesBeneath(row, op) ? livingRecord(batch, sharedRow(batch, row)) : current;
  const body = bodyOf(batch, op, table.definition, stamped);
  // A refill of what was invalidated brings subscribers nothing new when its bytes are the same.
  const known = table.sourced || op.reason === 'fill' ? recordOf(row) : current;
  // On other nodes an older write of something else may still be under way: this is the last.
  const isShared = batch.parts.replica?.hasRows(op.table) === true;
  const mayFreshen =
    known !== undefined && op.publication === undefined && !isShared && isAsLocal(known, op);
  if (mayFreshen && isSame(known, op, body.asBefore)) {
    const isValid = invalidations(op.table).judge(known).kind === 'valid';
    return isValid && isEcho(batch, known, op)
      ? unchanged(batch, known)
      : freshen(batch, row, known, op);
  }
  const kept = blobsOf(op, table.definition, body.now, current);
  if (kept.kind === 'unknown') return { kind: 'invalid', problem: kept.problem };
  const { blobs } = kept;
  return replace(batch, row, op, { body: body.now, created: current === undefined, blobs });
}

/** What was for this node alone is not made known by being written again, nor the other way. */
const isAsLocal = (known: EntryView, { reason, isLocal = false }: PutOp): boolean =>
  reason !== 'client' || known.isLocal === isLocal;

/** A feed tells of what a fetch has brought already, and knows of no lifetime for it. */
const isEcho = (batch: Batch, current: EntryView, { reason, times }: PutOp): boolean =>
  reason === 'feed' && times.freshUntil <= batch.now && current.freshUntil > batch.now;

function unchanged(batch: Batch, { version, entityTag }: EntryView): WriteOutcome {
  const { sequence } = batch.state;
  return { kind: 'stored', sequence, version, entityTag, created: false, unchanged: true };
}

/** A fill loses against an invalidation, or another row, newer than its fetch. */
function isSuperseded(
  row: Row,
  op: PutOp,
  invalidations: (table: PutOp['table']) => TableInvalidations,
): boolean {
  const { stamp, replaces } = op;
  if (stamp !== undefined) {
    if (invalidations(op.table).supersedes(op.id, stamp, op.meta.groups)) return true;
  }
  if (replaces === undefined || row.entry === undefined) return false;
  if (row.entry.version === replaces) return false;
  // A reader which found nothing to replace may have seen a tombstone or a marker.
  const stoodThere = stamp !== undefined && row.entry.stamp <= stamp;
  return !(replaces === 0 && row.entry.kind !== 'record' && stoodThere);
}

type Body = PutOp['body'];
const JSON_TYPE = 'application/json';

/** What is to be stored, and by what an unchanged record is known. */
function bodyOf(
  batch: Batch,
  { body, stampAttributes }: PutOp,
  definition: TableDefinition,
  current: EntryView | undefined,
): { readonly now: Body; readonly asBefore: Body } {
  if (!(body instanceof Uint8Array)) return { now: body, asBefore: body };
  const old = current === undefined ? undefined : stampsOf(current, stampAttributes);
  return withStamps(body, definition, stampAttributes, old, batch.now);
}

function isSame(current: EntryView, op: PutOp, body: Body): boolean {
  if (op.entryKind !== 'record' || current.status !== op.status) return false;
  if (current.meta.contentType !== op.meta.contentType) return false;
  if (current.bodyLength !== body.length) return false;
  const { storedBody } = current;
  if (!(body instanceof Uint8Array)) return storedBody?.digest === body.digest;
  if (storedBody !== undefined) return false;
  return Buffer.compare(current.body, body) === 0;
}

/** Writes new times and validators around the bytes that stand there. */
function freshen(batch: Batch, row: Row, current: EntryView, op: PutOp): WriteOutcome {
  const { version, author } = current;
  const { merging, indexed, blobs } = current.meta;
  const { storedBody } = current;
  const entityTag = op.entityTag ?? entityTagOf(storedBody ?? current.body);
  // A patched record stays one: the versions of its attributes say what a replica must merge.
  const meta = { ...op.meta, indexed: op.meta.indexed ?? indexed, merging, blobs };
  const stamp = op.stamp ?? batch.state.sequence;
  const body = placedBodyOf(current);
  writeRow(batch, row, draftOf(op, { version, author, stamp, meta, entityTag, body }));
  shareAnew(batch, op, version);
  const { sequence } = batch.state;
  return { kind: 'stored', sequence, version, entityTag, created: false, unchanged: true };
}

/** Nodes that share the entries of a cache take the entry as it is now; nobody else hears of it. */
export function shareAnew(
  batch: Batch,
  { table, id, cameFrom, isLocal }: Pick<PutOp, 'table' | 'id' | 'cameFrom' | 'isLocal'>,
  version: Change['version'],
): void {
  if (isLocal === true || batch.parts.replica?.sharesEntries(table) !== true) return;
  const relay = { ...cameFrom?.relay, isQuiet: true };
  batch.append({ version, table, op: 'put', id, author: cameFrom?.author, relay });
}

interface Replacement {
  readonly body: Body;
  readonly created: boolean;
  readonly blobs: Blobs | undefined;
}

const NO_BLOBS: KeptBlobs = { kind: 'kept', blobs: undefined };

/** The blobs of the record before that the new one still refers to. */
function blobsOf(
  op: PutOp,
  definition: TableDefinition,
  body: Body,
  current: EntryView | undefined,
): KeptBlobs {
  const isRecord = op.entryKind === 'record' && isJsonType(op.meta.contentType ?? JSON_TYPE);
  if (!isRecord || !(body instanceof Uint8Array) || !hasBlobs(definition)) return NO_BLOBS;
  const record = parseObject(body) ?? {};
  const kept = keptBlobs(definition, record, { ...current?.meta.blobs, ...op.blobs });
  // What an origin calls a reference is its own affair.
  return kept.kind === 'unknown' && op.reason !== 'client' ? NO_BLOBS : kept;
}

function replace(
  batch: Batch,
  row: Row,
  op: PutOp,
  { body, created, blobs }: Replacement,
): WriteOutcome {
  const before = recordOf(row);
  const version = batch.nextVersion();
  const wasGiven = body === op.body ? op.entityTag : undefined;
  const entityTag = wasGiven ?? entityTagOf(body);
  const sequence = logPut(
    batch,
    op,
    version,
    before === undefined ? null : loggedBody(before),
    body,
  );
  const stamp = op.stamp ?? sequence;
  const own = body === op.body ? op.meta : { ...op.meta, indexed: indexedAnew(batch, op, body) };
  const meta =
    blobs === undefined && op.publication === undefined
      ? own
      : { ...own, blobs, publication: op.publication };
  const { author } = batch.parts;
  const placed = body instanceof Uint8Array ? body : ({ kind: 'file', file: body } as const);
  if (op.isLocal === true) cover(batch, row);
  writeRow(batch, row, draftOf(op, { version, author, stamp, meta, entityTag, body: placed }));
  if (op.isLocal !== true) dropBeneath(batch, row);
  // To other nodes a client's write is an invalidation; what it made follows.
  if (op.reason === 'client') shareAnew(batch, op, version);
  return { kind: 'stored', sequence, version, entityTag, created, unchanged: false };
}

/** Records go to the log; that the origin has no such record is a delete to who saw one here. */
function logPut(
  batch: Batch,
  op: PutOp,
  version: Change['version'],
  before: Uint8Array | null | undefined,
  body: Body,
): Sequence {
  const { table, id } = op;
  if (op.entryKind === 'record') {
    // Who follows pages reads what is known of them; their bodies are nothing for the log.
    if (batch.table(table).definition.pages !== undefined) {
      return batch.append({ version, table, op: 'put', id });
    }
    const isRecord = isJsonType(op.meta.contentType ?? JSON_TYPE);
    const bytes = body instanceof Uint8Array ? body : undefined;
    const after = isRecord ? bytes : undefined;
    const { publication: properties } = op;
    const publication = properties && { properties, payload: isRecord ? undefined : bytes };
    const relay = op.cameFrom?.relay ?? clientsRelay(batch, op);
    const author = op.cameFrom?.author;
    const told = { version, table, id, before, after, publication, author, relay };
    return batch.append({ ...told, op: 'put' });
  }
  if (op.entryKind === 'negative' && before !== null) {
    return batch.append({ version, table, op: 'delete', id, before });
  }
  return batch.state.sequence;
}

/** What the store adds to what the operation says. */
type Decided = Pick<RowDraft, 'version' | 'author' | 'stamp' | 'meta' | 'entityTag' | 'body'>;

/** Written out field by field: spreading objects this large is the dearest part of a write. */
function draftOf(op: PutOp, decided: Decided): RowDraft {
  const { times } = op;
  return {
    kind: op.entryKind,
    status: op.status,
    version: decided.version,
    author: decided.author,
    stamp: decided.stamp,
    storedAt: op.storedAt,
    initialAge: op.initialAge,
    freshUntil: times.freshUntil,
    staleWhileRevalidateUntil: times.staleWhileRevalidateUntil,
    staleIfErrorUntil: times.staleIfErrorUntil,
    evictAt: times.evictAt,
    mustValidate: op.mustValidate,
    staleForbidden: op.staleForbidden,
    entityTag: decided.entityTag,
    isLocal: op.isLocal,
    meta: decided.meta,
    body: decided.body,
  };
}

function indexedAnew(batch: Batch, op: PutOp, body: Body) {
  const record = body instanceof Uint8Array ? parseObject(body) : undefined;
  return record === undefined ? undefined : batch.parts.rules.indexedValues(op.table, record);
}

interface Stamps {
  readonly created: unknown;
  readonly updated: unknown;
}

function stampsOf(current: EntryView, names: StampAttributes): Stamps | undefined {
  if (names === undefined) return undefined;
  const record = storedRecord(current);
  if (record === undefined) return undefined;
  return {
    created: names.created === undefined ? undefined : record[names.created],
    updated: names.updated === undefined ? undefined : record[names.updated],
  };
}

/**
 * The body with the time of creation and of this update in it; `asBefore` is the body as it would
 * be with the old times, by which an unchanged record is known.
 */
function withStamps(
  body: Uint8Array,
  definition: TableDefinition,
  names: StampAttributes,
  old: Stamps | undefined,
  now: number,
): { readonly now: Uint8Array; readonly asBefore: Uint8Array } {
  const record = names === undefined ? undefined : parseObject(body);
  if (names === undefined || record === undefined) return { now: body, asBefore: body };
  const encode = (created: unknown, updated: unknown) => {
    const stamped = { ...record };
    if (names.created !== undefined) stamped[names.created] = created;
    if (names.updated !== undefined) stamped[names.updated] = updated;
    return Buffer.from(JSON.stringify(stamped));
  };
  const created = old?.created ?? instantFor(definition, names.created, now);
  return {
    now: encode(created, instantFor(definition, names.updated, now)),
    asBefore: encode(created, old?.updated),
  };
}

/** An instant as the attribute's type writes it: a text for dates, else milliseconds. */
export function instantFor(
  definition: TableDefinition,
  attribute: string | undefined,
  now: number,
): string | number {
  const type = definition.attributes.find((known) => known.name === attribute)?.type;
  return type === 'Date' || type === 'String' ? new Date(now).toISOString() : now;
}
