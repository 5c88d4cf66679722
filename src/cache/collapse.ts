/**
 * Flights: at most one shared fetch of a cache key is in flight, whatever the number of readers,
 * and its success and its failure are shared (SPEC §3). Waiters are bounded and wait once; a flight
 * stays joinable until its entry is readable; a failure is remembered for a back-off window, so
 * that a sick origin sees at most two fetches of a key in any such window.
 *
 *   flying ─┬─ settle(reply) ─► settled (reply in memory) ─ end ─► ended
 *           └─ settle(failure) ──────────────────────────────────► ended, remembered
 */
import { assert } from '../base/assert.ts';
import { type BoundedCache, type CacheFigures, createBoundedCache } from '../base/bounded-cache.ts';
import type { DurationMs, EpochMs, Sequence } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';
import type { FlightOutcome, Lease, Leases } from './ports.ts';

/** Estimated heap bytes of one remembered failure: the error, its message and its stack. */
const FAILURE_BYTES = 1024;

type Reply = Extract<FlightOutcome, { kind: 'reply' }>;
type Failed = Extract<FlightOutcome, { kind: 'failure' }>;
/** What a flight of records brings; a flight of pages brings a reply that is still arriving. */
interface AnyReply {
  readonly kind: 'reply';
}

/** One fetch and everybody who waits for it. */
export class Flight<R extends AnyReply = Reply> {
  readonly key: string;
  /** The newest invalidation that named the key when the flight began. */
  readonly newest: Sequence;
  /** The node's sequence when the flight began. */
  readonly stamp: Sequence;
  /** Made for whoever waits: a flight of one reader has none. */
  #waiters: Set<(outcome: R | Failed | undefined) => void> | undefined;
  #outcome: R | Failed | undefined;
  #hasEnded = false;
  #onEnded: (() => void)[] | undefined;

  constructor(key: string, newest: Sequence, stamp: Sequence) {
    this.key = key;
    this.newest = newest;
    this.stamp = stamp;
  }

  get waiters(): number {
    return this.#waiters?.size ?? 0;
  }

  /** Resolves when the entry is readable, or storing was given up. */
  get ended(): Promise<void> {
    if (this.#hasEnded) return Promise.resolve();
    this.#onEnded ??= [];
    const waiting = this.#onEnded;
    return new Promise((resolve) => waiting.push(resolve));
  }

  /** By its `Flights`, once. */
  end(): void {
    this.#hasEnded = true;
    const waiting = this.#onEnded;
    this.#onEnded = undefined;
    for (const tell of waiting ?? []) tell();
  }

  /** What the flight ended with; `undefined` while it flies. */
  get outcome(): R | Failed | undefined {
    return this.#outcome;
  }

  /** Hands the outcome to all who wait; a flight settles once. */
  settle(outcome: R | Failed): void {
    assert(this.#outcome === undefined, 'a flight settles once');
    this.#outcome = outcome;
    for (const waiter of this.#waiters ?? []) waiter(outcome);
    this.#waiters = undefined;
  }

  /** Resolves with the outcome, or with `undefined` when `delay` is over or the client left. */
  wait(
    clock: Clock,
    delay: DurationMs,
    signal?: StopSignal | undefined,
  ): Promise<R | Failed | undefined> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome);
    return new Promise((resolve) => {
      const stop = (outcome: R | Failed | undefined): void => {
        this.#waiters?.delete(stop);
        cancel();
        signal?.removeEventListener('abort', leave);
        resolve(outcome);
      };
      const leave = (): void => stop(undefined);
      const cancel = clock.after(delay, leave);
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiters ??= new Set();
      this.#waiters.add(stop);
    });
  }
}

/** What became of an attempt to join. */
export type Joined<R extends AnyReply = Reply> =
  | { readonly kind: 'lead'; readonly flight: Flight<R> }
  | { readonly kind: 'follow'; readonly flight: Flight<R> }
  /** The reply is in memory, its entry not readable yet. */
  | { readonly kind: 'held'; readonly flight: Flight<R>; readonly outcome: R }
  /** The key is in its back-off window, or too many wait. */
  | { readonly kind: 'turnedAway'; readonly error: NodeError };

export interface JoinRequest<R extends AnyReply = Reply> {
  readonly key: string;
  /** The newest invalidation that names the key: older flights are not joined. */
  readonly newest: Sequence;
  readonly stamp: Sequence;
  readonly now: EpochMs;
  readonly waitersMax: number;
  /** Whether this reader may take what the flight brings, as far as it can tell. */
  readonly mayJoin: (flight: Flight<R>) => boolean;
}

interface Failure {
  readonly error: NodeError;
  readonly until: EpochMs;
  /** Readers may try again at once; only refreshes behind stale answers hold back. */
  readonly refreshesOnly: boolean;
}

/** Until when a failure is remembered, and for whom. */
export interface BackOff {
  readonly until: EpochMs;
  readonly refreshesOnly: boolean;
}

/** The flights of one table on one thread. */
export class Flights<R extends AnyReply = Reply> {
  readonly #flying = new Map<string, Flight<R>>();
  readonly #failures: BoundedCache<Failure>;

