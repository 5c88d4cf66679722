/**
 * One call of application code: its context, its transaction, what it read. Lives as long as the
 * chain of awaits which began with it.
 */
import { type EpochMs, epochMs, type RecordId, type RecordVersion } from '../base/brands.ts';
import { type Entry, FOREVER } from '../cache/entry.ts';
import type { TableDefinition, Verb } from '../schema/definition.ts';
import { NO_RECORD, recordGroup, versionBefore } from '../table/record-groups.ts';
import type { Context } from './context.ts';
import type { FillTerms } from './source-call.ts';
import { type Commit, Transaction } from './transaction.ts';

/** Whether the client of a call may do this with a table. */
export type MayDo = (definition: TableDefinition, verb: Verb) => boolean;

export interface CallParts {
  readonly context: Context;
  readonly commit: Commit;
  readonly may: MayDo;
  /** Set for the fetch of an origin: what it writes are fills. */
  readonly fills?: FillTerms | undefined;
}

const GROUPS_MAX = 256;

export class Call {
  readonly context: Context;
  readonly may: MayDo;
  readonly transaction: Transaction;
  readonly reads = new ReadFacts();
  readonly fills: FillTerms | undefined;
  readonly #parts: CallParts;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.context = parts.context;
    this.may = parts.may;
    this.fills = parts.fills;
    this.transaction = new Transaction(parts.commit);
    // The latest call under a context is the one whose writes it speaks of.
    if (parts.fills === undefined) parts.context.transaction = this.transaction.handle;
  }

  /** The same call with a transaction of its own. */
  renewed(): Call {
    return new Call(this.#parts);
  }
}

/** What the records say that an answer was made from: the answer inherits it. */
export class ReadFacts {
  #lastModified = 0;
  #freshUntil: EpochMs = FOREVER;
  #queried = false;
  readonly #groups = new Map<string, RecordVersion>();

  /** One record was read. */
  add(typeName: string, entry: Entry): void {
    this.#lastModified = Math.max(this.#lastModified, entry.lastModified);
    if (entry.freshUntil < this.#freshUntil) this.#freshUntil = entry.freshUntil;
    this.#name(typeName, recordGroup(typeName, entry.id), entry.version);
  }

  /** A record was asked for which there is not. */
  addAbsent(typeName: string, id: RecordId): void {
    this.#queried = true;
    this.#name(typeName, recordGroup(typeName, id), NO_RECORD);
  }

  /** A whole collection was looked at: any of its changes may concern the answer. */
  addCollection(typeName: string, now: EpochMs): void {
    this.#queried = true;
    this.#name(typeName, typeName, versionBefore(now));
  }

  /** Of a group read twice the older version counts. Too many records stand for their table. */
  #name(typeName: string, group: string, version: RecordVersion): void {
    const isFull = this.#groups.size >= GROUPS_MAX && !this.#groups.has(group);
    const name = isFull ? typeName : group;
    const known = this.#groups.get(name);
    if (known === undefined || version < known) this.#groups.set(name, version);
  }

  /** `undefined` when nothing was read, or when the newest record does not tell. */
  get lastModified(): EpochMs | undefined {
    return this.#lastModified === 0 || this.#queried ? undefined : epochMs(this.#lastModified);
  }

  get freshUntil(): EpochMs {
    return this.#freshUntil;
  }

  get groups(): readonly string[] {
    return [...this.#groups].map(([group, version]) => `${group};v=${version}`);
  }
}
