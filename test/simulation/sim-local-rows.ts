/**
 * Rows of one node alone in the simulation (`replication/SPEC.md` §15): what its readers see of
 * them, and what must be true of them at every moment.
 */
import type { RecordId, TableName } from '../../src/base/brands.ts';
import {
  isLater,
  NO_ROW,
  newestStamp,
  type RowState,
  recordOfRow,
  type Stamp,
} from '../../src/cache/row-state.ts';
import type { Disk } from './disk.ts';

/** An attribute that only local rows have. */
const MARK = 'secret';

export interface LocalRow {
  readonly table: TableName;
  readonly id: RecordId;
  readonly stamp: Stamp;
  readonly record: Readonly<Record<string, unknown>>;
}

const keyOf = (table: TableName, id: RecordId): string => `${table}/${id}`;

/** Over what is shared, and in no row of it. */
export function coverRow(disk: Disk, table: TableName, id: RecordId, stamp: Stamp): void {
  const below = recordOfRow(disk.table(table).rows.get(id) ?? NO_ROW);
  const record = { ...below, [MARK]: stamp.version };
  disk.setLocal(keyOf(table, id), { table, id, stamp, record });
}

/** A later stamp takes the local row away. */
export function uncoverRow(disk: Disk, table: TableName, id: RecordId, state: RowState): void {
  const held = disk.local.get(keyOf(table, id));
  if (held !== undefined && isLater(newestStamp(state), held.stamp)) {
    disk.setLocal(keyOf(table, id), undefined);
  }
}

/** What is wrong: a mark that got into what is shared, or a local row over a later stamp. */
export function localProblems(name: string, disk: Disk): string[] {
  const leaked = [...disk.tables].flatMap(([table, { rows }]) =>
    [...rows].flatMap(([id, state]) =>
      Object.hasOwn(recordOfRow(state) ?? {}, MARK) ? [`${name}: ${table}/${id} is not local`] : [],
    ),
  );
  const hiding = [...disk.local.values()].flatMap(({ table, id, stamp }) => {
    const newest = newestStamp(disk.table(table).rows.get(id) ?? NO_ROW);
    return isLater(newest, stamp) ? [`${name}: a local ${table}/${id} hides a later write`] : [];
  });
  return [...leaked, ...hiding];
}
