/**
 * Where cursors rose without entries in this node's log: at the end of a snapshot, and where a
 * table is new here whose changes were passed over before. Kept with the store, since a stream to a
 * node that stands before such a jump cannot bring what it raises (SPEC §4).
 */
import type { NodeId, Sequence } from '../base/brands.ts';
import { cursorOf, pairsOf, raise } from './cursors.ts';
import type { CursorPairs } from './frames.ts';
import type { Cursors, ReplicaStore } from './ports.ts';

export const JUMPS_NOTE = 'replication/jumps';
export const TABLES_NOTE = 'replication/tables';

export type Notes = Readonly<Record<string, unknown>>;

export const jumpsOf = (store: ReplicaStore): Cursors =>
  new Map((store.note(JUMPS_NOTE) ?? []) as CursorPairs);

/** The note of all jumps, with those from the cursors as they are to others. */
export function jumpNotes(store: ReplicaStore, from: Cursors, to: Cursors): Notes {
  const jumps = new Map<NodeId, Sequence>(jumpsOf(store));
  for (const [author, one] of to) if (one > cursorOf(from, author)) raise(jumps, author, one);
  return { [JUMPS_NOTE]: pairsOf(jumps) };
}

/** What to note when tables are here that were not when the cursors rose; nothing when none are. */
export function tableNotes(store: ReplicaStore): Notes | undefined {
  const known = store.note(TABLES_NOTE);
  const names = store.tables().map(({ name }) => String(name));
  const isKnown = Array.isArray(known) && names.every((name) => known.includes(name));
  if (isKnown && known.length === names.length) return undefined;
  const { cursors } = store.horizon();
  const jumps = isKnown || known === undefined ? {} : jumpNotes(store, new Map(), cursors);
  return { ...jumps, [TABLES_NOTE]: names };
}
