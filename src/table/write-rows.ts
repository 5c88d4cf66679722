/**
 * Rows without end, written while they come: in batches, each a transaction of its own, a few of
 * them under way at once. A row that fails is counted, the first of them are named; the others of
 * its batch are written, unless the writer is to stop at the first: then all rows before it are
 * written, and none behind it.
 *
 *   add ──► batch ──full──► commit (bounded number) ──► written, or failed with its row
 */
import { NodeError } from '../base/errors.ts';
import { formatRecordId } from '../schema/key.ts';
import type { DraftContext, JsonRecord } from './record-draft.ts';
import { succeeded, type WriteOp, type WriteOutcome } from './store-port.ts';
import type { Table } from './table.ts';
import {
  type DraftedRow,
  draftRow,
  takesLists,
  type WriteAllOptions,
  type WriteAllVerb,
} from './write-all.ts';

export interface WriteRowsTerms {
  readonly stopsAtFailure: boolean;
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  readonly batchesMax: number;
  readonly errorsMax: number;
  /** Resolves after so many milliseconds. */
  readonly wait: (ms: number) => Promise<void>;
}

/** A row as it came; `line` tells where. */
export interface GivenRow {
  readonly row: number;
  readonly line: number;
  readonly record: JsonRecord | NodeError;
}

export interface RowError {
  readonly row: number;
  readonly line: number;
  readonly attribute: string | undefined;
  readonly problem: string;
}

export interface RowsWritten {
  readonly written: number;
  readonly failed: number;
  /** The first that failed, in the order of the rows. */
  readonly errors: readonly RowError[];
}

interface Drafted extends DraftedRow {
  readonly given: GivenRow;
}

/** A batch for which the node has no room is offered again, so often and after so long. */
const SHED_TRIES_MAX = 100;
const SHED_WAIT_MS = 100;
const OP_BYTES = 100;

export class RowsWriter {
  readonly #table: Table;
  readonly #verb: WriteAllVerb;
  readonly #options: WriteAllOptions;
  readonly #terms: WriteRowsTerms;
  /** Batches that the commit may refuse in part are to be stopped at go one after the other. */
  readonly #oneByOne: boolean;
  #context: DraftContext;
  #batch: Drafted[] = [];
  #batchBytes = 0;
  readonly #underWay = new Set<Promise<void>>();
  #written = 0;
  #failed = 0;
  readonly #errors: RowError[] = [];
  /** Of rows which may not be written yet; kept where a guard judges only. */
  readonly #keys = new Set<unknown>();
  #isStopped = false;
  #fault: unknown;

  /** Throws `METHOD_NOT_ALLOWED` for a table which is written through its origin. */
  constructor(table: Table, verb: WriteAllVerb, options: WriteAllOptions, terms: WriteRowsTerms) {
    takesLists(table);
    this.#table = table;
    this.#verb = verb;
    this.#options = options;
    this.#terms = terms;
    const isConditional = Object.keys(options.condition ?? {}).length > 0;
    this.#oneByOne = terms.stopsAtFailure && (verb !== 'put' || isConditional);
    this.#context = table.draftContext();
  }

