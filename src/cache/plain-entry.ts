/**
 * An `Entry` over plain fields which owns its bytes: what a flight hands to those who wait before
 * the store has it, what crosses threads, what tests make. Its fields survive structured cloning.
 */
import {
  type EntityTag,
  type EpochMs,
  type NodeId,
  nodeId,
  type RecordId,
  type RecordVersion,
  recordVersion,
  type Sequence,
} from '../base/brands.ts';
import type { Entry, EntryFacts, EntryMeta, StoredBody } from './entry.ts';
import type { FillDraft } from './ports.ts';

/** An entry without behaviour: may be posted to another thread. */
export interface PlainEntryFields extends EntryFacts {
  readonly id: RecordId;
  readonly entityTag: EntityTag;
  readonly lastModified: EpochMs;
  readonly meta: EntryMeta;
  readonly body: Uint8Array;
}

/** The version of an entry which the store has not numbered. */
export const UNNUMBERED: RecordVersion = recordVersion(0);
const NO_BYTES = new Uint8Array(0);
const NOBODY: NodeId = nodeId(0);

/** An entry over fields; `body` must be owned by the caller and never change. */
export const plainEntry = (fields: PlainEntryFields): Entry => new PlainEntry(fields);

/**
 * A class, and no object that is spread together: V8 makes hash tables of several kilobytes of
 * those, and each fetch makes three.
 */
class PlainEntry implements Entry {
  readonly id: RecordId;
  readonly kind: Entry['kind'];
  readonly status: number;
  readonly version: RecordVersion;
  readonly author: NodeId;
  readonly stamp: Sequence;
  readonly storedAt: EpochMs;
  readonly initialAge: Entry['initialAge'];
  readonly freshUntil: EpochMs;
  readonly staleWhileRevalidateUntil: EpochMs;
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
  readonly mustValidate: boolean;
  readonly staleForbidden: boolean;
  readonly entityTag: EntityTag;
  readonly lastModified: EpochMs;
  readonly meta: EntryMeta;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly storedBody: StoredBody | undefined;
  readonly bodyLength: number;

  constructor(fields: PlainEntryFields) {
    this.id = fields.id;
    this.kind = fields.kind;
    this.status = fields.status;
    this.version = fields.version;
    this.author = fields.author;
    this.stamp = fields.stamp;
    this.storedAt = fields.storedAt;
    this.initialAge = fields.initialAge;
    this.freshUntil = fields.freshUntil;
    this.staleWhileRevalidateUntil = fields.staleWhileRevalidateUntil;
    this.staleIfErrorUntil = fields.staleIfErrorUntil;
    this.evictAt = fields.evictAt;
    this.mustValidate = fields.mustValidate;
    this.staleForbidden = fields.staleForbidden;
    this.entityTag = fields.entityTag;
    this.lastModified = fields.lastModified;
    this.meta = fields.meta;
    this.body = fields.body;
    this.contentType = fields.meta.contentType ?? 'application/json';
    this.storedBody = fields.meta.body;
    this.bodyLength = fields.meta.body?.length ?? fields.body.length;
  }

  retain(): Entry {
    return this;
  }
}

/** The fields of an entry, to be posted. `entry` must own its bytes (`retain` it first). */
export function entryFields(entry: Entry): PlainEntryFields {
  return {
    id: entry.id,
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
    entityTag: entry.entityTag,
    lastModified: entry.lastModified,
    meta: entry.meta,
    body: entry.body,
  };
}

/** The strong tag of a body: the store's own definition, given by whoever assembles the node. */
export type TagOf = (body: Uint8Array | StoredBody) => EntityTag;

/** The entry which a draft will become; `version` is 0 until the store has numbered it. */
export function entryOfDraft(
  draft: FillDraft,
  tagOf: TagOf,
  version: RecordVersion = UNNUMBERED,
): Entry {
  const { body, meta } = draft;
  const isInFile = !(body instanceof Uint8Array);
  return plainEntry({
    id: draft.id,
    kind: draft.kind,
    status: draft.status,
    version,
    author: NOBODY,
    stamp: draft.stamp,
    storedAt: draft.storedAt,
    initialAge: draft.initialAge,
    freshUntil: draft.freshUntil,
    staleWhileRevalidateUntil: draft.staleWhileRevalidateUntil,
    staleIfErrorUntil: draft.staleIfErrorUntil,
    evictAt: draft.evictAt,
    mustValidate: draft.mustValidate,
    staleForbidden: draft.staleForbidden,
    entityTag: draft.entityTag ?? tagOf(draft.body),
    lastModified: draft.meta.lastModified ?? draft.storedAt,
    meta: isInFile ? { ...meta, body } : meta,
    body: isInFile ? NO_BYTES : body,
  });
}

/** The same entry as if its fetch had begun at `stamp`: for asking what was invalidated since. */
export function restamped(entry: Entry, stamp: Sequence): Entry {
  return plainEntry({ ...entryFields(entry), stamp });
}
