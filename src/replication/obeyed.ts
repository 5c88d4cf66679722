/**
 * Which invalidations this node has obeyed, in the words of their authors: a node that asks another
 * for a record names them, and who has not obeyed them yet may not answer (SPEC §11). For else a
 * record would come back that was purged everywhere a moment later.
 *
 * Of each author the newest one in order is kept, and those that came ahead of their place one by
 * one. What was obeyed before the start is all that the cursors stood at, and what was kept of that
 * which came ahead.
 */
import { durationMs, type NodeId, type Sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { AHEAD_NOTE, obeyedAtStart } from '../base/obeyed-ahead.ts';
import { BOUNDS } from './bounds.ts';
import { cursorOf, pairsOf, raise, raiseAll } from './cursors.ts';
import type { CursorPairs } from './frames.ts';
import type { Cursors, RemoteBatch, ReplicaStore } from './ports.ts';
import type { AheadSet } from './purges.ts';

export interface ObeyedParts {
  readonly store: ReplicaStore;
  readonly ahead: AheadSet;
  readonly clock: Clock;
  /** Places of what was made here, as far as the horizon reaches. */
  readonly newestOwn: () => OwnPlaces;
  /** Resolves when all that was handed to the store is in force. */
  readonly settled: () => Promise<unknown>;
}

/** Of the newest invalidation, and of the newest change that travels. */
export interface OwnPlaces {
  readonly invalidation: Sequence;
  readonly change: Sequence;
}

/** What a question names. */
export interface Obeyed {
  readonly known: CursorPairs;
  readonly ahead: CursorPairs;
}

export class ObeyedInvalidations {
  readonly #parts: ObeyedParts;
  readonly #newest: Map<NodeId, Sequence>;
  /** With rows and messages: pages are made of rows. */
  readonly #newestOfAll: Map<NodeId, Sequence>;

  constructor(parts: ObeyedParts) {
    this.#parts = parts;
    const { store } = parts;
    this.#newest = new Map(obeyedAtStart(store.horizon().cursors, store.note(AHEAD_NOTE)));
    this.#newestOfAll = new Map(this.#newest);
  }

  /** Before it is handed to the store: what may be in force counts as obeyed. */
  note(batch: RemoteBatch): void {
    if (batch.invalidateCaches === true) {
      raiseAll(this.#newest, batch.cursors);
      raiseAll(this.#newestOfAll, batch.cursors);
    }
    if (batch.isAhead === true) return;
    for (const { kind, origin } of batch.items) {
      if (origin === undefined) continue;
      raise(this.#newestOfAll, origin.author, origin.sequence);
      if (kind === 'invalidation') raise(this.#newest, origin.author, origin.sequence);
    }
  }

  /**
   * What was obeyed up to `stamp` of this node's log, and maybe more; `undefined` when the log is
   * not that far in time, or when there is more than a question may name. `withRows`: a write of a
   * row counts as an invalidation of what is made of it.
   */
  async upTo(stamp: Sequence, withRows = false): Promise<Obeyed | undefined> {
    const { store, ahead, newestOwn } = this.#parts;
    const isThere = () => store.horizon().sequence >= stamp;
    if (!isThere() && !(await this.#wait(isThere))) return undefined;
    const own = newestOwn();
    raise(this.#newest, store.author, own.invalidation);
    raise(this.#newestOfAll, store.author, own.change);
    const newest = withRows ? this.#newestOfAll : this.#newest;
    const marks = ahead.marks(BOUNDS.missMarks);
    if (marks === undefined || newest.size > BOUNDS.cursors) return undefined;
    return {
      known: pairsOf(newest),
      ahead: marks.map(({ author, sequence }) => [author, sequence] as const),
    };
  }

  /** Whether all of it is obeyed here too; waits a while for what is on its way. */
  async holds({ known, ahead }: Obeyed): Promise<boolean> {
    const { store, ahead: marks, settled } = this.#parts;
    const isIn = (cursors: Cursors, [author, place]: CursorPairs[number]) =>
      cursorOf(cursors, author) >= place;
    const isMarked = ([author, sequence]: CursorPairs[number]) => marks.has({ author, sequence });
    let hasMarked = false;
    const isThere = () => {
      const { cursors } = store.horizon();
      const open = ahead.filter((one) => !isIn(cursors, one));
      hasMarked = open.length > 0;
      return known.every((one) => isIn(cursors, one)) && open.every(isMarked);
    };
    if (!isThere() && !(await this.#wait(isThere))) return false;
    // A mark is set when the purge is handed to the store.
    if (hasMarked) await settled();
    return true;
  }

  #wait(isThere: () => boolean): Promise<boolean> {
    const { store, clock } = this.#parts;
    return new Promise((resolve) => {
      const end = (outcome: boolean) => {
        cancel();
        off();
        resolve(outcome);
      };
      const cancel = clock.after(durationMs(BOUNDS.missKnownMs), () => end(isThere()));
      const off = store.onHorizon(() => {
        if (isThere()) end(true);
      });
    });
  }
}
