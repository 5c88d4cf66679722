/**
 * Takes what the backbone tells of others (SPEC §13). News are applied through the one queue when
 * they follow on what is held of their author, and leave everything as it is when they do not. For
 * each author that publishes it knows whether the backbone tells all of it, so that it need not be
 * pulled from peers as well.
 *
 *   pulled ── caught up, stream read to its end ──► told ── gap, stamps ahead ──► pulled
 *                                                    └── what was published is missing ──► silent
 *   silent, pulled ── news that follow ──► told
 */
import type { EpochMs, NodeId, Sequence } from '../base/brands.ts';
import { sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { ApplyQueue } from './apply-queue.ts';
import type { News, StreamFound, StreamPlace } from './backbone-port.ts';
import { BOUNDS } from './bounds.ts';
import { newsProblem } from './frame-check.ts';
import type { ReplicaStore } from './ports.ts';
import { isAhead, wantedItems, withoutHaste } from './received.ts';
import type { Holdings } from './selection.ts';

export const PLACE_NOTE = 'replication/backbone';

export interface ReaderParts {
  readonly store: ReplicaStore;
  readonly queue: ApplyQueue;
  readonly clock: Clock;
  readonly own: () => Holdings;
  readonly stampLimit: () => EpochMs;
  /** Connected nodes that publish: up to where the backbone is told of their changes. */
  readonly published: () => ReadonlyMap<NodeId, Sequence>;
  readonly hasLeft: (name: string) => boolean;
  /** Which authors are told has changed. */
  readonly changed: () => void;
  /** More of an author is here for good. */
  readonly committed: (author: NodeId) => void;
}

interface Followed {
  state: 'pulled' | 'told' | 'silent';
  cursor: Sequence;
  /** Since when it is waited for more of it. */
  since: number;
}

/** What became of a message. */
export type NewsOutcome = 'applied' | 'own' | 'known' | 'gap' | 'ahead' | 'refused';

export class BackboneReader {
  readonly counts: Record<NewsOutcome, number> = {
    ...{ applied: 0, own: 0, known: 0, gap: 0, ahead: 0, refused: 0 },
  };
  merged = 0;
  /** Messages that are still to be read, as far as the server has told. */
  pending = 0;
  readonly #parts: ReaderParts;
  readonly #followed = new Map<NodeId, Followed>();
  #place: StreamPlace | undefined;
  #keptAt = 0;
  #isOpen = false;
  /** The stream goes on where this node has read it last. */
  #isContinued = false;
  #movedAt = 0;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    const place = parts.store.note(PLACE_NOTE);
    this.#place = isPlace(place) ? place : undefined;
  }

  /** Authors whose changes come by the backbone, and need come no other way. */
  get told(): ReadonlySet<NodeId> {
    if (!this.#isOpen) return NOBODY;
    const published = this.#parts.published();
    const all = [...published.keys()].filter((author) => this.#stateOf(author).state === 'told');
    return new Set(all);
  }

  /** Answers behind which message the stream is to be read. */
  open({ stream, first, last }: StreamFound): number {
    const place = this.#place;
    const isSame = place?.stream === stream && place.sequence <= last;
    const after = isSame ? place.sequence : place === undefined ? last : first - 1;
    this.#isContinued = isSame && place.sequence >= first - 1;
    this.#place = { stream, sequence: after };
    this.pending = Math.max(0, last - Math.max(after, first - 1));
    this.#followed.clear();
    this.#isOpen = true;
    this.#movedAt = this.#now;
    this.#parts.changed();
    return after;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#parts.changed();
  }

  /** Resolves when what it brought is here for good; never rejects. */
  async heard(message: unknown, place: StreamPlace, pending: number): Promise<void> {
    this.#moved(place, pending);
    const outcome = this.#judge(message);
    this.counts[outcome] += 1;
    if (outcome === 'own' || outcome === 'refused') return;
    const news = message as News;
    if (outcome === 'gap' || outcome === 'ahead') this.#enter(news.author, 'pulled');
    else if (news.after <= this.#cursor(news.author)) this.#follows(news);
    if (outcome === 'applied') await this.#apply(news, place);
  }

  refused(place: StreamPlace, pending: number): void {
    this.#moved(place, pending);
    this.counts.refused += 1;
  }

  tick(now: number): void {
    if (!this.#isOpen) return;
    const published = this.#parts.published();
    for (const author of this.#followed.keys()) {
      if (!published.has(author)) this.#followed.delete(author);
    }
    for (const [author, upTo] of published) this.#look(author, upTo, now);
    if (now - this.#keptAt >= BOUNDS.placeKeptMs) this.#keep(now);
  }

  get #now(): number {
    return this.#parts.clock.monotonic();
  }

  #cursor(author: NodeId): Sequence {
    return this.#parts.queue.cursor(author);
  }

  #moved(place: StreamPlace, pending: number): void {
    this.#place = place;
    this.pending = pending;
    this.#movedAt = this.#now;
  }

  #judge(message: unknown): NewsOutcome {
    if (newsProblem(message) !== undefined || !isOrdered(message as News)) return 'refused';
    const news = message as News;
    const { author, after, upTo, at, items, isOmitted, name } = news;
    const { store, stampLimit, hasLeft } = this.#parts;
    if (author === store.author) return 'own';
    if (hasLeft(name)) return 'refused';
    const cursor = this.#cursor(author);
    if (upTo <= cursor) return 'known';
    if (after > cursor || isOmitted) return 'gap';
    // A state as old as that may be of a row whose deletion is forgotten.
    if (store.now() - at > LIMITS.tombstoneRetentionMs) return 'gap';
    const limit = stampLimit();
    return items.some((item) => isAhead(item, limit)) ? 'ahead' : 'applied';
  }

  async #apply({ author, upTo, items }: News, place: StreamPlace): Promise<void> {
    const { queue, own, stampLimit, committed } = this.#parts;
    const { kept } = wantedItems(items, own());
    const limit = stampLimit();
    try {
      const report = await queue.apply({
        items: kept.map((item) => withoutHaste(item, limit)),
        cursors: new Map([[author, upTo]]),
        notes: { [PLACE_NOTE]: { ...place } },
      });
      this.merged += report.merged;
      committed(author);
    } catch {
      // The queue's owner ends every connection; what comes next is behind a gap.
    }
  }

  /** News that follow on the cursor: the backbone tells of this author. */
  #follows({ author }: News): void {
    this.#enter(author, 'told');
  }

  #stateOf(author: NodeId): Followed {
    const known = this.#followed.get(author);
    if (known !== undefined) return known;
    const state = this.#isContinued ? 'told' : 'pulled';
    const fresh: Followed = { state, cursor: this.#cursor(author), since: this.#now };
    this.#followed.set(author, fresh);
    // It is heard of later than the stream was opened.
    if (state === 'told') this.#parts.changed();
    return fresh;
  }

  #enter(author: NodeId, state: Followed['state']): void {
    if (!this.#parts.published().has(author)) return;
    const followed = this.#stateOf(author);
    if (followed.state === state) return;
    followed.state = state;
    followed.since = this.#now;
    this.#parts.changed();
  }

  #look(author: NodeId, upTo: Sequence, now: number): void {
    const followed = this.#stateOf(author);
    const cursor = this.#cursor(author);
    const hasAll = cursor >= upTo;
    if (hasAll || cursor !== followed.cursor) {
      followed.cursor = cursor;
      followed.since = now;
    }
    if (followed.state === 'pulled' && hasAll && this.pending === 0) this.#enter(author, 'told');
    const stillSince = Math.max(followed.since, this.pending > 0 ? this.#movedAt : 0);
    const isLate = !hasAll && now - stillSince > BOUNDS.backboneMs;
    if (followed.state === 'told' && isLate) this.#enter(author, 'silent');
  }

  /** Also where nothing was applied it need not be read again. */
  #keep(now: number): void {
    this.#keptAt = now;
    const { store, queue } = this.#parts;
    const place = this.#place;
    const kept = store.note(PLACE_NOTE);
    if (place === undefined || (isPlace(kept) && isAt(kept, place))) return;
    const notes = { [PLACE_NOTE]: { ...place } };
    queue.apply({ items: [], cursors: new Map(), notes }).catch(() => undefined);
  }
}

const NOBODY: ReadonlySet<NodeId> = new Set();

const isAt = (one: StreamPlace, other: StreamPlace): boolean =>
  one.stream === other.stream && one.sequence === other.sequence;

function isPlace(value: unknown): value is StreamPlace {
  const { stream, sequence: at } = (value ?? {}) as Partial<StreamPlace>;
  return typeof stream === 'string' && Number.isSafeInteger(at) && Number(at) >= 0;
}

/** Items are of the author, in order, and among what the news say that they hold. */
function isOrdered({ author, after, upTo, items }: News): boolean {
  let last = after;
  for (const { origin } of items) {
    if (origin?.author !== author || origin.sequence <= last) return false;
    last = sequence(origin.sequence);
  }
  return last <= upTo && after < upTo;
}
