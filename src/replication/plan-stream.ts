/**
 * Where in this node's log a stream to another node may begin, so that whatever it raises it also
 * brings (SPEC §4). Own changes stand in the log under their own sequence. Of any other author the
 * first entry above the puller's cursor must begin no later than that cursor (`after`): then
 * nothing of that author entered this store earlier without an entry.
 *
 * Reads the log page by page, and says so when there is more to read: it is the caller who waits.
 */
import { type NodeId, type Sequence, sequence } from '../base/brands.ts';
import { cursorOf } from './cursors.ts';
import type { Cursors, Horizon, Life, LogPage } from './ports.ts';

export interface PlanSource {
  readonly lives: readonly Life[];
  readonly horizon: Horizon;
  readonly first: Sequence;
}

export interface StreamRequest {
  readonly scope: 'all' | 'own';
  readonly cursors: Cursors;
  readonly direct: ReadonlySet<NodeId>;
}

/** `start` is exclusive. A snapshot is needed where the log does not reach. */
export type StreamPlan =
  | { readonly kind: 'stream'; readonly start: Sequence }
  | { readonly kind: 'snapshot' };

const SNAPSHOT: StreamPlan = { kind: 'snapshot' };

export class StreamPlanner {
  readonly #missing = new Map<NodeId, Sequence>();
  #start: Sequence;
  #plan: StreamPlan | undefined;
  /** Where the next page of the log is read from. */
  next: Sequence;

  constructor({ lives, horizon, first }: PlanSource, request: StreamRequest) {
    this.#start = horizon.sequence;
    this.next = sequence(first - 1);
    const own = ownLives(lives, horizon);
    for (const [author, last] of horizon.cursors) {
      const held = cursorOf(request.cursors, author);
      if (request.direct.has(author) || held >= last) continue;
      const life = own.get(author);
      if (life === undefined) {
        if (request.scope === 'all') this.#missing.set(author, held);
        continue;
      }
      if (held < life.end) this.#startAt(Math.max(held, life.since));
      // What others gave back of an earlier life stands in the log as theirs does.
      if (last > life.end) this.#missing.set(author, sequence(Math.max(held, life.end)));
    }
    if (this.#start < first - 1) this.#plan = SNAPSHOT;
    this.#settle(horizon.sequence);
  }

  /** The plan, once enough of the log was read. */
  get plan(): StreamPlan | undefined {
    return this.#plan;
  }

  /** The page of the log behind `next`. */
  read({ entries, next }: LogPage, last: Sequence): void {
    for (const { sequence: at, origin } of entries) {
      if (this.#plan !== undefined) return;
      if (origin === undefined) continue;
      const held = this.#missing.get(origin.author);
      if (held === undefined || origin.sequence <= held) continue;
      if (origin.after > held) this.#plan = SNAPSHOT;
      this.#missing.delete(origin.author);
      this.#startAt(at - 1);
    }
    this.next = entries.length === 0 ? last : next;
    this.#settle(last);
  }

  #startAt(place: number): void {
    if (place < this.#start) this.#start = sequence(place);
  }

  #settle(last: Sequence): void {
    if (this.#plan !== undefined) return;
    if (this.#missing.size === 0) this.#plan = { kind: 'stream', start: this.#start };
    else if (this.next >= last) this.#plan = SNAPSHOT;
  }
}

interface OwnLife {
  readonly since: Sequence;
  readonly end: Sequence;
}

/** Of each own life, the part of the log that is its. */
function ownLives(lives: readonly Life[], horizon: Horizon): ReadonlyMap<NodeId, OwnLife> {
  const found = new Map<NodeId, OwnLife>();
  lives.forEach(({ author, since }, at) => {
    const end = lives[at + 1]?.since ?? horizon.sequence;
    found.set(author, { since, end });
  });
  return found;
}
