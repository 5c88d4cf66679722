/**
 * An `Entry` read straight from stored bytes: attaching decodes nothing and makes nothing but the
 * cut of the body when somebody asks for it. One view is used again and again by its reader; it is
 * good only until it is attached anew. `retain` makes an entry that owns its bytes.
 *
 * Bytes that are not an entry of a known format are refused by `attach` and never half-read.
 */
import {
  type DurationMs,
  type EntityTag,
  type EpochMs,
  entityTag,
  type NodeId,
  type RecordId,
  type RecordVersion,
  type Sequence,
} from '../base/brands.ts';
import { versionTime } from '../base/hlc.ts';
import type { Entry, EntryKind, EntryMeta, StoredBody } from '../cache/entry.ts';
import {
  AT,
  BODY_REFERENCE_BYTES,
  checkOf,
  FLAG,
  FORMAT_VERSION,
  HEADER_BYTES,
  KINDS,
  unpackPlain,
} from './entry-format.ts';

/** Fills `whole` with a body that is kept apart; `undefined` when it is gone. */
export type LoadBody = (bodyId: number, whole: Uint8Array) => Uint8Array | undefined;

/** Bodies kept apart up to so many bytes are read into memory that the view uses again. */
const SCRATCH_BYTES_MAX = 256 * 1024;

const NO_META: EntryMeta = Object.freeze({});
const NO_BYTES = new Uint8Array(0);
const JSON_TYPE = 'application/json';

export class EntryView implements Entry {
  id: RecordId = '';
  #bytes: Uint8Array = NO_BYTES;
  #buffer: ArrayBufferLike = NO_BYTES.buffer;
  #view: DataView = new DataView(NO_BYTES.buffer);
  #text = Buffer.from(NO_BYTES.buffer);
  #base = 0;
  #flags = 0;
  #bodyAt = 0;
  #meta: EntryMeta | undefined;
  #body: Uint8Array | undefined;
  #owned = false;
  #scratch: Uint8Array = NO_BYTES;
  readonly #loadBody: LoadBody;
  readonly #isReused: boolean;

  /** `isReused`: nobody looks at a body once the view is attached to another entry. */
  constructor(loadBody: LoadBody, isReused = false) {
    this.#loadBody = loadBody;
    this.#isReused = isReused;
  }

  /** Looks at `bytes` from now on; false, and no change of meaning, when they are no entry. */
  attach(id: RecordId, bytes: Uint8Array): boolean {
    if (bytes.length < HEADER_BYTES) return false;
    // Reads come from one buffer nearly always: its views are made once.
    if (bytes.buffer !== this.#buffer) {
      this.#buffer = bytes.buffer;
      this.#view = new DataView(bytes.buffer);
      this.#text = Buffer.from(bytes.buffer as ArrayBuffer);
    }
    this.#base = bytes.byteOffset;
    this.#bytes = bytes;
    this.#meta = undefined;
    this.#body = undefined;
    this.#owned = false;
    this.id = id;
    return this.#isSound();
  }

