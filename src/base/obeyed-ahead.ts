/**
 * What a node remembers over a start of invalidations that had effect ahead of their place in the
 * log of their author (replication/SPEC.md §9): its cursors do not say that it obeyed them.
 */
import type { NodeId, Sequence } from './brands.ts';

type Cursors = ReadonlyMap<NodeId, Sequence>;

/** Where it is kept. */
export const AHEAD_NOTE = 'replication/ahead';

/** Of an author the newest such invalidation, and when it had effect (ms since the epoch). */
export type AheadObeyed = readonly [author: NodeId, at: Sequence, when: number];

export const aheadObeyed = (note: unknown): readonly AheadObeyed[] =>
  Array.isArray(note) ? (note as readonly AheadObeyed[]) : [];

/** What may have been obeyed before a start: up to the cursors, and ahead of them. */
export function obeyedAtStart(cursors: Cursors, note: unknown): Cursors {
  const all = new Map(cursors);
  for (const [author, at] of aheadObeyed(note))
    if (at > (all.get(author) ?? 0)) all.set(author, at);
  return all;
}