  constructor(options: { readonly failureMarkersBytes: number }) {
    this.#failures = createBoundedCache('failures', options.failureMarkersBytes);
  }

  /** What the memory of failures holds. */
  get figures(): CacheFigures {
    return this.#failures;
  }

  get size(): number {
    return this.#flying.size;
  }

  /** Joins the flight of the key, or begins one. */
  join(request: JoinRequest<R>): Joined<R> {
    const flight = this.#flying.get(request.key);
    if (flight !== undefined && flight.newest >= request.newest && request.mayJoin(flight)) {
      const { outcome } = flight;
      if (outcome !== undefined && outcome.kind === 'reply') {
        return { kind: 'held', flight, outcome: outcome as R };
      }
      if (flight.waiters < request.waitersMax) return { kind: 'follow', flight };
      return { kind: 'turnedAway', error: tooManyWaiters(request) };
    }
    const failure = this.#failureAt(request.key, request.now);
    if (failure !== undefined && !failure.refreshesOnly)
      return { kind: 'turnedAway', error: failure.error };
    const begun = new Flight<R>(request.key, request.newest, request.stamp);
    this.#flying.set(request.key, begun);
    return { kind: 'lead', flight: begun };
  }

  /** A flight whose key begins so and which `isWanted`. Looks at every flight: not for hits. */
  find(prefix: string, isWanted: (flight: Flight<R>) => boolean): Flight<R> | undefined {
    for (const [key, flight] of this.#flying) {
      if (key.startsWith(prefix) && isWanted(flight)) return flight;
    }
    return undefined;
  }

  /** Whether a refresh of the key would neither join a flight nor fall into a back-off window. */
  isIdle(key: string, newest: Sequence, now: EpochMs): boolean {
    const flight = this.#flying.get(key);
    if (flight !== undefined && flight.newest >= newest) return false;
    return this.#failureAt(key, now) === undefined;
  }

  /**
   * Shares a failure with all who wait, and with all who ask until the back-off is over. Where the
   * node itself refused (`refreshesOnly`), only refreshes hold back: without that, each of a
   * thousand stale answers a second would begin one more that an open breaker refuses.
   */
  fail(flight: Flight<R>, error: NodeError, backOff: BackOff): void {
    flight.settle({ kind: 'failure', error });
    this.end(flight);
    const { until, refreshesOnly } = backOff;
    this.#failures.set(flight.key, { error, until, refreshesOnly }, FAILURE_BYTES);
  }

  /** The entry is readable, or storing was given up: later reads begin with the store again. */
  end(flight: Flight<R>): void {
    if (flight.outcome?.kind === 'reply') this.#failures.delete(flight.key);
    // A read after an invalidation may have begun a newer flight of the key.
    if (this.#flying.get(flight.key) === flight) this.#flying.delete(flight.key);
    flight.end();
  }

  #failureAt(key: string, now: EpochMs): Failure | undefined {
    const failure = this.#failures.get(key);
    if (failure === undefined || now < failure.until) return failure;
    this.#failures.delete(key);
    return undefined;
  }
}

/** Leases of a node with one thread: whoever asks leads, since its own flights collapse already. */
export function localLeases(): Leases {
  const lead: Lease = Object.freeze({ kind: 'lead', settle: () => {} });
  return { acquire: () => lead };
}

function tooManyWaiters({ key, waitersMax }: Pick<JoinRequest, 'key' | 'waitersMax'>): NodeError {
  return new NodeError(
    'TOO_MANY_WAITERS',
    `${waitersMax} requests wait for one fetch of ${key.split('\u0000').join(' ')} already; retry`,
    { blame: 'node', retry: 'later', details: { limit: 'waitersMax', value: waitersMax } },
  );
}
