/**
 * Taking a snapshot (SPEC §3): table by table, in key order, merged row by row and never replacing
 * anything. How far it came is kept with the rows, so that it goes on after either side was away;
 * only the same author may go on with it, since another may have lost what the first pages showed.
 */
import type { NodeId, TableName } from '../base/brands.ts';
import { cursorsOf } from './cursors.ts';
import type { BeginFrame, CursorPairs } from './frames.ts';
import { jumpNotes } from './jumps.ts';
import type { ReplicatedTable } from './ports.ts';
import { tableTravels } from './selection.ts';
import type { Session } from './session.ts';
import { compareTable, type PageParts, type PagePlace, takePages } from './take-pages.ts';

export const SNAPSHOT_NOTE = 'replication/snapshot';

/** What is remembered of a snapshot that is being taken. */
export interface SnapshotNote {
  readonly author: NodeId;
  /** What may be raised at its end: cursors of the server when it began. */
  readonly covers: CursorPairs;
  readonly finished: readonly TableName[];
  readonly table?: TableName | undefined;
  readonly after?: PagePlace;
}

/** Goes on where an earlier attempt with this author ended, or begins. */
export function snapshotToTake(note: unknown, author: NodeId, begin: BeginFrame): SnapshotNote {
  const earlier = note as SnapshotNote | null | undefined;
  if (earlier?.author === author) return earlier;
  return { author, covers: begin.covers, finished: [] };
}

/** Resolves when all is merged and the cursors are raised. */
export async function takeSnapshot(
  session: Session,
  parts: PageParts,
  from: SnapshotNote,
): Promise<void> {
  let note = from;
  for (const table of tablesToTake(session, parts)) {
    if (note.finished.includes(table.name)) continue;
    note = await takeTable(session, parts, note, table);
  }
  parts.busy(true);
  try {
    const cursors = cursorsOf(note.covers);
    const jumps = jumpNotes(parts.store, parts.queue.cursors, cursors);
    const notes = { ...jumps, [SNAPSHOT_NOTE]: null };
    const last = { items: [], cursors, invalidateCaches: true, notes };
    await parts.raising(() => parts.queue.apply(last));
  } finally {
    parts.busy(false);
  }
}

function tablesToTake(session: Session, { own }: PageParts): readonly ReplicatedTable[] {
  const theirs = new Set((session.peer?.tables ?? []).map(({ name }) => name));
  const { tables, selection } = own();
  return tables
    .filter(({ name, mode }) => mode === 'rows' && theirs.has(name))
    .filter((table) => tableTravels(selection, table, 'receive'))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

async function takeTable(
  session: Session,
  parts: PageParts,
  note: SnapshotNote,
  table: ReplicatedTable,
): Promise<SnapshotNote> {
  const buckets = await compareTable(session, parts.store, table);
  parts.moved();
  const { author, covers } = note;
  const finished: SnapshotNote = { author, covers, finished: [...note.finished, table.name] };
  if (buckets?.length === 0) return finished;
  const noteAfter = (after: PagePlace): SnapshotNote =>
    after === undefined ? finished : { ...note, table: table.name, after };
  await takePages(session, parts, {
    table,
    buckets,
    after: note.table === table.name ? note.after : undefined,
    notes: (next) => ({ [SNAPSHOT_NOTE]: noteAfter(next) }),
  });
  return finished;
}
