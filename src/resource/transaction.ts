/**
 * The writes of one request, or of one `transaction(fn)`, committed together when it succeeds and
 * forgotten when it throws. What was written so far is seen by its own reads.
 *
 * Once committed it is used up: writes of code that runs on afterwards are committed one by one.
 * Once aborted (thrown, or past the deadline) it refuses further writes.
 */
import { must } from '../base/assert.ts';
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { WriteOp, WriteOutcome } from '../table/store-port.ts';
import { currentCall, threadScope } from './thread-scope.ts';

/** Commits operations of any tables in one commit. */
export type Commit = (ops: readonly WriteOp[]) => Promise<readonly WriteOutcome[]>;

const OPS_MAX = 10_000;

export interface TransactionHandle {
  /** When it began, milliseconds since 1970. */
  readonly timestamp: number;
  /** Writes what was asked for so far; what is asked for later is written by itself. */
  commit(): Promise<void>;
  /** Forgets what was asked for so far, and refuses what is asked for later. */
  abort(): void;
  /** Reads see what is newest in any case. */
  resetReadSnapshot(): void;
}

export class Transaction {
  readonly #commit: Commit;
  readonly #ops: WriteOp[] = [];
  /** `null`: deleted. */
  readonly #written = new Map<string, JsonRecord | null>();
  readonly #before: (() => Promise<void>)[] = [];
  #state: 'open' | 'committed' | 'aborted' = 'open';

  constructor(commit: Commit) {
    this.#commit = commit;
  }

  /** What application code may do with it. */
  readonly handle: TransactionHandle = {
    timestamp: Date.now(),
    commit: () => this.commit(),
    abort: () => this.abort(),
    resetReadSnapshot: () => undefined,
  };

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** The record as this transaction left it; `null`: deleted; `undefined`: not touched. */
  written(table: string, id: RecordId): JsonRecord | null | undefined {
    return this.#written.get(rowKey(table, id));
  }

  /** `after`: the whole record as it will be, where that is known. */
  async write(op: WriteOp, id: RecordId, after?: JsonRecord | null | undefined): Promise<void> {
    if (this.#state === 'aborted') throw ended();
    if (this.#state === 'committed') return settle([op], await this.#commit([op]));
    if (this.#ops.length >= OPS_MAX) {
      throw new NodeError('USAGE', `a transaction has at most ${OPS_MAX} writes`);
    }
    this.#ops.push(op);
    if (after !== undefined) this.#written.set(rowKey(op.table, id), after);
  }

  /** Runs `fn` before the commit, where it may still write; what it throws undoes everything. */
  beforeCommit(fn: () => Promise<void>): void {
    if (this.#before.length >= OPS_MAX) {
      throw new NodeError('USAGE', `a transaction updates at most ${OPS_MAX} records`);
    }
    this.#before.push(fn);
  }

  async commit(): Promise<void> {
    if (this.#state !== 'open') return;
    for (const fn of this.#before.splice(0)) await fn();
    if (!this.isOpen) throw ended();
    this.#state = 'committed';
    const ops = this.#ops.splice(0);
    this.#written.clear();
    if (ops.length > 0) settle(ops, await this.#commit(ops));
  }

  /** What was written, for somebody else to commit; the transaction is over then. */
  async taken(): Promise<readonly WriteOp[]> {
    for (const fn of this.#before.splice(0)) await fn();
    const ops = this.#ops.splice(0);
    this.abort();
    return ops;
  }

  abort(): void {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    this.#ops.length = 0;
    this.#before.length = 0;
    this.#written.clear();
  }
}

const rowKey = (table: string, id: RecordId): string => `${table}\n${typeof id} ${id}`;

const ended = (): NodeError =>
  new NodeError('USAGE', 'the request of this write was given up; nothing is written for it');

/** Throws for the first operation that the store did not take. */
function settle(ops: readonly WriteOp[], outcomes: readonly WriteOutcome[]): void {
  for (const [index, outcome] of outcomes.entries()) {
    const { table } = must(ops[index], 'operation of an outcome');
    if (outcome.kind === 'shed') {
      throw new NodeError(outcome.code, `${table} was not written`, { retry: 'later' });
    }
    if (outcome.kind === 'invalid') {
      throw new NodeError('RECORD_INVALID', `${table}: ${outcome.problem}`, { blame: 'client' });
    }
    if (outcome.kind === 'preconditionFailed') {
      throw new NodeError('RECORD_EXISTS', `${table}: there is such a record already`, {
        blame: 'client',
      });
    }
  }
}

type Transacted<T> = (transaction: TransactionHandle) => T | Promise<T>;

/**
 * Runs `fn` so that its writes are committed together, or not at all when it throws. Inside of
 * another transaction, such as a request's own, it is part of that one.
 */
export function transaction<T>(fn: Transacted<T>): Promise<T>;
/** The same; the context is the running one's in any case. */
export function transaction<T>(context: object | undefined, fn: Transacted<T>): Promise<T>;
export async function transaction<T>(
  first: Transacted<T> | object | undefined,
  second?: Transacted<T>,
): Promise<T> {
  const fn = second ?? (first as Transacted<T>);
  if (typeof fn !== 'function') throw new TypeError('transaction(fn) takes a function');
  const around = currentCall();
  if (around?.transaction.isOpen === true) return fn(around.transaction.handle);
  const own = around?.renewed() ?? threadScope().newCall?.();
  if (own === undefined) throw new Error('transaction(fn) is used before the node is open');
  return threadScope().calls.run(own, async () => {
    try {
      const result = await fn(own.transaction.handle);
      await own.transaction.commit();
      return result;
    } catch (error) {
      own.transaction.abort();
      throw error;
    }
  });
}
