/**
 * A stored record with its cache facts, as the rules of this folder see it. The store implements
 * `Entry` as a view over bytes (nothing is decoded before it is asked for); tests implement it as
 * a plain object.
 *
 * Invariants: `isFresh ⇔ now < freshUntil`; an instant that does not apply is `NEVER` (no such
 * permission) or `FOREVER` (no bound).
 */
import type {
  DurationMs,
  EntityTag,
  EpochMs,
  NodeId,
  RecordId,
  RecordVersion,
  Sequence,
} from '../base/brands.ts';

/** No such permission: before every instant. */
export const NEVER = 0 as EpochMs;
/** No bound: after every instant. A finite number, so that it survives every codec. */
export const FOREVER = Number.MAX_SAFE_INTEGER as EpochMs;

/**
 * What an entry stands for: a `record` (or page); the origin's word that there is none
 * (`negative`); a `pass` marker, which says that replies for this key cannot be shared
 * (hit-for-miss); a `tombstone`, which remembers a delete until its retention ends; a `vary` row,
 * which says by which request fields the variants of a page are told apart.
 */
export type EntryKind = 'record' | 'negative' | 'pass' | 'tombstone' | 'vary';

/** What `decide` looks at. */
export interface EntryFacts {
  readonly kind: EntryKind;
  /** HTTP status of the stored response: 200 for records. */
  readonly status: number;
  readonly version: RecordVersion;
  readonly author: NodeId;
  /** The sequence when the entry's fetch began, or at which its write committed. */
  readonly stamp: Sequence;
  /** When the response was received or the write committed. */
  readonly storedAt: EpochMs;
  /** Corrected initial age [RFC9111 §4.2.3]; 0 for records made here. */
  readonly initialAge: DurationMs;
  readonly freshUntil: EpochMs;
  /** End of the permission to serve stale while a refresh runs [RFC5861 §3]; `NEVER` when none. */
  readonly staleWhileRevalidateUntil: EpochMs;
  /** End of the permission to serve stale when the origin fails [RFC5861 §4]; `NEVER` when none. */
  readonly staleIfErrorUntil: EpochMs;
  readonly evictAt: EpochMs;
  /** The stored response said `no-cache` [RFC9111 §5.2.2.4]. */
  readonly mustValidate: boolean;
  /** `must-revalidate`, or `proxy-revalidate` / `s-maxage` for a shared cache [RFC9111 §4.2.4]. */
  readonly staleForbidden: boolean;
}

/** A complete body in a file of the store; plain data, so that a write operation can carry it. */
export interface StoredBody {
  /** Names the body's file: unique on this node, made by the store. */
  readonly name: string;
  readonly length: number;
  /** Hex digest (SHA-256) of the bytes. */
  readonly digest: string;
}

/** The bytes of a `Blob` attribute; the record has a reference to them in its place. */
export interface StoredBlob {
  readonly contentType: string;
  readonly entityTag: EntityTag;
  readonly body: StoredBody;
}

/** The part of an entry that is decoded only when somebody asks for it. */
export interface EntryMeta {
  /** Media type when it is not `application/json`. */
  readonly contentType?: string | undefined;
  /** The file that holds the body; set by the store from what the write brought. */
  readonly body?: StoredBody | undefined;
  /** Attribute → its bytes, as long as the record refers to them. */
  readonly blobs?: Readonly<Record<string, StoredBlob>> | undefined;
  /** The origin's `Last-Modified`. */
  readonly lastModified?: EpochMs | undefined;
  /** The origin's entity tag as it came, weak ones too: what a revalidation sends back. */
  readonly originTag?: EntityTag | undefined;
  /** What its publisher said beside it (MQTT): opaque to all but its protocol. */
  readonly publication?: Uint8Array | undefined;
  /** Names by which this entry is invalidated together with others [RFC9875]. */
  readonly groups?: readonly string[] | undefined;
  /** Stored field lines of a page, joined by line feeds; see `cache/pages/stored-fields.ts`. */
  readonly fieldLines?: string | undefined;
  /** The `Range` for which a stored part of a page came. */
  readonly askedRange?: string | undefined;
  /** Stored response header fields (page caches). */
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** The whole key of an entry which is stored under a hash of it. */
  readonly fullKey?: string | undefined;
  /** Normalised values of the request fields named by `Vary`. */
  readonly variant?: Readonly<Record<string, string>> | undefined;
  /** By what replicas merge a row that is not simply what was put last; see `row-entry.ts`. */
  readonly merging?: MergingMeta | undefined;
  /** Attribute → values under which this entry stands in that attribute's index. */
  readonly indexed?: IndexedValues | undefined;
}

/** A write: its version and author. */
export type PackedStamp = readonly [version: RecordVersion, author: NodeId];

/** What was done to an attribute since the base; short, since every patched row carries it. */
export type TouchedMeta = readonly [
  /** Its place among the attributes of the base; -1 for a new one. */
  place: number,
  /** The newest write of a value; empty when there was none. */
  set: readonly [version?: RecordVersion, author?: NodeId, isRemoved?: 0 | 1],
  /** The number that is added to, and by author what was added. */
  added:
    | readonly [
        from: number,
        ...sums: (readonly [author: NodeId, sum: number, version: RecordVersion])[],
      ]
    | null,
  /** Its value, where the record does not hold it. */
  value?: unknown,
];

/** The parts of a `RowState` which the entry does not show. */
export interface MergingMeta {
  /** The last full put or delete; `null` when there was none. */
  readonly base: readonly [version: RecordVersion, author: NodeId, isDelete: 0 | 1] | null;
  readonly revived?: PackedStamp | undefined;
  /** Who set the times, when it was not the base. */
  readonly times?: PackedStamp | undefined;
  readonly touched?: Readonly<Record<string, TouchedMeta>> | undefined;
}

/** What an index can hold for an attribute; `null` is indexed too. */
export type IndexValue = string | number | boolean | null;
export type IndexedValues = Readonly<Record<string, readonly IndexValue[]>>;

export interface Entry extends EntryFacts {
  readonly id: RecordId;
  /** Written for this node only: no other is to see it. */
  readonly isLocal?: boolean | undefined;
  /** Strong: a hash of the body's bytes, or the origin's own strong tag. */
  readonly entityTag: EntityTag;
  readonly lastModified: EpochMs;
  /**
   * `application/json` unless the meta block says otherwise; a record's is known without decoding
   * it.
   */
  readonly contentType: string;
  readonly meta: EntryMeta;
  /**
   * The bytes a `GET` answers. A view which is valid only inside the `withEntry` callback that
   * handed the entry out; an entry that must live longer is `retain`ed first. Empty when the body
   * is in a file (`storedBody`): it must not be taken for the body then.
   */
  readonly body: Uint8Array;
  /** The file that holds the body, when one does: it is read with a `BodyStore`. */
  readonly storedBody: StoredBody | undefined;
  /** Length of the body, wherever it is. */
  readonly bodyLength: number;
  /** A copy which owns its bytes; an entry which already owns them returns itself. */
  retain(): Entry;
}
