/**
 * The states of a read at the origin: fetching, and falling back when that failed. Whoever leads a
 * flight goes through here for all who wait.
 *
 * Invariants: a flight that began is settled on every way out; a client which leaves hands its
 * fetch to a run without a client [R9]; a failure is shared and remembered for its back-off window.
 */
import { durationMs, later } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { eitherStop, Stop } from '../base/stop.ts';
import type { Flight } from './collapse.ts';
import { mayCoverFailure } from './decide.ts';
import { backOffAfter } from './default-policy.ts';
import { isFresh } from './freshness.ts';
import { restamped } from './plain-entry.ts';
import type { CallLine, FlightOutcome, OriginReply, Turn, TurnWaiter } from './ports.ts';
import { failedResult, fallbackResult, statusOf } from './results.ts';
import type {
  FallingBack,
  Fetch,
  Fetched,
  Fetching,
  Final,
  PendingFetch,
  Run,
  State,
} from './states.ts';

/** Asks the origin, and goes on without a client when the client's time is up. */
export function fetching(run: Run, state: Fetching): Promise<State> {
  try {
    const line = lineFor(run, state);
    if (line === undefined || line.isFree) return asking(run, state, undefined);
    return new Promise((resolve) => {
      line.wait(run.request.source, new WaitingFetch(run, state, resolve));
    });
  } catch (error) {
    return Promise.resolve(failed(run, state, asNodeError(error)));
  }
}

/** Whoever waits is to be light: what is made for a fetch is made by `asking`. */
class WaitingFetch implements TurnWaiter {
  readonly #run: Run;
  readonly #state: Fetching;
  readonly #goOn: (next: State | Promise<State>) => void;

  constructor(run: Run, state: Fetching, goOn: (next: State | Promise<State>) => void) {
    this.#run = run;
    this.#state = state;
    this.#goOn = goOn;
  }

  take(turn: Turn): void {
    this.#goOn(asking(this.#run, this.#state, turn));
  }

  refuse(error: NodeError): void {
    this.#goOn(failed(this.#run, this.#state, error));
  }
}

async function asking(run: Run, state: Fetching, turn: Turn | undefined): Promise<State> {
  const pending = state.pending ?? ask(run, state, turn);
  const fetched = await whileClientWaits(run, pending.fetched);
  if (fetched === undefined) {
    if (state.flight === undefined) pending.abort();
    else run.startBehind(run, { ...state, pending });
    return { kind: 'fallingBack', errand: state.errand, error: outOfTime(run), collapsed: false };
  }
  if (fetched.kind === 'failed') return failed(run, state, fetched.error);
  const { reply } = fetched;
  const paced = run.deps.pace?.replies.pass(run.request.source);
  if (paced !== undefined) await paced;
  if (reply.kind !== 'notModified') return { ...fetchOf(state), kind: 'storing', reply };
  return confirmed(run, state, pending.conditional, reply);
}

/** A 304: for what was asked about, unless that was invalidated meanwhile, or nothing was asked. */
function confirmed(
  run: Run,
  state: Fetching,
  conditional: boolean,
  { facts, beside }: OriginReply,
): State {
  const { held } = state.errand;
  if (held === undefined || !conditional) {
    const message = `${run.deps.table}: the origin answered 304 to an unconditional request`;
    return failed(run, state, new NodeError('ORIGIN_FAILED', message, { blame: 'origin' }));
  }
  const { invalidations } = run.deps;
  if (invalidations.judge(restamped(held, state.stamp)).kind === 'valid') {
    return { ...fetchOf(state), kind: 'freshening', entry: held, facts, beside };
  }
  // The origin may have compared with what the invalidation was about. Once: it is unconditional
  // now.
  return { ...state, conditional: false, stamp: invalidations.stamp(), pending: undefined };
}

/**
 * Readers wait in line before anything is made for their fetch. One whose own time is short is
 * waited for together with its fetch, and a refresh behind has a line of its own.
 */
