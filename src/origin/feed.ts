/**
 * Keeps one origin's live feed running: subscribes, hands each event on in order, and after an end
 * or a failure subscribes again, later each time, with jitter, from the last applied position.
 *
 *   stopped ─ start ─► down ─ connected() or first event ─► connected
 *                       ▲  └──── backoff ◄── end, error, event not applied ──┘
 *
 * Invariants: events are applied one at a time, so a slow store slows the feed and no queue grows;
 * the position moves only after its event was applied, and is forgotten when that turns out to be
 * undone (`restart`); `live` is true only while connected.
 * `liveSince` is the instant from which nothing was missed: an entry stored before it is judged by
 * its own freshness lifetime. It survives a reconnection only if the feed resumed from a position.
 */
import { backoffDelay } from '../base/backoff.ts';
import type { EpochMs } from '../base/brands.ts';
import type { NodeError } from '../base/errors.ts';
import type { Surroundings } from './attempts.ts';
import { pause } from './deadline.ts';
import type { TableBinding } from './definition.ts';
import { asOriginError, originError } from './failures.ts';
import { checkFeedEvent, type FeedContext, type FeedEvent } from './feed-events.ts';

export type FeedState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'down'; readonly since: EpochMs; readonly error: NodeError | undefined }
  | {
      readonly kind: 'connected';
      readonly since: EpochMs;
      readonly liveSince: EpochMs;
      /** Whether nothing becomes stale by time alone while it lasts. */
      readonly vouches: boolean;
    };

export interface FeedHooks {
  /** Applies one event; the next one waits. A rejection ends the session: the event comes again. */
  apply(event: FeedEvent): Promise<void>;
  moved?(state: FeedState): void;
  /** An event that makes no sense was dropped. */
  rejected?(error: NodeError): void;
}

export interface FeedCounters {
  readonly applied: number;
  readonly rejected: number;
  readonly sessions: number;
}

export interface FeedParts {
  readonly name: string;
  /** The tables that the feed is for; an event that names none is the first one's. */
  readonly tables: readonly TableBinding[];
  readonly subscribe: (context: FeedContext) => AsyncIterable<FeedEvent>;
  readonly hooks: FeedHooks;
  readonly around: Surroundings;
}

const RECONNECT = { baseMs: 1_000, maxMs: 30_000 };
/** A session this long counts as a success even if nothing happened in it. */
const STEADY_MS = 30_000;

