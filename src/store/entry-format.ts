/**
 * The stored form of an entry: a fixed little-endian header, the entity tag as ASCII, a msgpack
 * block with what is seldom asked for, and the body exactly as a `GET` answers it. A reader of the
 * header decodes nothing else. Whatever may be missing has a bit of its own in `flags`; a value of
 * zero never stands for absence.
 *
 * A change of this layout is a new `FORMAT_VERSION`, a reader for the old one, and a golden file
 * (`test/fixtures/store-entries`).
 */
import { Packr } from 'msgpackr';
import { assert } from '../base/assert.ts';
import type {
  DurationMs,
  EntityTag,
  EpochMs,
  NodeId,
  RecordVersion,
  Sequence,
} from '../base/brands.ts';
import type { EntryKind, EntryMeta, StoredBody } from '../cache/entry.ts';

export const FORMAT_VERSION = 1;

export const KINDS: readonly EntryKind[] = ['record', 'negative', 'pass', 'tombstone', 'vary'];

/** Presence bits and booleans. */
export const FLAG = {
  mustValidate: 1,
  staleForbidden: 2,
  meta: 4,
  bodyReferenced: 8,
  keyHashed: 16,
  entityTag: 32,
  lastModified: 64,
  contentType: 128,
  bodyInFile: 256,
  local: 512,
} as const;

/** Byte offsets of the header's fields. */
export const AT = {
  format: 0,
  kind: 1,
  status: 2,
  flags: 4,
  version: 8,
  authorLow: 16,
  authorHigh: 20,
  tagLength: 22,
  stamp: 24,
  storedAt: 32,
  initialAge: 40,
  freshUntil: 48,
  staleWhileRevalidateUntil: 56,
  staleIfErrorUntil: 64,
  evictAt: 72,
  lastModified: 80,
  metaLength: 88,
  bodyLength: 92,
  check: 96,
} as const;
export const HEADER_BYTES = 100;

/** Where a body that is kept apart stands in its entry: its number in the body store. */
export const BODY_REFERENCE_BYTES = 8;

/** Where a body is kept: in the entry, in chunks beside it, or in a file named by its meta. */
export type PlacedBody =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'referenced'; readonly bodyId: number; readonly length: number }
  | { readonly kind: 'file'; readonly file: StoredBody };

/** Everything that is stored of an entry but its meta, its body, and what follows from them. */
export interface DraftFacts {
  readonly kind: EntryKind;
  readonly status: number;
  readonly version: RecordVersion;
  readonly author: NodeId;
  readonly stamp: Sequence;
  readonly storedAt: EpochMs;
  readonly initialAge: DurationMs;
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
  readonly mustValidate: boolean;
  readonly staleForbidden: boolean;
  readonly entityTag: EntityTag | undefined;
  /** Seen on this node only: replication/SPEC.md §15. */
  readonly isLocal?: boolean | undefined;
}

/** What is stored after the header. */
export interface DraftTail {
  readonly keyHashed: boolean;
  readonly meta: EntryMeta;
  readonly body: PlacedBody;
}

// Plain msgpack: no records, no structures shared between entries, so that every entry can be read
// by itself, copied to a peer as it is, and read after an upgrade.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false });
export const packPlain = (value: unknown): Buffer => packr.pack(value);
export const unpackPlain = (bytes: Uint8Array): unknown => packr.unpack(bytes);

/** Absent fields are left out, not written as nil. */
function present(meta: EntryMeta): Record<string, unknown> | undefined {
  let found: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(meta)) {
    if (value === undefined) continue;
    found ??= {};
    found[name] = value;
  }
  return found;
}

let scratch = Buffer.allocUnsafeSlow(128 * 1024);

/**
 * The bytes of an entry, in a buffer which the next call uses again: to be stored or copied at
 * once.
 */
