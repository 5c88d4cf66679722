/**
 * Where in this node's log a stream to another node may begin, so that whatever it raises it also
 * brings (SPEC §4). Own changes stand in the log under their own sequence. The changes of any other
 * author stand behind its last entry that the puller knows, or behind the beginning of a log which
 * follows on what the puller knows; but where cursors *jumped*, as they do at the end of a
 * snapshot, there are no entries, and whoever was before the jump needs a snapshot too.
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
  /** Author → the cursor that its last jump led to. */
  readonly jumps: Cursors;
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

interface Missing {
  readonly held: Sequence;
  /** An entry which the puller knows stands in the log: what it does not know stands behind. */
  isReached: boolean;
}

export class StreamPlanner {
  readonly #missing = new Map<NodeId, Missing>();
  readonly #isWhole: boolean;
  #start: Sequence;
  #plan: StreamPlan | undefined;
  /** Where the next page of the log is read from. */
  next: Sequence;

  constructor({ lives, horizon, first, jumps }: PlanSource, request: StreamRequest) {
    this.#start = horizon.sequence;
    this.#isWhole = first === 1;
    this.next = sequence(first - 1);
    const own = ownLives(lives, horizon);
    for (const [author, last] of horizon.cursors) {
      const held = cursorOf(request.cursors, author);
      if (request.direct.has(author) || held >= last) continue;
      const life = own.get(author);
      if (life === undefined && request.scope === 'own') continue;
      if (life !== undefined && held < life.end) this.#startAt(Math.max(held, life.since));
      // What others gave back of an earlier life stands in the log as theirs does.
      const known = sequence(Math.max(held, life?.end ?? 0));
      if (last <= known) continue;
      if (cursorOf(jumps, author) > known) this.#plan = SNAPSHOT;
      this.#missing.set(author, { held: known, isReached: false });
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
      const missing = origin && this.#missing.get(origin.author);
      if (origin === undefined || missing === undefined) continue;
      if (origin.sequence <= missing.held) {
        missing.isReached = true;
        continue;
      }
      const follows = missing.isReached || this.#isWhole || origin.after <= missing.held;
      if (!follows) this.#plan = SNAPSHOT;
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
    const isRead = this.next >= last;
    if (this.#missing.size > 0 && !isRead) return;
    // Of who is still missing, nothing stands behind: what it changed was of no concern.
    const isSure = [...this.#missing.values()].every(({ isReached }) => isReached || this.#isWhole);
    this.#plan = isSure ? { kind: 'stream', start: this.#start } : SNAPSHOT;
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
