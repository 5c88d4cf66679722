/**
 * The replicas of an origin on one thread: which of them the next request goes to, and which are
 * left out because they fail. Every replica has the machine of `breaker.ts` for itself:
 *
 *   closed ── failures in a row, or refused connections ──► open (ejected)
 *   open ── cooldown over: one request tries ──► closed | open        a health probe: closed | open
 *
 * By load, the better of two at random takes the request: the one with fewer under way for its
 * weight. By key, the same target goes to the same replica as long as that is well, and only its
 * share moves when it is not (rendezvous hashing). One which has just failed is passed over for a
 * moment: it answers quickest of all, and would draw everything to itself.
 *
 * When all are ejected, the one that has waited longest is asked: refusing for all is the business
 * of the origin's own breaker.
 */
import type { Clock } from '../base/clock.ts';
import { NodeError } from '../base/errors.ts';
import type { StopSignal } from '../base/stop.ts';
import * as breaker from './breaker.ts';

export interface ReplicaSettings {
  readonly url: string;
  readonly weight: number;
}

export type Balance = 'load' | 'key';

export interface ReplicasSettings {
  readonly replicas: readonly ReplicaSettings[];
  readonly balance: Balance;
  readonly ejection: breaker.BreakerSettings;
}

/** What is known of a replica, for operators. */
export interface ReplicaReport {
  /** `host:port` */
  readonly replica: string;
  readonly weight: number;
  readonly state: 'well' | 'ejected' | 'probing';
  readonly inFlight: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly ejections: number;
}

/** One request at a replica. */
export interface ReplicaUse {
  readonly replica: Replica;
  readonly url: URL;
  /** How it went, once that is known; what is said later is not heard. */
  conclude(ending: breaker.Ending): void;
  /** It could not even be connected to. */
  refused(): void;
  /** Nothing of it is under way any more. */
  release(): void;
}

/** Milliseconds for which one that failed is passed over. */
const SUSPECT_MS = 1_000;

export interface Replica {
  readonly url: URL;
  readonly weight: number;
  state: breaker.BreakerState;
  inFlight: number;
  succeeded: number;
  failed: number;
  ejections: number;
  suspectUntil: number;
}

