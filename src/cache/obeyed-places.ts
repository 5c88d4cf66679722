/**
 * Where in this node's log invalidations had effect, and whose they were: from this follows how
 * much of that log was obeyed by another node that names its cursors (replication/SPEC.md §14).
 * The newest are kept one by one; what is older is remembered as a whole. Pure.
 */
import { type NodeId, type Sequence, sequence } from '../base/brands.ts';

interface Obeyed {
  /** Where it had effect here. */
  readonly place: Sequence;
  readonly author: NodeId;
  readonly sequence: Sequence;
}

type Cursors = ReadonlyMap<NodeId, Sequence>;

const PLACES_MAX = 1_024;

export class ObeyedPlaces {
  /** In the order of their places. */
  #newest: Obeyed[] = [];
  /** Of each author: what was obeyed, and maybe more. */
  #older: Map<NodeId, Sequence>;

  /** `cursors`: what may have been obeyed before the start. */
  constructor(cursors: Cursors) {
    this.#older = new Map(cursors);
  }

  note(place: Sequence, author: NodeId, at: Sequence): void {
    this.#newest.push({ place, author, sequence: at });
    if (this.#newest.length <= PLACES_MAX) return;
    // Many at a time: the list is copied.
    for (const old of this.#newest.splice(0, PLACES_MAX / 4)) this.#remember(old);
  }

  /** All that stands in the caches was dropped, for what the cursors hold. */
  dropped(cursors: Cursors): void {
    for (const old of this.#newest.splice(0)) this.#remember(old);
    for (const [author, at] of cursors) this.#remember({ author, sequence: at });
  }

  /**
   * Up to which place of the log, which ends at `end`, all is obeyed by who has these cursors;
   * `undefined` when that is not known.
   */
  upTo(cursors: Cursors, end: Sequence): Sequence | undefined {
    const holds = (author: NodeId, at: Sequence) => (cursors.get(author) ?? 0) >= at;
    for (const [author, at] of this.#older) if (!holds(author, at)) return undefined;
    const first = this.#newest.find((one) => !holds(one.author, one.sequence));
    return first === undefined ? end : sequence(Math.min(end, first.place - 1));
  }

  #remember({ author, sequence: at }: Pick<Obeyed, 'author' | 'sequence'>): void {
    if (at > (this.#older.get(author) ?? 0)) this.#older.set(author, at);
  }
}
