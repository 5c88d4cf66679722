/**
 * Of each author the newest invalidation that had effect ahead of its place (SPEC §9), until the
 * place comes: kept with the effect itself, so that a node which starts again still knows that it
 * obeyed more than its cursors say. Nobody can say whether an author that is gone for good told
 * others of it too; that is forgotten with deletions.
 */
import type { EpochMs, NodeId, Sequence } from '../base/brands.ts';
import { AHEAD_NOTE, type AheadObeyed, aheadObeyed } from '../base/obeyed-ahead.ts';
import { LIMITS } from '../config/limits.ts';
import type { Notes } from './jumps.ts';
import type { Origin, ReplicaStore } from './ports.ts';

export class AheadNote {
  readonly #newest = new Map<NodeId, AheadObeyed>();

  constructor(store: ReplicaStore) {
    for (const one of aheadObeyed(store.note(AHEAD_NOTE))) this.#newest.set(one[0], one);
  }

  /** What to keep together with one that has effect now. */
  with({ author, sequence }: Origin, now: EpochMs, cursor: (author: NodeId) => Sequence): Notes {
    const known = this.#newest.get(author)?.[1] ?? 0;
    if (sequence > known) this.#newest.set(author, [author, sequence, now]);
    for (const [one, place, at] of this.#newest.values()) {
      const isOver = cursor(one) >= place || now - at > LIMITS.tombstoneRetentionMs;
      if (isOver) this.#newest.delete(one);
    }
    return { [AHEAD_NOTE]: [...this.#newest.values()] };
  }
}
