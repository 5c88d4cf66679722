/**
 * One call of application code: its context, its transaction, what it read. Lives as long as the
 * chain of awaits which began with it.
 */
import { type EpochMs, epochMs } from '../base/brands.ts';
import { type Entry, FOREVER } from '../cache/entry.ts';
import type { TableDefinition, Verb } from '../schema/definition.ts';
import type { Context } from './context.ts';
import { type Commit, Transaction } from './transaction.ts';

/** Whether the client of a call may do this with a table. */
export type MayDo = (definition: TableDefinition, verb: Verb) => boolean;

export interface CallParts {
  readonly context: Context;
  readonly commit: Commit;
  readonly may: MayDo;
}

const GROUPS_MAX = 256;

export class Call {
  readonly context: Context;
  readonly may: MayDo;
  readonly transaction: Transaction;
  readonly reads = new ReadFacts();
  readonly #parts: CallParts;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.context = parts.context;
    this.may = parts.may;
    this.transaction = new Transaction(parts.commit);
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
  readonly #groups = new Set<string>();

  /** One record was read. */
  add(typeName: string, entry: Entry): void {
    this.#lastModified = Math.max(this.#lastModified, entry.lastModified);
    if (entry.freshUntil < this.#freshUntil) this.#freshUntil = entry.freshUntil;
    if (this.#groups.size >= GROUPS_MAX) this.#queried = true;
    else this.#groups.add(`${typeName}/${entry.id};v=${entry.version}`);
  }

  /** A whole collection was looked at: any of its changes may concern the answer. */
  addCollection(typeName: string): void {
    this.#queried = true;
    if (this.#groups.size < GROUPS_MAX) this.#groups.add(typeName);
  }

  /** `undefined` when nothing was read, or when the newest record does not tell. */
  get lastModified(): EpochMs | undefined {
    return this.#lastModified === 0 || this.#queried ? undefined : epochMs(this.#lastModified);
  }

  get freshUntil(): EpochMs {
    return this.#freshUntil;
  }

  get groups(): readonly string[] {
    return [...this.#groups];
  }
}
