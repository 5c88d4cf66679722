/**
 * A record as an object that code changes: what `tables.X.update(id)` yields, and `this` in the
 * methods of a class over a table that are called on a record. Its attributes are properties; what
 * was changed of them is written as one patch when the transaction commits.
 *
 * An attribute named like a method does not hide the method: `getProperty` and `set` reach it.
 */
import type { JsonRecord } from '../table/record-draft.ts';
import { HeldBlob } from './blob.ts';
import type { RecordRead } from './record-read.ts';

/** The part of a record's state that is not in its properties. */
export class BoundRecord {
  /** The record as it was read; `undefined` when there was none. */
  before: JsonRecord | undefined;
  fromOrigin = false;
  updatedTime: number | undefined;
  expiresAt: number | undefined;
  readonly #holder: object;
  /** Attributes whose names the class uses for itself. */
  readonly #hidden = new Map<string, unknown>();
  /** Attribute → what is to be added to it when the record is written. */
  readonly #added = new Map<string, number>();

  constructor(holder: object) {
    this.#holder = holder;
  }

  /** Takes over what a read found, with its attributes as properties of the holder. */
  take({ found, fromOrigin }: RecordRead): void {
    this.before = found?.record;
    this.fromOrigin ||= fromOrigin;
    this.updatedTime = found?.updatedTime;
    this.expiresAt = found?.expiresAt;
    for (const [name, value] of Object.entries(found?.record ?? {})) {
      this.set(name, value instanceof HeldBlob ? value : structuredClone(value));
    }
  }

  get(name: string): unknown {
    if (this.#hidden.has(name)) return this.#hidden.get(name);
    return Object.hasOwn(this.#holder, name) ? Reflect.get(this.#holder, name) : undefined;
  }

  set(name: string, value: unknown): void {
    const prototype: unknown = Object.getPrototypeOf(this.#holder);
    if (typeof prototype === 'object' && prototype !== null && name in prototype) {
      this.#hidden.set(name, value);
      return;
    }
    const described = { value, enumerable: true, writable: true, configurable: true };
    Object.defineProperty(this.#holder, name, described);
  }

  /** Adds to a number so that nobody else's addition is lost. */
  add(name: string, by: number): void {
    if (!Number.isFinite(by)) throw new TypeError(`addTo(${JSON.stringify(name)}) takes a number`);
    this.#added.set(name, (this.#added.get(name) ?? 0) + by);
    const present = this.get(name);
    this.set(name, (typeof present === 'number' ? present : 0) + by);
  }

  /** The attributes as they are now. */
  toRecord(): JsonRecord {
    return { ...this.#holder, ...Object.fromEntries(this.#hidden) };
  }

  /** What differs from what was read, in the words of a patch; `undefined` when nothing does. */
  changes(): JsonRecord | undefined {
    const now = this.toRecord();
    const before = this.before ?? {};
    const names = new Set([...Object.keys(now), ...Object.keys(before)]);
    const changes: JsonRecord = {};
    for (const name of names) {
      const added = this.#added.get(name);
      const value = now[name];
      if (added !== undefined) changes[name] = { __op__: 'add', value: added };
      else if (JSON.stringify(value) !== JSON.stringify(before[name])) {
        changes[name] = value ?? null;
      }
    }
    return Object.keys(changes).length === 0 ? undefined : changes;
  }

  /** What was changed has been written. */
  saved(): void {
    // Through JSON: blobs stand there as the references which they are in the record.
    this.before = JSON.parse(JSON.stringify(this.toRecord())) as JsonRecord;
    this.#added.clear();
  }
}
