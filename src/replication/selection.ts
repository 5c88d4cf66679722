/**
 * Which rows travel between this node and another: rules by database, table, key prefix and
 * direction, all of them pure. A row travels when neither side's rules forbid it: the sender looks
 * at `send`, the receiver at `receive`. The first rule that fits a row decides; no rule: both ways.
 */
import type { RecordId, TableName } from '../base/brands.ts';
import type { ReplicatedTable } from './ports.ts';

export type Direction = 'both' | 'send' | 'receive' | 'none';

export interface SelectionRule {
  readonly database?: string | undefined;
  readonly table?: TableName | undefined;
  /** Beginning of the key; keys that are numbers are compared as they are written. */
  readonly prefix?: string | undefined;
  readonly direction: Direction;
}

export type Selection = readonly SelectionRule[];

export const EVERYTHING: Selection = Object.freeze([]);

type Way = 'send' | 'receive';

const allows = (direction: Direction, way: Way): boolean =>
  direction === 'both' || direction === way;

const concerns = (rule: SelectionRule, table: ReplicatedTable): boolean =>
  (rule.database === undefined || rule.database === table.database) &&
  (rule.table === undefined || rule.table === table.name);

/** Whether a record travels that way. */
export function travels(
  selection: Selection,
  table: ReplicatedTable,
  id: RecordId,
  way: Way,
): boolean {
  const rule = selection.find(
    (one) =>
      concerns(one, table) && (one.prefix === undefined || String(id).startsWith(one.prefix)),
  );
  return rule === undefined || allows(rule.direction, way);
}

/** Whether some record of a table may travel that way. */
export function tableTravels(selection: Selection, table: ReplicatedTable, way: Way): boolean {
  for (const rule of selection.filter((one) => concerns(one, table))) {
    if (allows(rule.direction, way)) return true;
    if (rule.prefix === undefined) return false;
  }
  return true;
}

/** Whether all records of a table travel that way, as far as rules can tell. */
function tableTravelsWhole(selection: Selection, table: ReplicatedTable, way: Way): boolean {
  for (const rule of selection.filter((one) => concerns(one, table))) {
    if (!allows(rule.direction, way)) return false;
    if (rule.prefix === undefined) return true;
  }
  return true;
}

/**
 * Whether an entry of a cache may travel: only where both sides send and take it, so that both obey
 * what invalidates it.
 */
export function entryTravels(
  id: RecordId,
  sides: readonly (readonly [Selection, ReplicatedTable | undefined])[],
) {
  return sides.every(
    ([selection, table]) =>
      table?.sharesEntries === true &&
      travels(selection, table, id, 'send') &&
      travels(selection, table, id, 'receive'),
  );
}

export interface Holdings {
  readonly tables: readonly ReplicatedTable[];
  readonly selection: Selection;
}

/**
 * Whether a peer holds, and hands on, all that this node takes: only then do its cursors of other
 * authors mean here what they mean there.
 */
export function holdsAll(peer: Holdings, own: Holdings): boolean {
  return own.tables
    .filter((table) => tableTravels(own.selection, table, 'receive'))
    .every((table) => {
      const theirs = peer.tables.find(({ name }) => name === table.name);
      return (
        theirs !== undefined &&
        theirs.mode === table.mode &&
        tableTravelsWhole(peer.selection, theirs, 'receive') &&
        tableTravelsWhole(peer.selection, theirs, 'send')
      );
    });
}
