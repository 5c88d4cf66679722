/**
 * Compressed forms of records, kept beside them in the store and made off the request path, after
 * the second read of an entry by somebody who could have used one.
 *
 * A form is an entry of its own: the record's id with a variant named after the coding, of kind
 * `pass`, which no scan, query, index or subscription takes for a record. It carries the entity tag
 * of the record whose bytes it holds and is used only while that is the record's tag, so a changed
 * record is never served in an old form. What is left behind by a deleted record evicts itself.
 *
 * Bounds: two compressions at a time, a short queue (what does not fit is tried at a later read),
 * and a fixed number of ids remembered as read once.
 */
import {
  type DurationMs,
  type EpochMs,
  later,
  type RecordId,
  type TableName,
} from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { Limit } from '../base/limit.ts';
import { type Entry, type EntryMeta, NEVER } from '../cache/entry.ts';
import type { StoreReader, StoreWriter, WriteOp } from './store-port.ts';

export type Compress<Coding> = (coding: Coding, bytes: Uint8Array) => Promise<Uint8Array>;

export interface EncodedBodiesParts<Coding> {
  readonly table: TableName;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly compress: Compress<Coding>;
  /** Shared by all tables of a thread. */
  readonly limit: Limit;
}

export interface FormTerms {
  /** Which variant of its id the entry is. */
  readonly of: string;
  /** Forms made before it do not count: a tag that others choose may stand for other bytes. */
  readonly since: EpochMs;
}

const ANY_FORM: FormTerms = Object.freeze({ of: '', since: NEVER });
const READ_ONCE_MAX = 4_096;
const KEPT_MAX = (24 * 60 * 60 * 1000) as DurationMs;
const NO_META: EntryMeta = Object.freeze({});
/** Begins the variants of this module: no request field can name one. */
const PREFIX = '\u0000';

export class EncodedBodies<Coding extends string> {
  readonly #parts: EncodedBodiesParts<Coding>;
  /** Coding and id of what was read once → its tag then; in order of reading. */
  readonly #readOnce = new Map<string, string>();
  readonly #underWay = new Set<string>();

  constructor(parts: EncodedBodiesParts<Coding>) {
    this.#parts = parts;
  }

  /**
   * Calls `fn` at once with the record's bytes under `coding`, or with `undefined` while they are
   * not kept. The bytes must not outlive the call.
   */
  withBody<T>(
    entry: Entry,
    coding: Coding,
    fn: (body: Uint8Array | undefined) => T,
    { of, since }: FormTerms = ANY_FORM,
  ): T {
    const { reader, table } = this.#parts;
    const tag = entry.entityTag;
    const variant = of === '' ? PREFIX + coding : PREFIX + coding + PREFIX + of;
    return reader.withEntry(table, entry.id, variant, (form) => {
      const isThere = form?.kind === 'pass' && form.storedAt >= since;
      if (isThere && form.entityTag === tag) return fn(form.body);
      this.#note(entry, coding, variant);
      return fn(undefined);
    });
  }

  #note(entry: Entry, coding: Coding, variant: string): void {
    const key = `${variant}:${typeof entry.id}:${entry.id}`;
    if (this.#underWay.has(key)) return;
    const isSecond = this.#readOnce.get(key) === entry.entityTag;
    this.#readOnce.delete(key);
    if (isSecond) this.#make(key, entry.retain(), coding, variant);
    else this.#remember(key, entry.entityTag);
  }

  #remember(key: string, tag: string): void {
    this.#readOnce.set(key, tag);
    if (this.#readOnce.size <= READ_ONCE_MAX) return;
    const [oldest] = this.#readOnce.keys();
    if (oldest !== undefined) this.#readOnce.delete(oldest);
  }

  #make(key: string, entry: Entry, coding: Coding, variant: string): void {
    const { compress, limit, writer, table, clock } = this.#parts;
    this.#underWay.add(key);
    const work = async () => {
      const body = await compress(coding, entry.body);
      // What does not shrink is kept as well: it says that another try is of no use.
      const op = formOp({ table, entry, variant, body, now: clock.now() });
      await writer.commit([op], 'process');
    };
    // Losing one costs a compression at a later read, not an answer.
    limit
      .run(work)
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(key));
  }
}

interface Form {
  readonly table: TableName;
  readonly entry: Entry;
  readonly variant: string;
  readonly body: Uint8Array;
  readonly now: EpochMs;
}

function formOp({ table, entry, variant, body, now }: Form): WriteOp {
  return {
    kind: 'put',
    table,
    id: entry.id as RecordId,
    variant,
    entryKind: 'pass',
    status: 200,
    body,
    meta: NO_META,
    entityTag: entry.entityTag,
    times: {
      freshUntil: NEVER,
      staleWhileRevalidateUntil: NEVER,
      staleIfErrorUntil: NEVER,
      evictAt: Math.min(entry.evictAt, later(now, KEPT_MAX)) as EpochMs,
    },
    storedAt: now,
    initialAge: 0 as DurationMs,
    mustValidate: false,
    staleForbidden: false,
    reason: 'fill',
    stamp: entry.stamp,
  };
}