function lineFor({ deps, request, answer }: Run, state: Fetching): CallLine | undefined {
  const isReader = answer !== undefined && request.deadline === undefined;
  return isReader && state.pending === undefined ? deps.origin?.line : undefined;
}

const fetchOf = ({ errand, flight, lease, stamp }: Fetch): Fetch => ({
  errand,
  flight,
  lease,
  stamp,
});

/**
 * Only a record can be validated: a negative entry or a marker has nothing to compare. One which
 * was invalidated since it was selected is fetched anew even if its validators still match [RFC9111
 * §4.4].
 */
function mayValidate({ deps }: Run, { conditional, errand: { held } }: Fetching): boolean {
  return conditional && held?.kind === 'record' && deps.invalidations.judge(held).kind !== 'hard';
}

function ask(run: Run, state: Fetching, turn: Turn | undefined): PendingFetch {
  const { deps, request } = run;
  const controller = new Stop();
  const alone = state.flight === undefined && request.signal !== undefined;
  const signal = alone ? eitherStop(controller, request.signal) : controller;
  const background = run.answer === undefined;
  deps.events.originAsked?.(deps.table, background);
  const conditional = mayValidate(run, state);
  const { held } = state.errand;
  const replacing = held?.kind === 'record' ? held : undefined;
  const peersMayAnswer = request.isOwnOnly !== true && mayAskPeers(state);
  const reply = callOrigin(run, {
    id: request.id,
    source: request.source,
    requestId: request.requestId,
    ...{ replacing, conditional, background, peersMayAnswer, signal, turn },
  });
  if (turn !== undefined) reply.then(turn.free, turn.free);
  return {
    conditional,
    fetched: within(run, reply, () => controller.abort()),
    abort: () => controller.abort(),
  };
}

/**
 * Not for one reader alone, and not for one who demands the origin. Nor while an invalidation is in
 * force here that is not committed: others cannot have heard of it, and those who read after it
 * join this flight.
 */
const mayAskPeers = ({ flight, errand }: Fetching): boolean =>
  flight !== undefined && flight.newest <= flight.stamp && errand.forward.reason !== 'request';

/** `async`, so that an origin which throws at once fails like one which rejects. */
async function callOrigin(
  { deps }: Run,
  request: Parameters<NonNullable<Run['deps']['origin']>['fetch']>[0],
): Promise<OriginReply> {
  const { origin } = deps;
  if (origin === undefined) throw new NodeError('INTERNAL', `${deps.table} has no origin`);
  return origin.fetch(request);
}

/**
 * The reply or the failure, at the latest after `fetchMsMax`, which an origin's own deadline
 * precedes.
 */
function within(run: Run, reply: Promise<OriginReply>, abort: () => void): Promise<Fetched> {
  const { clock, limits, table, events } = run.deps;
  return new Promise((resolve) => {
    const cancel = clock.after(durationMs(limits.fetchMsMax), () => {
      abort();
      events.limitHit?.('fetchMsMax');
      const message = `${table}: the origin did not settle within ${limits.fetchMsMax} ms`;
      resolve({
        kind: 'failed',
        error: new NodeError('ORIGIN_TIMED_OUT', message, { blame: 'origin', retry: 'later' }),
      });
    });
    reply.then(
      (value) => {
        cancel();
        resolve({ kind: 'replied', reply: value });
      },
      (error) => {
        cancel();
        resolve({ kind: 'failed', error: asNodeError(error) });
      },
    );
  });
}

/** `undefined` when the client's deadline passed or the client left before the fetch was over. */
function whileClientWaits(run: Run, fetched: Promise<Fetched>): Promise<Fetched | undefined> {
  const { signal, deadline } = run.request;
  if (run.answer === undefined || (signal === undefined && deadline === undefined)) return fetched;
  return new Promise((resolve) => {
    const stop = (value: Fetched | undefined): void => {
      cancel?.();
      signal?.removeEventListener('abort', leave);
      resolve(value);
    };
    const leave = (): void => stop(undefined);
    const cancel =
      deadline === undefined
        ? undefined
        : run.deps.clock.after(durationMs(Math.max(0, deadline - run.now)), leave);
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted === true) leave();
    void fetched.then(stop);
  });
}