export class Replicas {
  readonly all: readonly Replica[];
  readonly #settings: ReplicasSettings;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(settings: ReplicasSettings, clock: Clock, random: () => number) {
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.all = settings.replicas.map(({ url, weight }) => ({
      url: new URL(url),
      weight,
      state: breaker.CLOSED,
      ...{ inFlight: 0, succeeded: 0, failed: 0, ejections: 0, suspectUntil: 0 },
    }));
  }

  /** Whether a URL is the origin's: the first replica stands for all. */
  isFor(url: URL): boolean {
    return url.origin === this.all[0]?.url.origin;
  }

  /** Whether some replica is believed to be well. */
  get standing(): boolean {
    return this.all.some(({ state }) => state.kind === 'closed');
  }

  /** `tried`: those to leave out, as long as there are others. */
  take(key: string, tried?: ReadonlySet<Replica> | undefined): ReplicaUse {
    const now = this.#clock.monotonic();
    const { ejection } = this.#settings;
    const admitted = this.all.filter(({ state }) => breaker.waitNeeded(state, now, ejection) === 0);
    const chosen = this.#choose(this.#preferred(admitted, tried, now), key);
    const admission = breaker.admit(chosen.state, now, ejection);
    if (admission.admitted) chosen.state = admission.state;
    return this.#use(chosen, admission.admitted ? admission.ticket : 'normal');
  }

  probed(replica: Replica, well: boolean): void {
    const now = this.#clock.monotonic();
    const isClosed = replica.state.kind === 'closed';
    // A probe that succeeds is no excuse for requests that fail.
    if (well) replica.state = isClosed ? replica.state : breaker.CLOSED;
    else if (isClosed) this.#conclude(replica, 'normal', 'failed');
    else replica.state = { kind: 'open', until: now + this.#settings.ejection.cooldownMs };
  }

  report(): ReplicaReport[] {
    return this.all.map(({ url, weight, state, inFlight, succeeded, failed, ejections }) => ({
      replica: url.host,
      weight,
      state: STATES[state.kind],
      inFlight,
      succeeded,
      failed,
      ejections,
    }));
  }

  #preferred(
    admitted: readonly Replica[],
    tried: ReadonlySet<Replica> | undefined,
    now: number,
  ): readonly Replica[] {
    const untried = admitted.filter((replica) => tried?.has(replica) !== true);
    const trusted = untried.filter(({ suspectUntil }) => suspectUntil <= now);
    if (trusted.length > 0) return trusted;
    if (untried.length > 0) return untried;
    return admitted.length > 0 ? admitted : [this.#longestEjected()];
  }

  #longestEjected(): Replica {
    const until = ({ state }: Replica) => (state.kind === 'open' ? state.until : Infinity);
    return this.all.reduce((best, other) => (until(other) < until(best) ? other : best));
  }

  #choose(among: readonly Replica[], key: string): Replica {
    if (this.#settings.balance === 'key') return highest(among, (one) => affinity(one, key));
    if (among.length < 3) return highest(among, (one) => -load(one));
    const first = Math.floor(this.#random() * among.length);
    const step = 1 + Math.floor(this.#random() * (among.length - 1));
    const two = [among[first], among[(first + step) % among.length]];
    return highest(two as readonly Replica[], (one) => -load(one));
  }

  #use(replica: Replica, ticket: breaker.Ticket): ReplicaUse {
    let isConcluded = false;
    let isReleased = false;
    replica.inFlight += 1;
    const conclude = (ending: breaker.Ending): void => {
      if (isConcluded) return;
      isConcluded = true;
      this.#conclude(replica, ticket, ending);
    };
    return {
      replica,
      url: replica.url,
      conclude,
      refused: () => {
        conclude('failed');
        if (!isEjected(replica)) this.#eject(replica);
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        replica.inFlight -= 1;
        conclude('abandoned');
      },
    };
  }

  #conclude(replica: Replica, ticket: breaker.Ticket, ending: breaker.Ending): void {
    const now = this.#clock.monotonic();
    const before = replica.state.kind;
    replica.state = breaker.conclude(replica.state, ticket, ending, now, this.#settings.ejection);
    if (before !== 'open' && isEjected(replica)) replica.ejections += 1;
    if (ending === 'succeeded') {
      replica.succeeded += 1;
      replica.suspectUntil = 0;
    } else if (ending === 'failed') {
      replica.failed += 1;
      replica.suspectUntil = now + SUSPECT_MS;
    }
  }

  #eject(replica: Replica): void {
    const until = this.#clock.monotonic() + this.#settings.ejection.cooldownMs;
    replica.state = { kind: 'open', until };
    replica.ejections += 1;
  }
}

const STATES = { closed: 'well', open: 'ejected', probing: 'probing' } as const;

const isEjected = ({ state }: Replica): boolean => state.kind === 'open';

const load = ({ inFlight, weight }: Replica): number => (inFlight + 1) / weight;

function highest(among: readonly Replica[], rank: (replica: Replica) => number): Replica {
  let best: Replica | undefined;
  let bestRank = Number.NEGATIVE_INFINITY;
  for (const replica of among) {
    const own = rank(replica);
    if (best !== undefined && own <= bestRank) continue;
    best = replica;
    bestRank = own;
  }
  if (best === undefined) throw new NodeError('INTERNAL', 'an origin has no replica');
  return best;
}

/** The weighted score of rendezvous hashing. */
const affinity = ({ url, weight }: Replica, key: string): number =>
  -weight / Math.log(unitHash(`${key}\n${url.host}`));

/** FNV-1a, mixed once more: texts which differ at their end only lie far apart. In (0, 1). */
function unitHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 0x1_0000_0000;
}

/** Codes of connections that were never there. */
const REFUSED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Tells a replica how a request that threw went; `signal`: the attempt's. */
export function concludeFailure(use: ReplicaUse, error: unknown, signal: StopSignal): void {
  if (signal.aborted) {
    const { reason } = signal;
    const isLate = reason instanceof NodeError && reason.code === 'ORIGIN_TIMED_OUT';
    use.conclude(isLate ? 'failed' : 'abandoned');
    return;
  }
  if (error instanceof NodeError && REFUSED.has(error.details.cause)) use.refused();
  else use.conclude(isOwnFault(error) ? 'abandoned' : 'failed');
}

const isOwnFault = (error: unknown): boolean =>
  error instanceof NodeError && error.blame !== 'origin';

/** What a status says of the replica that answered with it. */
export const endingOfStatus = (status: number): breaker.Ending =>
  status >= 502 && status <= 504 ? 'failed' : 'succeeded';
