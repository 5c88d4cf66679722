/**
 * The one way in which what others sent enters this node: in one order, so that the cursor an item
 * is compared with is the cursor its commit leaves behind. Batches are handed to the store one
 * after the other without waiting for the one before to be durable; the store keeps their order.
 *
 * What is stamped too far ahead of the clock does not come this far (`puller.ts`).
 */
import type { NodeId, Sequence } from '../base/brands.ts';
import { cursorOf, raise, raiseAll } from './cursors.ts';
import type { ApplyReport, Cursors, Item, Origin, RemoteBatch, ReplicaStore } from './ports.ts';

/** Announced invalidations that were applied ahead of their place in the log. */
export interface AheadMarks {
  /** True once: the item's place in the log has come. */
  take(origin: Origin): boolean;
}

export class ApplyQueue {
  readonly #store: ReplicaStore;
  readonly #ahead: AheadMarks;
  readonly #onFailed: (error: unknown) => void;
  readonly #cursors: Map<NodeId, Sequence>;
  /** Is shown every batch before the store is. */
  onBatch: ((batch: RemoteBatch) => void) | undefined;
  #underWay = 0;

  constructor(store: ReplicaStore, ahead: AheadMarks, onFailed: (error: unknown) => void) {
    this.#store = store;
    this.#ahead = ahead;
    this.#onFailed = onFailed;
    this.#cursors = new Map(store.horizon().cursors);
  }

  /** With what was handed to the store, whether or not it is durable. Own lives are the store's. */
  get cursors(): Cursors {
    const { cursors } = this.#store.horizon();
    const all = new Map(this.#cursors);
    for (const { author } of this.#store.lives) raise(all, author, cursorOf(cursors, author));
    return all;
  }

  cursor(author: NodeId): Sequence {
    const own = this.#store.lives.some((life) => life.author === author);
    if (!own) return cursorOf(this.#cursors, author);
    const stored = cursorOf(this.#store.horizon().cursors, author);
    const given = cursorOf(this.#cursors, author);
    return stored > given ? stored : given;
  }

  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  /** Resolves when it is durable. A store that fails takes every connection down with it. */
  async apply(batch: RemoteBatch): Promise<ApplyReport> {
    const items = batch.isAhead === true ? batch.items : this.#inOrder(batch.items);
    raiseAll(this.#cursors, batch.cursors);
    this.onBatch?.({ ...batch, items });
    this.#underWay += 1;
    try {
      return await this.#store.apply({ ...batch, items });
    } catch (error) {
      this.#cursors.clear();
      raiseAll(this.#cursors, this.#store.horizon().cursors);
      this.#onFailed(error);
      throw error;
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Without what is known, each with the cursor that it follows on. */
  #inOrder(items: readonly Item[]): Item[] {
    const kept: Item[] = [];
    for (const item of items) {
      const { origin } = item;
      if (origin === undefined) {
        kept.push(item);
        continue;
      }
      const { author, sequence } = origin;
      const after = this.cursor(author);
      if (sequence <= after) continue;
      raise(this.#cursors, author, sequence);
      kept.push(this.#placed(item, { author, sequence, after }));
    }
    return kept;
  }

  #placed(item: Item, origin: Origin): Item {
    if (item.kind !== 'invalidation') return { ...item, origin };
    // What the sender had known says nothing of what is known here.
    return { ...item, origin, isKnown: this.#ahead.take(origin) };
  }
}