export class OriginFeed {
  readonly #parts: FeedParts;
  #state: FeedState = { kind: 'stopped' };
  #position: string | undefined;
  #liveSince: EpochMs | undefined;
  #applied = 0;
  #rejected = 0;
  #sessions = 0;
  #reconnectMs: number | undefined;
  #session: AbortController | undefined;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  get state(): FeedState {
    return this.#state;
  }

  get counters(): FeedCounters {
    return { applied: this.#applied, rejected: this.#rejected, sessions: this.#sessions };
  }

  /** Where the feed would resume. */
  get position(): string | undefined {
    return this.#position;
  }

  live(): boolean {
    return this.#state.kind === 'connected';
  }

  /** The instant since which no event was missed, while live. */
  liveSince(): EpochMs | undefined {
    return this.#state.kind === 'connected' ? this.#state.liveSince : undefined;
  }

  /** Begins; a second call is without effect. `position`: where an earlier run had come to. */
  start(position?: string | undefined): void {
    if (this.#running !== undefined) return;
    this.#position = position;
    const stop = new AbortController();
    this.#move({ kind: 'down', since: this.#now(), error: undefined });
    this.#running = { stop, ended: this.#run(stop.signal) };
  }

  /** Resolves when the feed has let go of its connection. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.stop.abort(new Error('the feed is being stopped'));
    await running?.ended;
    this.#move({ kind: 'stopped' });
  }

  /**
   * Ends the session, and begins again without a position: something that was applied is lost, so
   * nothing stored before is vouched for any more.
   */
  restart(error: unknown): void {
    this.#position = undefined;
    this.#liveSince = undefined;
    this.#session?.abort(error);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts.around;
    let failures = 0;
    while (!stopped.aborted) {
      const began = clock.monotonic();
      const appliedBefore = this.#applied;
      const error = await this.#runSession(stopped);
      if (stopped.aborted) return;
      this.#move({ kind: 'down', since: this.#now(), error });
      const steady = this.#applied > appliedBefore || clock.monotonic() - began > STEADY_MS;
      failures = steady ? 1 : failures + 1;
      const baseMs = this.#reconnectMs ?? RECONNECT.baseMs;
      const wait = backoffDelay(failures, { ...RECONNECT, baseMs }, random);
      await pause(wait, stopped, clock).catch(() => undefined);
    }
  }

  /** One subscription from opening to end; resolves with why it ended. */
  async #runSession(stopped: AbortSignal): Promise<NodeError> {
    const { name, subscribe } = this.#parts;
    const session = new AbortController();
    this.#session = session;
    const end = () => session.abort(stopped.reason);
    stopped.addEventListener('abort', end, { once: true });
    this.#sessions += 1;
    try {
      await this.#consume(subscribe(this.#context(session.signal)), session.signal);
      return originError('ORIGIN_UNREACHABLE', `the feed of origin ${name} ended`);
    } catch (thrown) {
      return asOriginError(name, thrown);
    } finally {
      stopped.removeEventListener('abort', end);
      session.abort(new Error('the session of the feed is over'));
    }
  }

  #context(signal: AbortSignal): FeedContext {
    const resumed = this.#position !== undefined && this.#liveSince !== undefined;
    return {
      signal,
      tables: this.#parts.tables,
      resumeFrom: this.#position,
      connected: ({ vouches = true } = {}) => {
        if (!signal.aborted) this.#connected(resumed, vouches);
      },
      reconnectAfter: (ms) => {
        this.#reconnectMs = Math.min(RECONNECT.maxMs, Math.max(100, ms));
      },
    };
  }

  async #consume(events: AsyncIterable<FeedEvent>, signal: AbortSignal): Promise<void> {
    const iterator = events[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await abortable(iterator.next(), signal);
        if (step.done === true) return;
        if (this.#state.kind !== 'connected') this.#connected(false, true);
        await this.#apply(step.value, signal);
      }
    } finally {
      // Not awaited: code that hangs in `next` would hang here too.
      void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  async #apply(event: FeedEvent, signal: AbortSignal): Promise<void> {
    const problem = checkFeedEvent(event);
    if (problem !== undefined) {
      this.#rejected += 1;
      const message = `the feed of origin ${this.#parts.name} sent an event that ${problem}`;
      this.#parts.hooks.rejected?.(originError('ORIGIN_BODY_INVALID', message));
    } else {
      await this.#parts.hooks.apply(event);
      this.#applied += 1;
    }
    if (signal.aborted) return;
    // Past a senseless event too: it would come again for ever.
    this.#position = positionOf(event) ?? this.#position;
  }

  #connected(resumed: boolean, vouches: boolean): void {
    if (this.#state.kind === 'connected') return;
    const since = this.#now();
    const liveSince = resumed && this.#liveSince !== undefined ? this.#liveSince : since;
    this.#liveSince = liveSince;
    this.#move({ kind: 'connected', since, liveSince, vouches });
  }

  #move(state: FeedState): void {
    const was = this.#state.kind === 'connected';
    this.#state = state;
    const is = state.kind === 'connected';
    if (was !== is) this.#parts.around.observer?.feedMoved?.(this.#parts.name, is);
    this.#parts.hooks.moved?.(state);
  }

  #now(): EpochMs {
    return this.#parts.around.clock.now();
  }
}

/** An event comes from somebody's code: it may be anything. */
function positionOf(event: unknown): string | undefined {
  if (typeof event !== 'object' || event === null || !('position' in event)) return undefined;
  return typeof event.position === 'string' ? event.position : undefined;
}

/** `promise`, or a rejection with the signal's reason, whichever is first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
