/**
 * Commits the writes of one operation in one transaction. A record whose condition fails (an insert
 * of what is there, an update or delete of what is not) is skipped and named; anything else that is
 * wrong with one record leaves all of them unwritten.
 */

import { must } from '../base/assert.ts';
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { succeeded, type WriteOp } from '../table/store-port.ts';
import type { Table } from '../table/table.ts';
import { rowProblem } from '../table/write-all.ts';

export interface RecordWrite {
  readonly id: RecordId;
  readonly op: WriteOp;
  /** Its place in the list that was sent, from 1 on. */
  readonly row: number;
}

export interface Committed {
  readonly done: readonly RecordId[];
  readonly skipped: readonly RecordId[];
}

/** The second try commits, unless others write the same records at the same time. */
const TRIES_MAX = 8;

/** Rejects with `RECORD_INVALID`, `STORE_FULL`, `WRITE_QUEUE_FULL` or `PRECONDITION_FAILED`. */
export async function commitRecords(
  table: Table,
  writes: readonly RecordWrite[],
): Promise<Committed> {
  const skipped: RecordId[] = [];
  let left = writes;
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    if (left.length === 0) return { done: [], skipped };
    const failed = await failedOf(table, left);
    if (failed.size === 0) return { done: left.map(({ id }) => id), skipped };
    for (const { id } of failed) skipped.push(id);
    left = left.filter((write) => !failed.has(write));
  }
  const message =
    `${table.definition.typeName}: other writers changed the same records ${TRIES_MAX} times ` +
    'meanwhile; nothing was written, send the operation again';
  throw new NodeError('PRECONDITION_FAILED', message, { blame: 'client', retry: 'now' });
}

/** Nothing was written unless this is empty. */
async function failedOf(
  table: Table,
  writes: readonly RecordWrite[],
): Promise<ReadonlySet<RecordWrite>> {
  const outcomes = await table.commitAll(writes.map(({ op }) => op));
  const failed = new Set<RecordWrite>();
  for (const [index, outcome] of outcomes.entries()) {
    const write = must(writes[index], 'the write of an outcome');
    const problem = rowProblem(table, write.row, outcome);
    if (problem !== undefined) throw problem;
    if (!succeeded(outcome)) failed.add(write);
  }
  return failed;
}