  #isSound(): boolean {
    const view = this.#view;
    const base = this.#base;
    if (view.getUint8(base + AT.format) !== FORMAT_VERSION) return false;
    if (view.getUint8(base + AT.kind) >= KINDS.length) return false;
    this.#flags = view.getUint32(base + AT.flags, true);
    const metaLength = view.getUint32(base + AT.metaLength, true);
    const bodyLength = view.getUint32(base + AT.bodyLength, true);
    this.#bodyAt = HEADER_BYTES + view.getUint16(base + AT.tagLength, true) + metaLength;
    const tail = this.#has(FLAG.bodyReferenced) ? BODY_REFERENCE_BYTES : bodyLength;
    if (this.#bytes.length !== this.#bodyAt + tail) return false;
    return checkOf(this.#bytes, 0, this.#bodyAt) === view.getUint32(base + AT.check, true);
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #double(at: number): number {
    return this.#view.getFloat64(this.#base + at, true);
  }

  get kind(): EntryKind {
    return KINDS[this.#view.getUint8(this.#base + AT.kind)] ?? 'tombstone';
  }
  get status(): number {
    return this.#view.getUint16(this.#base + AT.status, true);
  }
  get version(): RecordVersion {
    return this.#double(AT.version) as RecordVersion;
  }
  get author(): NodeId {
    const low = this.#view.getUint32(this.#base + AT.authorLow, true);
    return (low + this.#view.getUint16(this.#base + AT.authorHigh, true) * 2 ** 32) as NodeId;
  }
  get stamp(): Sequence {
    return this.#double(AT.stamp) as Sequence;
  }
  get storedAt(): EpochMs {
    return this.#double(AT.storedAt) as EpochMs;
  }
  get initialAge(): DurationMs {
    return this.#double(AT.initialAge) as DurationMs;
  }
  get freshUntil(): EpochMs {
    return this.#double(AT.freshUntil) as EpochMs;
  }
  get staleWhileRevalidateUntil(): EpochMs {
    return this.#double(AT.staleWhileRevalidateUntil) as EpochMs;
  }
  get staleIfErrorUntil(): EpochMs {
    return this.#double(AT.staleIfErrorUntil) as EpochMs;
  }
  get evictAt(): EpochMs {
    return this.#double(AT.evictAt) as EpochMs;
  }
  get mustValidate(): boolean {
    return this.#has(FLAG.mustValidate);
  }
  get staleForbidden(): boolean {
    return this.#has(FLAG.staleForbidden);
  }
  get isLocal(): boolean {
    return this.#has(FLAG.local);
  }
  get keyHashed(): boolean {
    return this.#has(FLAG.keyHashed);
  }
  /** Bytes stored for the entry, a body kept apart included. */
  get storedBytes(): number {
    const isApart = this.#has(FLAG.bodyReferenced) || this.#has(FLAG.bodyInFile);
    return this.#bytes.length + (isApart ? this.bodyLength : 0);
  }
  get storedBody(): StoredBody | undefined {
    return this.#has(FLAG.bodyInFile) ? this.meta.body : undefined;
  }
  get bodyLength(): number {
    if (this.#has(FLAG.bodyInFile)) return this.meta.body?.length ?? 0;
    return this.#view.getUint32(this.#base + AT.bodyLength, true);
  }
  /** Number of the body in the body store; `undefined` when it is inline. */
  get bodyId(): number | undefined {
    return this.#has(FLAG.bodyReferenced) ? this.#double(this.#bodyAt) : undefined;
  }
  get entityTag(): EntityTag {
    const from = this.#base + HEADER_BYTES;
    const length = this.#view.getUint16(this.#base + AT.tagLength, true);
    return entityTag(this.#text.toString('latin1', from, from + length));
  }
  /** The origin's date; for a record made here the time of its version. */
  get lastModified(): EpochMs {
    if (this.#has(FLAG.lastModified)) return this.#double(AT.lastModified) as EpochMs;
    return versionTime(this.version);
  }

  get contentType(): string {
    return this.#has(FLAG.contentType) ? (this.meta.contentType ?? JSON_TYPE) : JSON_TYPE;
  }

  get meta(): EntryMeta {
    if (this.#meta === undefined) {
      const length = this.#view.getUint32(this.#base + AT.metaLength, true);
      const from = this.#bodyAt - length;
      this.#meta = this.#has(FLAG.meta)
        ? (unpackPlain(this.#bytes.subarray(from, this.#bodyAt)) as EntryMeta)
        : NO_META;
    }
    return this.#meta;
  }

  get body(): Uint8Array {
    if (this.#body === undefined) {
      const { bodyId } = this;
      this.#body =
        bodyId === undefined
          ? this.#bytes.subarray(this.#bodyAt)
          : (this.#loadBody(bodyId, this.#roomFor(this.bodyLength)) ?? NO_BYTES);
    }
    return this.#body;
  }

  /** Fresh memory costs more than the copy that is made into it. */
  #roomFor(bytes: number): Uint8Array {
    if (!this.#isReused || bytes > SCRATCH_BYTES_MAX) return new Uint8Array(bytes);
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(bytes);
    return this.#scratch.subarray(0, bytes);
  }

  /** Whether the body kept apart can be had; an entry without it is not served. */
  get isComplete(): boolean {
    return this.bodyId === undefined || this.body.length === this.bodyLength;
  }

  retain(): Entry {
    if (this.#owned) return this;
    const copy = new EntryView(this.#loadBody);
    copy.attach(this.id, new Uint8Array(this.#bytes));
    if (this.bodyId !== undefined) copy.#body = this.#isReused ? this.body.slice() : this.body;
    copy.#owned = true;
    return copy;
  }
}
