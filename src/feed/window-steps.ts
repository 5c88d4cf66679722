/**
 * From one list of rows to another in single steps, as few as there are rows that changed: a client
 * that applies them in their order shows the same list after each as is known here.
 */

import { isDeepStrictEqual } from 'node:util';
import type { RecordId } from '../base/brands.ts';
import type { WindowRow } from './window-rows.ts';

export type WindowStep =
  | { readonly kind: 'leave'; readonly row: WindowRow }
  | {
      readonly kind: 'enter' | 'put';
      readonly row: WindowRow;
      /** What was shown of it before. */
      readonly before: WindowRow | undefined;
      /** Its place after the step; it is taken from where it stood. */
      readonly index: number;
    };

export type WindowList = readonly WindowRow[];

export function windowSteps(from: WindowList, to: WindowList): WindowStep[] {
  const wanted = new Map(to.map((row) => [row.id, row]));
  const held = new Map(from.map((row) => [row.id, row]));
  const steps: WindowStep[] = [];
  for (const row of from) if (!wanted.has(row.id)) steps.push({ kind: 'leave', row });
  // Rows that are as they were keep their order, so the others alone have to be put in place.
  const isKept = (row: WindowRow): boolean => isAsShown(held.get(row.id), row);
  // What the client shows: rows whose step is still to come stand where they were.
  const list = from.filter((row) => wanted.has(row.id));
  for (const [at, row] of to.entries()) {
    if (isKept(row)) continue;
    take(list, row.id);
    const former = to[at - 1];
    const index = former === undefined ? 0 : 1 + list.findIndex(({ id }) => id === former.id);
    list.splice(index, 0, row);
    const before = held.get(row.id);
    steps.push({ kind: before === undefined ? 'enter' : 'put', row, before, index });
  }
  return steps;
}

/** What changed in a row otherwise is not shown, and may not be for those who watch to know of. */
const isAsShown = (before: WindowRow | undefined, { version, value, keys }: WindowRow): boolean =>
  before !== undefined &&
  (before.version === version || (before.value === value && isDeepStrictEqual(before.keys, keys)));

/** The list after the first steps. */
export function afterSteps(from: WindowList, steps: readonly WindowStep[]): WindowList {
  const list = [...from];
  for (const step of steps) {
    if (step.kind === 'leave') take(list, step.row.id);
    else place(list, step.row, step.index);
  }
  return list;
}

function place(list: WindowRow[], row: WindowRow, index: number): void {
  take(list, row.id);
  list.splice(index, 0, row);
}

function take(list: WindowRow[], id: RecordId): void {
  const at = list.findIndex((row) => row.id === id);
  if (at >= 0) list.splice(at, 1);
}