  get result(): RowsWritten {
    return { written: this.#written, failed: this.#failed, errors: this.#errors };
  }

  /**
   * Takes a row. True: give the next one; false: the writer has stopped at a failure. A promise of
   * either when there is something to wait for, as while too many batches are under way; it rejects
   * with `STORE_FULL`, `WRITE_QUEUE_FULL` or `STORE_FAILED`.
   */
  add(given: GivenRow): boolean | Promise<boolean> {
    if (this.#isStopped) return false;
    const { record } = given;
    if (record instanceof NodeError) return this.#refuse(given, record);
    let drafted: DraftedRow | Promise<DraftedRow>;
    try {
      drafted = this.#draft(record);
    } catch (error) {
      return this.#refuse(given, error);
    }
    if (!(drafted instanceof Promise)) return this.#take(given, drafted);
    return drafted.then(
      (row) => this.#take(given, row),
      (error: unknown) => this.#refuse(given, error),
    );
  }

  #draft(record: JsonRecord): DraftedRow | Promise<DraftedRow> {
    const draft = () => draftRow(this.#table, this.#context, this.#verb, record, this.#options);
    return this.#options.guard === undefined ? draft() : this.#awaitTwin(record).then(draft);
  }

  #take(given: GivenRow, { id, op }: DraftedRow): boolean | Promise<boolean> {
    this.#batch.push({ given, id, op });
    this.#batchBytes += OP_BYTES + bodyBytes(op);
    const { batchRowsMax, batchBytesMax } = this.#terms;
    const isFull = this.#batch.length >= batchRowsMax || this.#batchBytes >= batchBytesMax;
    return isFull ? this.#send().then(() => !this.#isStopped) : true;
  }

  /** Counts a row that cannot be drafted; rejects with what is not the client's mistake. */
  async #refuse(given: GivenRow, error: unknown): Promise<boolean> {
    if (!(error instanceof NodeError) || error.blame !== 'client') throw error;
    if (this.#terms.stopsAtFailure) await this.finish();
    // A row before this one may have failed in its commit.
    if (this.#isStopped) return false;
    this.#fail(given, error.message, attributeOf(this.#table, error));
    this.#isStopped = this.#terms.stopsAtFailure;
    return !this.#isStopped;
  }

  /** A guard judges by what is stored: an earlier row of the same key is written first. */
  async #awaitTwin(record: JsonRecord): Promise<void> {
    if (this.#options.guard === undefined) return;
    const key = record[this.#table.definition.primaryKey];
    if (this.#keys.has(key) || this.#keys.size >= this.#terms.batchRowsMax) {
      await this.finish();
      this.#keys.clear();
    }
    this.#keys.add(key);
  }

  /** Writes what is left and waits for all that is under way. Rejects as `add` does. */
  async finish(): Promise<RowsWritten> {
    if (this.#batch.length > 0) await this.#send();
    await Promise.all(this.#underWay);
    if (this.#fault !== undefined) throw this.#fault;
    return this.result;
  }

  async #send(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#context = this.#table.draftContext();
    const commit: Promise<void> = this.#commit(batch)
      .catch((error: unknown) => {
        this.#fault ??= error;
      })
      .finally(() => this.#underWay.delete(commit));
    this.#underWay.add(commit);
    if (this.#oneByOne || this.#underWay.size >= this.#terms.batchesMax) {
      await Promise.race(this.#underWay);
    }
    if (this.#fault !== undefined) throw this.#fault;
  }

  async #commit(batch: readonly Drafted[]): Promise<void> {
    const outcomes = await this.#outcomes(batch.map(({ op }) => op));
    if (!this.#oneByOne) {
      for (const [index, row] of batch.entries()) this.#settle(row, outcomes[index]);
      return;
    }
    const failing = outcomes.findIndex((outcome) => !succeeded(outcome));
    const failed = batch[failing];
    if (failed === undefined) {
      this.#written += batch.length;
      return;
    }
    // All was taken back; what stood before the failing row is written.
    if (failing > 0) await this.#commit(batch.slice(0, failing));
    if (this.#isStopped) return;
    this.#settle(failed, outcomes[failing]);
    this.#isStopped = true;
  }

  async #outcomes(ops: readonly WriteOp[]): Promise<readonly WriteOutcome[]> {
    for (let tries = 1; ; tries += 1) {
      const outcomes = await (this.#oneByOne
        ? this.#table.commitAll(ops)
        : this.#table.commitEach(ops));
      const shed = outcomes.find((outcome) => outcome.kind === 'shed');
      if (shed === undefined) return outcomes;
      if (shed.code === 'STORE_FULL' || tries === SHED_TRIES_MAX) {
        const { typeName } = this.#table.definition;
        const message = `${typeName}: the node has no room for more rows at the moment`;
        throw new NodeError(shed.code, message, { retry: 'later' });
      }
      await this.#terms.wait(SHED_WAIT_MS);
    }
  }

  #settle({ given, id }: Drafted, outcome: WriteOutcome | undefined): void {
    if (outcome === undefined || succeeded(outcome)) {
      this.#written += 1;
      return;
    }
    const { typeName, primaryKey } = this.#table.definition;
    const name = `${typeName}/${formatRecordId(id)}`;
    if (outcome.kind === 'invalid') {
      this.#fail(given, `${name}: ${outcome.problem}`, outcome.problem.split(':', 1)[0]);
      return;
    }
    this.#fail(given, `${name} ${this.#refusal(outcome)}`, primaryKey);
  }

  #refusal(outcome: WriteOutcome): string {
    if (outcome.kind === 'absent') return 'is not there; PUT makes records';
    if (this.#options.guard !== undefined && this.#verb !== 'create') {
      return 'was changed by another writer meanwhile, or is not as the request asked';
    }
    if (this.#verb === 'create') return 'exists already; PUT replaces records';
    const exists = outcome.kind === 'preconditionFailed' && outcome.current !== undefined;
    return exists
      ? 'exists already; the request, or what its user may, is for new records only'
      : 'is not there; the request, or what its user may, is for records which are';
  }

  #fail({ row, line }: GivenRow, problem: string, attribute: string | undefined): void {
    this.#failed += 1;
    this.#errors.push({ row, line, attribute, problem });
    this.#errors.sort((one, other) => one.row - other.row);
    if (this.#errors.length > this.#terms.errorsMax) this.#errors.pop();
  }
}

const bodyBytes = (op: WriteOp): number => {
  if (op.kind === 'put') return op.body instanceof Uint8Array ? op.body.length : 0;
  return op.kind === 'patch' ? op.patch.length : 0;
};

function attributeOf({ definition }: Table, { code, details }: NodeError): string | undefined {
  if (code === 'KEY_INVALID' || code === 'KEY_TOO_LONG') return definition.primaryKey;
  return typeof details.attribute === 'string' ? details.attribute : undefined;
}