function outOfTime({ deps, request }: Run): NodeError {
  const message = `${deps.table} ${request.id}: the origin takes longer than the client would wait`;
  return new NodeError('DEADLINE_EXCEEDED', message, { blame: 'origin', retry: 'later' });
}

function failed(run: Run, state: Fetching, error: NodeError): State {
  run.deps.events.originFailed?.(run.deps.table, error);
  if (state.flight !== undefined) {
    failFlight(run, { flight: state.flight, lease: state.lease }, error);
  }
  return { kind: 'fallingBack', errand: state.errand, error, collapsed: false };
}

/** Refusals of this node, which say nothing of the origin's health: a reader may try again. */
const NOT_REMEMBERED: ReadonlySet<string> = new Set([
  'ORIGIN_BUSY',
  'BREAKER_OPEN',
  'OVERLOADED',
  'SHUTTING_DOWN',
]);

/**
 * Shares a failure with all who wait, on every thread, and remembers it for its back-off window.
 */
export function failFlight(
  run: Run,
  { flight, lease }: { readonly flight: Flight; readonly lease: Fetch['lease'] },
  error: NodeError,
): void {
  if (flight.outcome === undefined) {
    const until = later(run.deps.clock.now(), backOffAfter(statusOf(error), run.policy.settings));
    run.flights.fail(flight, error, { until, refreshesOnly: NOT_REMEMBERED.has(error.code) });
  } else {
    run.flights.end(flight);
  }
  lease?.settle({ kind: 'failure', error });
}

/** Another thread fetches: its outcome is this thread's flight's, whoever still waits here. */
export function takenOver(run: Run, flight: Flight, outcome: Promise<FlightOutcome>): void {
  outcome.then(
    (settled) => {
      if (settled.kind === 'failure') {
        failFlight(run, { flight, lease: undefined }, settled.error);
        return;
      }
      flight.settle(settled);
      run.flights.end(flight);
    },
    (error) => failFlight(run, { flight, lease: undefined }, asNodeError(error)),
  );
}

/** What the origin's failure is answered with: the held entry if it may be, else the failure. */
export function fallingBack(run: Run, state: FallingBack): Final {
  const { errand, error, collapsed } = state;
  const { held } = errand;
  if (held !== undefined && errand.forward.fallback && permitsStale(error)) {
    const verdict = run.deps.invalidations.judge(held);
    if (mayCoverFailure(run, verdict, held)) {
      const fresh = isFresh(held, run.now, verdict);
      const failure = { errand, error, collapsed, fresh };
      const result = fallbackResult(held, run.now, verdict, failure);
      return { kind: 'answered', result, refresh: undefined };
    }
  }
  return { kind: 'failed', result: failedResult(errand, error, collapsed), refresh: undefined };
}

const STALE_PERMITTED: ReadonlySet<string> = new Set([
  'ADDRESS_REFUSED',
  'BREAKER_OPEN',
  'DEADLINE_EXCEEDED',
  'ORIGIN_BODY_INVALID',
  'ORIGIN_BODY_TOO_LARGE',
  'ORIGIN_BUSY',
  'ORIGIN_FAILED',
  'ORIGIN_TIMED_OUT',
  'ORIGIN_UNREACHABLE',
  'OVERLOADED',
  'TOO_MANY_WAITERS',
]);

/**
 * Whether the error is one that stale-if-error is about [RFC5861 §4]: no answer, or a status which
 * blames the server. 501 and 505 say that the request is wrong, now and later.
 */
export function permitsStale(error: NodeError): boolean {
  if (error.code !== 'ORIGIN_STATUS') return STALE_PERMITTED.has(error.code);
  const status = statusOf(error);
  return status !== undefined && status >= 500 && status !== 501 && status !== 505;
}
