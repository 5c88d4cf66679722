/**
 * The receiving side for one peer (SPEC §3): one pull over one of the connections to it. It opens a
 * stream, applies what comes in order and acknowledges it, takes a snapshot where the log does not
 * reach, waits where stamps are ahead of the clock, and repairs what digests show to differ.
 *
 *   idle ► opening ► streaming ⇄ held        every state ► idle, when the connection ends
 *              └► snapshot ► opening         opening ► later ► opening
 */
import type { EpochMs, NodeId, Sequence, TableName } from '../base/brands.ts';
import { epochMs, sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { BOUNDS } from './bounds.ts';
import { cursorOf, cursorsOf, pairsOf } from './cursors.ts';
import type { BatchFrame, BeginFrame, RestartFrame } from './frames.ts';
import type { RemoteBatch, ReplicaStore } from './ports.ts';
import { isAhead, objection, type PullTerms, wantedItems, withoutHaste } from './received.ts';
import { type Holdings, holdsAll } from './selection.ts';
import { type Session, SessionGone } from './session.ts';
import type { PageParts } from './take-pages.ts';
import { SNAPSHOT_NOTE, snapshotToTake, takeSnapshot } from './take-snapshot.ts';
import { verifyWith } from './verify.ts';

export type PullState = 'idle' | 'opening' | 'streaming' | 'held' | 'snapshot' | 'later';

export interface PullCounts {
  batches: number;
  merged: number;
  unchanged: number;
  unknown: number;
  held: number;
  snapshots: number;
  verified: number;
  repaired: number;
}

export interface PullOwner {
  /** Authors which are pulled from their own node. */
  readonly direct: () => ReadonlySet<NodeId>;
  readonly directChanged: () => void;
  /** Its changes come by the backbone: they need not be pulled, not even from its own node. */
  readonly isTold: (author: NodeId) => boolean;
  /** One snapshot is taken at a time. */
  readonly mayTakeSnapshot: (puller: Puller) => boolean;
  /** Ends the streams that are served, and begins none before it is done. */
  readonly raising: <T>(run: () => Promise<T>) => Promise<T>;
  /** Tables that were equal when they were compared, at an instant. */
  readonly equal: (tables: readonly TableName[], at: EpochMs) => void;
  readonly failed: (puller: Puller, error: unknown) => void;
}

export interface PullParts {
  readonly store: ReplicaStore;
  readonly queue: ApplyQueue;
  readonly clock: Clock;
  readonly random: () => number;
  readonly own: () => Holdings;
  readonly stampLimit: () => EpochMs;
  readonly owner: PullOwner;
}

export class Puller {
  state: PullState = 'idle';
  readonly counts: PullCounts = {
    ...{ batches: 0, merged: 0, unchanged: 0, unknown: 0, held: 0 },
    ...{ snapshots: 0, verified: 0, repaired: 0 },
  };
  /** The place in the peer's log up to which all is here. */
  position: Sequence = sequence(0);
  readonly #parts: PullParts;
  #session: Session | undefined;
  #stream = 0;
  #terms: PullTerms = { scope: 'own', covered: new Set(), direct: new Set() };
  #target: Sequence = sequence(0);
  #ordinal = 0;
  #waiting: BatchFrame[] = [];
  /** When something last moved, and until when there is nothing to do. */
  #movedAt = 0;
  #retryAt = 0;
  #verifyAt = 0;
  #isVerifying = false;
  #isDirect = false;
  /** Work of this node's own that is waited for. */
  #busy = 0;

  constructor(parts: PullParts) {
    this.#parts = parts;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** The author that is pulled from its own node; a stream that is opened anew counts still. */
  get direct(): NodeId | undefined {
    return this.#isDirect ? this.#session?.author : undefined;
  }

  get isAtEnd(): boolean {
    return this.#isRead && this.#untold === 0;
  }

  /** [SPEC §13] The stream is open, and what the peer itself changes comes by the backbone. */
  get isLeftToBackbone(): boolean {
    const author = this.#session?.author;
    return this.state === 'streaming' && author !== undefined && this.#terms.direct.has(author);
  }

  /** Entries of the peer's log that are not here, as far as it has told. */
  get behind(): number {
    return Math.max(0, (this.#session?.peerLast ?? 0) - this.position, this.#untold);
  }

  get #isRead(): boolean {
    const session = this.#session;
    return this.state === 'streaming' && session !== undefined && this.position >= session.peerLast;
  }

  /** [SPEC §13] What the backbone is told of the peer's own changes, and has not told here. */
  get #untold(): number {
    const { author, published } = this.#session ?? {};
    if (author === undefined || published === undefined) return 0;
    if (!this.#parts.owner.isTold(author)) return 0;
    return Math.max(0, published - this.#parts.queue.cursor(author));
  }

  /** The end that the peer named when the stream began is reached. */
  get hasCaughtUp(): boolean {
    return this.isAtEnd && this.position >= this.#target;
  }

  start(session: Session): void {
    this.#session = session;
    this.#isDirect = false;
    this.#isVerifying = false;
    this.#verifyAt = this.#now() + BOUNDS.settleMs;
    this.open();
  }

  stop(): void {
    this.#enter('idle');
    this.#session = undefined;
  }

  /** Opens the stream anew, behind what is here now. */
  open(): void {
    const session = this.#session;
    const peer = session?.peer;
    if (session === undefined || peer === undefined) return;
    if (this.state === 'snapshot') return;
    const { own, queue } = this.#parts;
    const scope = holdsAll(peer, own()) ? 'all' : 'own';
    const direct = this.#notAsked(peer.author);
    this.#stream += 1;
    this.#terms = { scope, covered: new Set(), direct };
    this.#enter('opening');
    session.send({
      ...{ kind: 'open', stream: this.#stream, scope, cursors: pairsOf(queue.cursors) },
      ...{ direct: [...direct], window: LIMITS.replicationWindowBytes },
    });
  }

  /** Whether the stream was opened for other authors than it would be now. */
  get isDirectOutdated(): boolean {
    const author = this.#session?.author;
    if (this.state !== 'streaming' || author === undefined) return false;
    const now = this.#notAsked(author);
    const { direct, scope } = this.#terms;
    if (scope === 'own') return now.has(author) !== direct.has(author);
    return now.size !== direct.size || [...now].some((one) => !direct.has(one));
  }

  /** Authors that are not to be sent: they come from their own nodes, or by the backbone. */
  #notAsked(peer: NodeId): ReadonlySet<NodeId> {
    const { owner, store } = this.#parts;
    const all = new Set(owner.direct());
    if (!owner.isTold(peer)) all.delete(peer);
    return all.add(store.author);
  }

  /** Tells the peer how much of its own changes is here, when it came by another way. */
  acknowledge(): void {
    const session = this.#session;
    if (session?.author === undefined || this.state !== 'streaming') return;
    const cursor = cursorOf(this.#parts.store.horizon().cursors, session.author);
    session.send({ kind: 'ack', stream: this.#stream, ordinal: 0, cursor });
  }

  began(frame: BeginFrame): void {
    if (frame.stream !== this.#stream || this.state !== 'opening') return;
    if (frame.mode === 'later') this.#waitBeforeOpening(frame.retryMs);
    else if (frame.mode === 'snapshot') this.#beginSnapshot(frame);
    else this.#beginStream(frame);
  }

  restarted(frame: RestartFrame): void {
    if (frame.stream !== this.#stream || this.state === 'snapshot') return;
    if (this.state !== 'later') this.open();
  }

  batch(frame: BatchFrame): void {
    const isCurrent = this.state === 'streaming' || this.state === 'held';
    if (frame.stream !== this.#stream || !isCurrent) return;
    const why = this.#objection(frame);
    if (why !== undefined) {
      this.#session?.fault(why);
      return;
    }
    this.#ordinal = frame.ordinal;
    this.#waiting.push(frame);
    this.#work();
  }

  /** Looks at what time has brought; called a few times a second. */
  tick(): void {
    const now = this.#now();
    const session = this.#session;
    if (session === undefined) return;
    if (this.state === 'later' && now >= this.#retryAt) {
      this.#enter('opening');
      this.open();
    } else if (this.state === 'held') this.#tryAgain(now);
    else if (this.#isStalled(now)) session.dismiss('STALLED', 'the pull does not move', 0);
    else if (this.isAtEnd && !this.#isVerifying && now >= this.#verifyAt)
      this.#verifyIfDue(session);
  }

  /** Compares digests as soon as the pull is at the end. */
  verifySoon(): void {
    this.#verifyAt = 0;
  }

  #now(): number {
    return this.#parts.clock.monotonic();
  }

  #enter(state: PullState): void {
    const { direct } = this;
    this.state = state;
    if (state === 'streaming') this.#isDirect = true;
    else if (state !== 'held' && state !== 'opening') this.#isDirect = false;
    this.#movedAt = this.#now();
    if (state !== 'streaming' && state !== 'held') this.#waiting = [];
    // While it was opened or held, it may have changed who else tells of the peer.
    if (this.direct !== direct || this.isDirectOutdated) this.#parts.owner.directChanged();
  }

  #objection(frame: BatchFrame): string | undefined {
    if (frame.ordinal !== this.#ordinal + 1) return 'a batch is missing';
    if (this.#waiting.length >= BOUNDS.batchesWaiting) return 'too many batches came';
    return objection(frame, this.#terms);
  }

  /**
   * [SPEC §7] One rule: it moves, or it is at the end; what this node does itself does not count.
   */
  #isStalled(now: number): boolean {
    if (this.#busy > 0 || this.#isRead || this.state === 'later') return false;
    const isPlanning = this.state === 'opening';
    const patience = isPlanning ? BOUNDS.openMs : LIMITS.replicationStallMsMax;
    return now - this.#movedAt > patience;
  }

  #waitBeforeOpening(ms: number): void {
    this.#enter('later');
    const wait = Math.min(Math.max(ms, BOUNDS.raisingMs), BOUNDS.openMs);
    this.#retryAt = this.#now() + wait * (0.5 + this.#parts.random());
  }

  #beginStream({ covers, last }: BeginFrame): void {
    const { queue } = this.#parts;
    if (covers.some(([author, from]) => from > queue.cursor(author))) {
      this.#session?.fault('a stream begins behind what is known here');
      return;
    }
    const covered = new Set(covers.map(([author]) => author));
    // Also when it has changed nothing so far.
    const author = this.#session?.author;
    if (author !== undefined && !this.#terms.direct.has(author)) covered.add(author);
    this.#terms = { ...this.#terms, covered };
    this.#target = last;
    this.#ordinal = 0;
    this.#enter('streaming');
  }

  /** Hands what waits to the store, in order, until a stamp is ahead of the clock. */
  #work(): void {
    const limit = this.#parts.stampLimit();
    for (let frame = this.#waiting[0]; frame !== undefined; frame = this.#waiting[0]) {
      if (frame.items.some((item) => isAhead(item, limit))) {
        this.#hold();
        return;
      }
      this.#waiting.shift();
      if (this.state === 'held') this.#enter('streaming');
      this.#take(frame, limit);
    }
  }

  #hold(): void {
    if (this.state === 'held') return;
    this.counts.held += 1;
    this.#enter('held');
    this.#retryAt = this.#now() + BOUNDS.heldMs;
  }

  /** The clock may have come closer, or the peer may have stamped its rows anew meanwhile. */
  #tryAgain(now: number): void {
    if (now >= this.#retryAt) this.open();
    else this.#work();
  }

  #take(frame: BatchFrame, limit: EpochMs): void {
    const { queue, own } = this.#parts;
    const { kept, unknown } = wantedItems(frame.items, own());
    this.counts.unknown += unknown;
    this.#busy += 1;
    const items = kept.map((item) => withoutHaste(item, limit));
    const session = this.#session;
    const entries = session && entryFacts(frame, session);
    queue.apply({ items, cursors: cursorsOf(frame.cursors), entries }).then(
      (report) => {
        this.#busy -= 1;
        this.counts.batches += 1;
        this.counts.merged += report.merged;
        this.counts.unchanged += report.unchanged;
        this.#committed(session, frame);
      },
      () => {
        // The queue's owner ends every connection.
        this.#busy -= 1;
      },
    );
  }

  #committed(session: Session | undefined, frame: BatchFrame): void {
    if (session === undefined || session !== this.#session || session.author === undefined) return;
    const { store } = this.#parts;
    const cursor = cursorOf(store.horizon().cursors, session.author);
    session.send({ kind: 'ack', stream: frame.stream, ordinal: frame.ordinal, cursor });
    if (frame.stream !== this.#stream) return;
    this.position = frame.at;
    this.#movedAt = this.#now();
  }

  /** What work on rows of this peer is done with. */
  pageParts(): PageParts {
    const { store, queue, clock, own, stampLimit, owner } = this.#parts;
    return {
      ...{ store, queue, clock, own, stampLimit, raising: owner.raising },
      moved: () => {
        this.#movedAt = this.#now();
      },
      busy: (isBusy) => {
        this.#busy += isBusy ? 1 : -1;
        this.#movedAt = this.#now();
      },
      heldBack: () => {
        this.counts.held += 1;
      },
    };
  }

  #beginSnapshot(frame: BeginFrame): void {
    const session = this.#session;
    const { owner, store } = this.#parts;
    if (session?.author === undefined) return;
    if (!owner.mayTakeSnapshot(this)) {
      this.#waitBeforeOpening(BOUNDS.laterMs);
      return;
    }
    this.#enter('snapshot');
    const note = snapshotToTake(store.note(SNAPSHOT_NOTE), session.author, frame);
    takeSnapshot(session, this.pageParts(), note).then(
      () => {
        this.counts.snapshots += 1;
        this.#ended(session, undefined);
      },
      (error: unknown) => this.#ended(session, error),
    );
  }

  #ended(session: Session, error: unknown): void {
    if (error !== undefined && !(error instanceof SessionGone)) {
      this.#parts.owner.failed(this, error);
    }
    if (session !== this.#session || this.state !== 'snapshot') return;
    this.#enter('opening');
    if (error === undefined) this.open();
    else session.dismiss('STALLED', 'a snapshot could not be taken', 0);
  }

  /** Who is far behind this node differs from it, and need not be asked for its rows. */
  #verifyIfDue(session: Session): void {
    const { store } = this.#parts;
    const last = cursorOf(store.horizon().cursors, store.author);
    const isBehind = last - session.confirmed > BOUNDS.logEnd;
    if (isBehind && this.#verifyAt > 0) this.#verifyAt = this.#now() + BOUNDS.settleMs;
    else this.#verify(session);
  }

  #verify(session: Session): void {
    this.#isVerifying = true;
    const spread = 0.5 + this.#parts.random();
    this.#verifyAt = this.#now() + LIMITS.replicationVerifyMs * spread;
    verifyWith(session, this.pageParts()).then(
      ({ repaired, equal, at }) => {
        this.#parts.owner.equal(equal, at);
        if (session === this.#session) this.#isVerifying = false;
        this.counts.verified += 1;
        this.counts.repaired += repaired;
      },
      (error: unknown) => {
        if (session === this.#session) this.#isVerifying = false;
        if (!(error instanceof SessionGone)) this.#parts.owner.failed(this, error);
      },
    );
  }
}

/** [SPEC §14] Without a clock to compare them with, entries of caches are dropped. */
function entryFacts({ now, obeyed }: BatchFrame, session: Session): RemoteBatch['entries'] {
  const { offset, roundTripMs } = session;
  if (now === undefined || obeyed === undefined || offset === undefined) return undefined;
  // The distance of the clocks may be wrong by half the way there and back.
  const sentAt = epochMs(now - offset - roundTripMs / 2);
  const doubtMs = Math.max(BOUNDS.entryDoubtMs, roundTripMs);
  return { obeyed: cursorsOf(obeyed), sentAt, doubtMs };
}
