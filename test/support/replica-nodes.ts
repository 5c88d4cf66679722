/**
 * Several stores that hand each other what they know, as replication does it but without links: the
 * log in order, a snapshot row by row, a repair. One call is one batch of one sender.
 */

import { must } from '../../src/base/assert.ts';
import type { NodeId, Sequence } from '../../src/base/brands.ts';
import type {
  ApplyReport,
  Item,
  LogEntry,
  ReplicaStore,
  RowItem,
} from '../../src/replication/ports.ts';
import type { Store } from '../../src/store/store-options.ts';

export const replicaOf = (store: Store): ReplicaStore =>
  must(store.replica, 'a store that is replicated');

/** Resolves when what was committed may leave the node. */
export async function flushed(store: Store): Promise<void> {
  const replica = replicaOf(store);
  const last = store.lastSequence();
  while (replica.horizon().sequence < last) {
    await new Promise<void>((resolve) => {
      const stop = replica.onHorizon(() => {
        stop();
        resolve();
      });
      if (replica.horizon().sequence >= last) resolve();
    });
  }
}

function itemOf(from: ReplicaStore, entry: LogEntry): Item | undefined {
  const { origin } = entry;
  if (origin === undefined) return undefined;
  switch (entry.kind) {
    case 'none':
      return undefined;
    case 'row': {
      const state = from.rowState(entry.table, entry.id);
      return state && { kind: 'row', table: entry.table, id: entry.id, state, origin };
    }
    default: {
      const { sequence: _place, ...rest } = entry;
      return { ...rest, origin } as Item;
    }
  }
}

/**
 * What a stream brings, of what stands behind the cursors of `to`; of other authors only what the
 * log of the sender has without a gap (`replication/SPEC.md` §4).
 */
export function streamed(from: Store, to: Store): Item[] {
  const sender = replicaOf(from);
  const receiver = replicaOf(to);
  const known = new Map(receiver.horizon().cursors);
  const { entries } = sender.logAfter((sender.firstSequence() - 1) as Sequence, 10_000);
  const items: Item[] = [];
  for (const entry of entries) {
    const { origin } = entry;
    if (origin === undefined || origin.author === receiver.author) continue;
    const cursor = known.get(origin.author) ?? 0;
    const isGap = origin.author !== sender.author && origin.after > cursor;
    if (origin.sequence <= cursor || isGap) continue;
    known.set(origin.author, origin.sequence);
    const item = itemOf(sender, entry);
    if (item !== undefined) items.push(item);
  }
  return items;
}

/** Everything that is new, in one batch, and the sender's own cursor. */
export async function stream(from: Store, to: Store): Promise<ApplyReport> {
  await flushed(from);
  await flushed(to);
  const { author, horizon } = own(from);
  const cursors = new Map([[author, horizon.sequence]]);
  return replicaOf(to).apply({ items: streamed(from, to), cursors });
}

const own = (store: Store) => ({
  author: replicaOf(store).author,
  horizon: replicaOf(store).horizon(),
});

/** All rows, without their places; cursors are raised at the end. */
export async function snapshot(from: Store, to: Store): Promise<void> {
  await flushed(from);
  const sender = replicaOf(from);
  const { cursors } = sender.horizon();
  for (const { name, mode } of sender.tables()) {
    if (mode !== 'rows') continue;
    let after: RowItem['id'] | undefined;
    do {
      const page = sender.rowPage(name, { after, rowsMax: 2, bytesMax: 1_000 });
      const items = page.rows.map((row): Item => ({ kind: 'row', table: name, ...row }));
      await replicaOf(to).apply({ items, cursors: new Map<NodeId, Sequence>() });
      after = page.next;
    } while (after !== undefined);
  }
  await replicaOf(to).apply({ items: [], cursors, invalidateCaches: true });
}
