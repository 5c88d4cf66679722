/**
 * Writes the system tables by ordinary commits, flushed to disk before they are acknowledged: whom
 * an operator has shut out stays out after a power loss. Rows that end by themselves are removed by
 * the store when their time has come.
 */
import { durationMs, type EpochMs, type RecordId, type TableName } from '../../base/brands.ts';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import { FOREVER, NEVER } from '../../cache/entry.ts';
import type { StoreWriter, WriteOp, WriteOutcome } from '../../table/store-port.ts';

/** A row with its key; with `expiresAt` it is removed when its time has come. */
export interface KeyedRow {
  readonly id: string;
  readonly expiresAt?: number | undefined;
}

/** What may be written together: all of it, or nothing. */
export interface RowWrite {
  readonly table: TableName;
  /** `undefined` deletes. */
  readonly row: KeyedRow | undefined;
  readonly id: string;
  /** The row must not be there yet. */
  readonly isNew?: boolean | undefined;
}

export type Written = 'written' | 'exists' | 'absent';

export class Registry {
  readonly #writer: StoreWriter;
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();

  constructor(writer: StoreWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** One change after the other: what `change` reads is not changed before it has written. */
  exclusive<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => undefined);
    return done;
  }

  put<Row extends KeyedRow>(table: TableName, row: Row): Promise<Written> {
    return this.write([{ table, row, id: row.id }]);
  }

  /** `exists` when there is one of that key already. */
  add<Row extends KeyedRow>(table: TableName, row: Row): Promise<Written> {
    return this.write([{ table, row, id: row.id, isNew: true }]);
  }

  drop(table: TableName, id: string): Promise<Written> {
    return this.write([{ table, row: undefined, id }]);
  }

  /** Rejects with `STORE_FULL`, `WRITE_QUEUE_FULL` or `STORE_FAILED`. */
  async write(writes: readonly RowWrite[]): Promise<Written> {
    const now = this.#clock.now();
    const ops = writes.map((write) => opOf(write, now));
    return writtenBy(await this.#writer.commit(ops, 'flushed', 'all'));
  }

  /** For what may be lost with the power, and is dropped when the node has no room. */
  async note(writes: readonly RowWrite[]): Promise<void> {
    const now = this.#clock.now();
    await this.#writer.commit(
      writes.map((write) => opOf(write, now)),
      'process',
    );
  }
}

const encoder = new TextEncoder();

function opOf({ table, row, id, isNew }: RowWrite, now: EpochMs): WriteOp {
  const place = { table, id: id as RecordId, reason: 'client' } as const;
  if (row === undefined) return { kind: 'delete', ...place };
  const evictAt = (row.expiresAt ?? FOREVER) as EpochMs;
  return {
    kind: 'put',
    ...place,
    variant: '',
    entryKind: 'record',
    status: 200,
    body: encoder.encode(JSON.stringify(row)),
    meta: {},
    times: {
      freshUntil: FOREVER,
      staleWhileRevalidateUntil: NEVER,
      staleIfErrorUntil: NEVER,
      evictAt,
    },
    storedAt: now,
    initialAge: durationMs(0),
    mustValidate: false,
    staleForbidden: false,
    condition: isNew === true ? { ifNoneMatch: '*' } : undefined,
  };
}

function writtenBy(outcomes: readonly WriteOutcome[]): Written {
  for (const outcome of outcomes) {
    if (outcome.kind === 'preconditionFailed') return 'exists';
    if (outcome.kind === 'absent') return 'absent';
    if (outcome.kind === 'shed') {
      const message = 'the node has no room to store this at the moment';
      throw new NodeError(outcome.code, message, { retry: 'later' });
    }
  }
  return 'written';
}
