/**
 * What must be true in the end, from what was done: the model of last writer wins, patches by
 * attribute and counters by author, over all operations that were acknowledged. It holds the states
 * that writes made and, apart from the code that merges, the writes themselves.
 */
import type { RecordId, TableName } from '../../src/base/brands.ts';
import { isCovered, mergeAll } from '../../src/cache/merge-rows.ts';
import {
  compareStamps,
  isPresent,
  NO_ROW,
  type RowState,
  recordOfRow,
  type Stamp,
} from '../../src/cache/row-state.ts';

export type Operation = Stamp &
  (
    | { readonly kind: 'put'; readonly record: Readonly<Record<string, unknown>> }
    | { readonly kind: 'set'; readonly values: Readonly<Record<string, unknown>> }
    /** `register`: the write of the value that it was added to, as far as its node knew. */
    | { readonly kind: 'add'; readonly name: string; readonly amount: number; register?: Stamp }
    | { readonly kind: 'delete' }
  );

interface Row {
  readonly table: TableName;
  readonly id: RecordId;
  readonly operations: Operation[];
  readonly issued: RowState[];
  acked: RowState[];
  /** Not everything that was written is known to be there, or to be gone. */
  isDoubtful: boolean;
  /** What became of states when stamps ahead of the clock were put right. */
  readonly restamps: ((state: RowState) => RowState | undefined)[];
}

export class Oracle {
  readonly #rows = new Map<string, Row>();

  issued(table: TableName, id: RecordId, state: RowState, operation: Operation): void {
    const row = this.#row(table, id);
    row.issued.push(state);
    row.operations.push(operation);
  }

  acked(table: TableName, id: RecordId, state: RowState): void {
    const row = this.#row(table, id);
    // It may have been stamped anew between its commit and its flush.
    let anew: RowState | undefined = state;
    for (const restamp of row.restamps) anew &&= restamp(anew);
    if (anew !== undefined) row.acked.push(anew);
  }

  restamped(
    { table, id, state }: { table: TableName; id: RecordId; state: RowState },
    restamp: (state: RowState) => RowState | undefined,
  ): void {
    const row = this.#row(table, id);
    row.restamps.push(restamp);
    row.issued.push(state);
    row.acked = row.acked.flatMap((one) => restamp(one) ?? []);
  }

  /** A disk is gone: what only it had may be gone with it. */
  lost(others: (table: TableName, id: RecordId) => readonly RowState[]): void {
    for (const row of this.#rows.values()) {
      const held = others(row.table, row.id);
      const kept = row.acked.filter((state) => held.some((one) => isCovered(one, state)));
      if (kept.length < row.acked.length) row.isDoubtful = true;
      row.acked = kept;
    }
  }

  /** What is wrong with the rows of a node; all nodes have the same ones. */
  problems(find: (table: TableName, id: RecordId) => RowState | undefined): string[] {
    return [...this.#rows.values()].flatMap((row) =>
      this.#problemsOf(row, find(row.table, row.id)),
    );
  }

  #problemsOf(row: Row, found: RowState | undefined): string[] {
    const final = found ?? NO_ROW;
    const place = `${row.table}/${row.id}`;
    const lost = row.acked.find((state) => !isCovered(final, state));
    if (lost !== undefined) return [`${place}: an acknowledged write is lost ${show(lost, final)}`];
    if (!isCovered(mergeAll(row.issued), final)) return [`${place}: nobody wrote ${show(final)}`];
    if (row.isDoubtful || row.restamps.length > 0) return [];
    if (row.acked.length < row.operations.length) return [];
    return naiveProblems(place, row.operations, final);
  }

  #row(table: TableName, id: RecordId): Row {
    const key = `${table}/${id}`;
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const fresh: Row = {
      ...{ table, id, operations: [], issued: [], acked: [] },
      ...{ isDoubtful: false, restamps: [] },
    };
    this.#rows.set(key, fresh);
    return fresh;
  }
}

const latest = <T extends Stamp>(all: readonly T[]): T | undefined =>
  all.toSorted(compareStamps).at(-1);

/** The record by the plain rules, without any of the code that merges. */
function naiveProblems(place: string, operations: readonly Operation[], final: RowState): string[] {
  const base = latest(operations.filter(({ kind }) => kind === 'put' || kind === 'delete'));
  if (base === undefined) return isPresent(final) ? [] : [`${place}: patches made no record`];
  // Whether a patch after a delete made a record depends on what its node knew.
  if (base.kind === 'delete') return [];
  if (base.kind !== 'put' || !isPresent(final)) return [`${place}: the record is not there`];
  const record = recordOfRow(final) ?? {};
  const newer = operations.filter((one) => compareStamps(one, base) > 0);
  const names = new Set([
    ...Object.keys(base.record),
    ...newer.flatMap((one) => (one.kind === 'set' ? Object.keys(one.values) : [])),
    ...operations.flatMap((one) => (one.kind === 'add' ? [one.name] : [])),
  ]);
  return [...names].flatMap((name) => {
    const expected = naiveValue(name, base, newer);
    const value = record[name];
    if (JSON.stringify(expected) === JSON.stringify(value)) return [];
    return [`${place}.${name}: ${JSON.stringify(value)}, expected ${JSON.stringify(expected)}`];
  });
}

function naiveValue(
  name: string,
  base: Extract<Operation, { kind: 'put' }>,
  newer: readonly Operation[],
): unknown {
  const set = latest(newer.filter((one) => one.kind === 'set' && Object.hasOwn(one.values, name)));
  const value = set?.kind === 'set' ? set.values[name] : base.record[name];
  const register = set ?? base;
  const added = newer.filter(
    (one) =>
      one.kind === 'add' &&
      one.name === name &&
      one.register !== undefined &&
      compareStamps(one.register, register) === 0,
  );
  if (added.length === 0) return value;
  const from = typeof value === 'number' ? value : 0;
  return added.reduce((sum, one) => sum + (one.kind === 'add' ? one.amount : 0), from);
}

function show(...states: readonly RowState[]): string {
  return states
    .map(({ record: _record, body, ...rest }) => {
      const text = body instanceof Uint8Array ? Buffer.from(body).toString() : 'no body';
      return `${JSON.stringify(rest)} ${text}`;
    })
    .join(' | ');
}