export function encodeEntry(facts: DraftFacts, tail: DraftTail): Uint8Array {
  const { body } = tail;
  const fields = present(tail.meta);
  const meta = fields === undefined ? undefined : packPlain(fields);
  const metaLength = meta?.length ?? 0;
  const tag = facts.entityTag ?? '';
  const inline = body.kind === 'inline' ? body.bytes : undefined;
  const tailLength = inline?.length ?? (body.kind === 'file' ? 0 : BODY_REFERENCE_BYTES);
  const bodyAt = HEADER_BYTES + tag.length + metaLength;
  if (scratch.length < bodyAt + tailLength)
    scratch = Buffer.allocUnsafeSlow((bodyAt + tailLength) * 2);
  const bytes = scratch;
  writeHeader(bytes, facts, tail, tag.length, metaLength);
  bytes.write(tag, HEADER_BYTES, 'latin1');
  meta?.copy(bytes, HEADER_BYTES + tag.length);
  if (inline !== undefined) bytes.set(inline, bodyAt);
  else if (body.kind === 'referenced') bytes.writeDoubleLE(body.bodyId, bodyAt);
  bytes.writeUInt32LE(checkOf(bytes, 0, bodyAt), AT.check);
  return bytes.subarray(0, bodyAt + tailLength);
}

/** Whether stored bytes are an entry for this node only, without looking at the rest of them. */
export const isLocalEntry = (bytes: Uint8Array): boolean =>
  ((bytes[AT.flags + 1] ?? 0) & (FLAG.local >> 8)) !== 0;

function writeHeader(
  bytes: Buffer,
  draft: DraftFacts,
  tail: DraftTail,
  tagLength: number,
  metaLength: number,
): void {
  const kind = KINDS.indexOf(draft.kind);
  assert(kind >= 0, 'an entry has one of the known kinds');
  bytes[AT.format] = FORMAT_VERSION;
  bytes[AT.kind] = kind;
  bytes.writeUInt16LE(draft.status, AT.status);
  bytes.writeUInt32LE(flagsOf(draft, tail, metaLength), AT.flags);
  bytes.writeDoubleLE(draft.version, AT.version);
  bytes.writeUIntLE(draft.author, AT.authorLow, 6);
  bytes.writeUInt16LE(tagLength, AT.tagLength);
  bytes.writeDoubleLE(draft.stamp, AT.stamp);
  bytes.writeDoubleLE(draft.storedAt, AT.storedAt);
  bytes.writeDoubleLE(draft.initialAge, AT.initialAge);
  bytes.writeDoubleLE(draft.freshUntil, AT.freshUntil);
  bytes.writeDoubleLE(draft.staleWhileRevalidateUntil, AT.staleWhileRevalidateUntil);
  bytes.writeDoubleLE(draft.staleIfErrorUntil, AT.staleIfErrorUntil);
  bytes.writeDoubleLE(draft.evictAt, AT.evictAt);
  bytes.writeDoubleLE(tail.meta.lastModified ?? 0, AT.lastModified);
  bytes.writeUInt32LE(metaLength, AT.metaLength);
  const { body } = tail;
  bytes.writeUInt32LE(lengthInHeader(body), AT.bodyLength);
}

/** A file's length may be beyond what the field can hold: it is in the meta. */
function lengthInHeader(body: PlacedBody): number {
  if (body.kind === 'file') return 0;
  return body.kind === 'inline' ? body.bytes.length : body.length;
}

function flagsOf(draft: DraftFacts, tail: DraftTail, metaLength: number): number {
  const { keyHashed, meta, body } = tail;
  return (
    (draft.mustValidate ? FLAG.mustValidate : 0) |
    (draft.staleForbidden ? FLAG.staleForbidden : 0) |
    (metaLength > 0 ? FLAG.meta : 0) |
    (body.kind === 'referenced' ? FLAG.bodyReferenced : 0) |
    (body.kind === 'file' ? FLAG.bodyInFile : 0) |
    (keyHashed ? FLAG.keyHashed : 0) |
    (draft.isLocal === true ? FLAG.local : 0) |
    (draft.entityTag === undefined ? 0 : FLAG.entityTag) |
    (meta.lastModified === undefined ? 0 : FLAG.lastModified) |
    (meta.contentType === undefined ? 0 : FLAG.contentType)
  );
}

/**
 * A checksum over all but the body: cheap enough for every read. A damaged header would be the
 * worst to believe (it says how fresh the entry is); the body has its entity tag.
 */
export function checkOf(bytes: Uint8Array, from: number, bodyAt: number): number {
  let check = 0x811c9dc5;
  const end = from + AT.check;
  for (let at = from; at < end; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    check = Math.imul(check ^ word, 0x01000193);
    check ^= check >>> 15;
  }
  for (let at = from + HEADER_BYTES; at < from + bodyAt; at += 1) {
    check = Math.imul(check ^ (bytes[at] ?? 0), 0x01000193);
  }
  return (check ^ (check >>> 16)) >>> 0;
}
