/**
 * Judging what another node sent, before any of it is applied: may it say so, is it wanted here,
 * and is it stamped too far ahead of the clock? Pure.
 */
import type { EpochMs, NodeId } from '../base/brands.ts';
import { versionAt, versionTime } from '../base/hlc.ts';
import { newestStamp, type RowState } from '../cache/row-state.ts';
import type { BatchFrame, PageRow } from './frames.ts';
import type { Item, ReplicatedTable } from './ports.ts';
import { type Holdings, travels } from './selection.ts';

/** What a pull may bring, as agreed when it was opened. */
export interface PullTerms {
  readonly scope: 'all' | 'own';
  /** Authors that the server said it covers. */
  readonly covered: ReadonlySet<NodeId>;
  /** Authors which were not to be sent. */
  readonly direct: ReadonlySet<NodeId>;
}

/** Authors that came up after the beginning are told of from their first change on. */
const mayTell = ({ scope, covered, direct }: PullTerms, author: NodeId): boolean =>
  covered.has(author) || (scope === 'all' && !direct.has(author));

/** What a batch says that it must not say; `undefined` when it may. */
export function objection(frame: BatchFrame, terms: PullTerms): string | undefined {
  const told = new Map<NodeId, number>();
  for (const { origin } of frame.items) {
    if (origin === undefined) return 'an item of a stream has no origin';
    const { author, sequence } = origin;
    if (!mayTell(terms, author)) return 'an item is of an author that was not asked for';
    if (sequence <= (told.get(author) ?? 0)) return 'the changes of an author are out of order';
    told.set(author, sequence);
  }
  const cursors = new Map(frame.cursors);
  for (const [author, sequence] of told) {
    if ((cursors.get(author) ?? 0) < sequence) return 'a cursor is behind an item beside it';
  }
  for (const author of cursors.keys()) {
    if (!mayTell(terms, author)) return 'a cursor is of an author that was not asked for';
  }
  return undefined;
}

const stampOf = (state: RowState): EpochMs | undefined => {
  const newest = newestStamp(state);
  return newest === undefined ? undefined : versionTime(newest.version);
};

export const isStateAhead = (state: RowState, limit: EpochMs): boolean =>
  (stampOf(state) ?? 0) > limit;

/** Whether an item must wait for the clock. Events never do: nothing is ordered by their stamps. */
export const isAhead = (item: Item, limit: EpochMs): boolean =>
  item.kind === 'row' && isStateAhead(item.state, limit);

/** An event whose stamp is ahead has its effect, and not its stamp. */
export function withoutHaste(item: Item, limit: EpochMs): Item {
  if (item.kind === 'row' || item.kind === 'entry' || versionTime(item.version) <= limit)
    return item;
  return { ...item, version: versionAt(limit) };
}

export interface Wanted<T> {
  readonly kept: readonly T[];
  /** Of tables that are not here, or are kept here in another manner. */
  readonly unknown: number;
}

/** The items that this node takes. */
export function wantedItems(items: readonly Item[], own: Holdings): Wanted<Item> {
  const tables = new Map(own.tables.map((table) => [table.name, table]));
  const kept: Item[] = [];
  let unknown = 0;
  for (const item of items) {
    const table = tables.get(item.table);
    if (table === undefined || !isKept(item, table)) unknown += 1;
    else if (isWanted(item, table, own)) kept.push(item);
  }
  return { kept, unknown };
}

/** Whether the table is kept here in the manner that the item is of. */
const isKept = ({ kind }: Item, { mode, sharesEntries }: ReplicatedTable): boolean =>
  (kind !== 'row' || mode === 'rows') && (kind !== 'entry' || sharesEntries === true);

function isWanted(item: Item, table: ReplicatedTable, own: Holdings): boolean {
  if (item.kind !== 'invalidation') return travels(own.selection, table, item.id, 'receive');
  const { scope } = item;
  return scope.kind !== 'key' || travels(own.selection, table, scope.id, 'receive');
}

export const wantedRows = (
  rows: readonly PageRow[],
  table: ReplicatedTable,
  own: Holdings,
): readonly PageRow[] => rows.filter(({ id }) => travels(own.selection, table, id, 'receive'));
