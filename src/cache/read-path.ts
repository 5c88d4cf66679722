/**
 * Answers one read of one record. It selects an entry, decides by RFC 9111 whether that entry may be
 * reused, and else goes to the origin, once for all who wait. It knows no transport: every protocol
 * comes here with a `ReadRequest` and leaves with a `ReadResult`. It reads the clock once [R1] and
 * never throws for an outcome. It does not write tables, check grants, or parse header fields.
 *
 *  selecting ─► deciding ─┬─ reuse ─────────────────────► answered
 *                  ▲      ├─ reuse + refresh behind ────► answered   (the refresh is a second run)
 *                  │      ├─ refuse (only-if-cached) ───► refused
 *                  │      └─ go to origin ─► joining ─┬─ leader ─► fetching ─┬─ 304 ───► freshening ─► answered
 *                  │                                  │                      ├─ reply ─► storing ────► answered
 *                  └──── handed the reply ◄─ waiting ◄┘                      └─ failure ► fallingBack ► answered | failed
 *
 * A hit is synchronous from `read` to `answer` and runs inside the store's callback, on a view; an
 * entry is copied only on the way to a state that waits.
 */
import { assert } from '../base/assert.ts';
import { type DurationMs, durationMs, type RecordId } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { type Flight, Flights, type Joined } from './collapse.ts';
import { type Decision, decide, type Forward } from './decide.ts';
import { NO_REQUEST_DIRECTIVES } from './directives.ts';
import type { Entry } from './entry.ts';
import { resultWord } from './events.ts';
import {
  failFlight,
  fallingBack,
  fetching,
  freshening,
  storing,
  takenOver,
} from './fetch-steps.ts';
import { restamped } from './plain-entry.ts';
import type { CachePolicy } from './policy.ts';
import type { InvalidationVerdict, Lease } from './ports.ts';
import type { Answer, ReadRequest } from './read-request.ts';
import { ABSENT_HERE, fetchedResult, ownResult, REFUSED, reusedResult } from './results.ts';
import type {
  Deciding,
  Errand,
  Fetching,
  Final,
  Joining,
  MovingKind,
  MovingState,
  ReadPathDeps,
  Run,
  Selecting,
  State,
  Waiting,
} from './states.ts';

/** The longest path has 9 steps; more would mean that the machine spins. */
const STEPS_MAX = 12;

const VALID: InvalidationVerdict = Object.freeze({ kind: 'valid' });

/** The errand of a refresh nobody waits for. */
const REFRESH: Forward = Object.freeze({
  kind: 'forward',
  reason: 'stale',
  conditional: true,
  fallback: false,
  store: true,
  shared: true,
});

type Step<S extends MovingState> = (run: Run, state: S) => State | Promise<State>;
type Steps = { readonly [Kind in MovingKind]: Step<Extract<MovingState, { kind: Kind }>> };

const STEPS: Steps = {
  selecting,
  deciding,
  joining,
  waiting,
  fetching,
  freshening,
  storing,
  fallingBack,
};

/** The read path of one table on one thread. */
export class ReadPath {
  readonly #deps: ReadPathDeps;
  readonly #flights: Flights;
  #policy: CachePolicy;

  constructor(deps: ReadPathDeps) {
    this.#deps = deps;
    this.#policy = deps.policy;
    this.#flights = new Flights({
      name: `failures of ${deps.table}`,
      failureMarkersBytes: deps.limits.failureMarkersBytes,
    });
  }

  /** Reads from now on follow `policy`; those under way keep theirs. */
  usePolicy(policy: CachePolicy): void {
    this.#policy = policy;
  }

  get policy(): CachePolicy {
    return this.#policy;
  }

  /** Flights under way or not yet readable. */
  get flights(): number {
    return this.#flights.size;
  }

  /**
   * Reads one record and calls `answer` once: before returning when nothing has to wait (then it
   * returns `undefined`), else before the promise resolves. A client which left is not answered.
   */
  read(request: ReadRequest, answer: Answer): void | Promise<void> {
    const run = this.#run(request, answer);
    return this.#deps.entries.withEntry(request.id, request.variant, (entry) =>
      drive(run, { kind: 'selecting', entry }, 0),
    );
  }

  /** Asks the origin for a record whatever is held of it, unless somebody does already. */
  refresh(id: RecordId, variant = ''): void | Promise<void> {
    const run = this.#run(clientlessRequest(id, variant), undefined);
    if (run.isOrigin || !isIdle(run)) return undefined;
    return this.#deps.entries.withEntry(id, variant, (entry) =>
      drive(run, joiningFor(REFRESH, entry), 0),
    );
  }

  #run(request: ReadRequest, answer: Answer | undefined): Run {
    return {
      deps: this.#deps,
      flights: this.#flights,
      policy: this.#policy,
      request,
      answer,
      now: this.#deps.clock.now(),
      isOrigin: this.#deps.origin === undefined,
      fedSince: this.#deps.fedSince?.(),
      startBehind,
    };
  }
}

/** The read path of a table. */
export const createReadPath = (deps: ReadPathDeps): ReadPath => new ReadPath(deps);

/** The driver: all branching is here and in `decide`; no step calls another. */
function drive(run: Run, first: State, stepsBefore: number): void | Promise<void> {
  let state = first;
  let steps = stepsBefore;
  while (isMoving(state)) {
    assert(steps < STEPS_MAX, `a read takes at most ${STEPS_MAX} steps`);
    steps += 1;
    const next = (STEPS[state.kind] as Step<MovingState>)(run, state);
    if (next instanceof Promise) return driveOn(run, state, next, steps);
    run.deps.events.readStepped?.(state.kind, next.kind);
    state = next;
  }
  finish(run, state);
}

async function driveOn(
  run: Run,
  from: MovingState,
  pending: Promise<State>,
  steps: number,
): Promise<void> {
  let next: State;
  try {
    next = await pending;
  } catch (error) {
    // A broken assumption must not leave others waiting for ever.
    abandon(run, from, error);
    throw error;
  }
  run.deps.events.readStepped?.(from.kind, next.kind);
  return drive(run, next, steps);
}

const isMoving = (state: State): state is MovingState =>
  state.kind !== 'answered' && state.kind !== 'refused' && state.kind !== 'failed';

/** Gives the client its answer, and only then begins the refresh behind it. */
function finish(run: Run, { result, refresh }: Final): void {
  if (run.answer !== undefined && run.request.signal?.aborted !== true) {
    run.deps.events.answered?.(run.deps.table, resultWord(result));
    run.answer(result);
  }
  if (refresh !== undefined) {
    startBehind(run, { kind: 'joining', errand: refresh, examined: undefined });
  }
}

/** A second run without a client; what breaks in it is told to `refreshBroke` only. */
function startBehind(run: Run, state: MovingState): void {
  const { deps } = run;
  const behind: Run = {
    ...run,
    answer: undefined,
    request: clientlessRequest(run.request.id, run.request.variant),
  };
  try {
    drive(behind, state, 0)?.catch((error) => deps.events.refreshBroke?.(deps.table, error));
  } catch (error) {
    deps.events.refreshBroke?.(deps.table, error);
  }
}

const clientlessRequest = (id: RecordId, variant: string): ReadRequest => ({
  id,
  variant,
  directives: NO_REQUEST_DIRECTIVES,
  mayForce: false,
});

/** Takes what the store handed out and asks what was invalidated since. */
function selecting(run: Run, { entry }: Selecting): Deciding {
  const missing =
    entry === undefined && run.request.variant !== '' && hasOtherVariants(run)
      ? 'vary-miss'
      : 'uri-miss';
  return {
    kind: 'deciding',
    entry,
    verdict: entry === undefined ? VALID : run.deps.invalidations.judge(entry),
    missing,
    handed: false,
    source: undefined,
  };
}

const hasOtherVariants = ({ deps, request }: Run): boolean =>
  deps.entries.withEntry(request.id, '', (entry) => entry !== undefined);

function deciding(run: Run, state: Deciding): State {
  const decision = decide(run, state);
  switch (decision.kind) {
    case 'reuse':
      return reuse(run, state, decision);
    case 'absent':
      return { kind: 'answered', result: ABSENT_HERE, refresh: undefined };
    case 'refuse':
      return { kind: 'refused', result: REFUSED, refresh: undefined };
    case 'forward':
      if (decision.shared) return joiningFor(decision, state.entry, state.source?.flight);
      return aloneFor(run, errandOf(decision, state.entry));
  }
}

/** Answers with the entry, which may come from the store or from the flight that has it in memory. */
function reuse(run: Run, state: Deciding, decision: Extract<Decision, { kind: 'reuse' }>): Final {
  const { entry, source, verdict } = state;
  assert(entry !== undefined, 'only an entry is reused');
  if (state.handed && source !== undefined) {
    const { originStatus, stored } = source.outcome;
    const served = originStatus === 304 ? 'validated' : 'fetched';
    const fetch = { served, originStatus, stored, collapsed: true } as const;
    return answered(fetchedResult(entry, source.errand, fetch));
  }
  const result = run.isOrigin
    ? ownResult(entry, run.now)
    : reusedResult(entry, run.now, verdict, decision.permission);
  const refresh = decision.refreshBehind && isIdle(run) ? errandOf(REFRESH, entry) : undefined;
  return { kind: 'answered', result, refresh };
}

const answered = (result: Final['result']): Final => ({
  kind: 'answered',
  result,
  refresh: undefined,
});

/** Joins the flight of the key, or leads a new one. */
function joining(run: Run, state: Joining): State | Promise<State> {
  const { errand } = state;
  const joined = join(run, state);
  switch (joined.kind) {
    case 'held':
      return joined.outcome.shareable
        ? handedOver(run, { errand, flight: joined.flight, outcome: joined.outcome }, false)
        : aloneFor(run, errand);
    case 'follow':
      run.deps.events.collapsed?.(run.deps.table);
      return waitingFor(run, errand, joined.flight);
    case 'turnedAway':
      if (joined.error.code === 'TOO_MANY_WAITERS') run.deps.events.limitHit?.('waitersMax');
      return { kind: 'fallingBack', errand, error: joined.error, collapsed: true };
    case 'lead':
      return lead(run, errand, joined.flight);
  }
}

function join(run: Run, { errand, examined }: Joining): Joined {
  const { invalidations } = run.deps;
  return run.flights.join({
    key: cacheKey(run),
    newest: invalidations.newest(run.request.id),
    stamp: invalidations.stamp(),
    now: run.now,
    waitersMax: run.policy.settings.collapse.waitersMax,
    mayJoin: (flight) => flight !== examined && isNoOlder(run, flight, errand.held),
  });
}

/** Groups of the held entry count too: was one of them invalidated after the flight began? [R6] */
function isNoOlder(run: Run, flight: Flight, held: Entry | undefined): boolean {
  if (held?.meta.groups === undefined || flight.stamp <= held.stamp) return true;
  return run.deps.invalidations.judge(restamped(held, flight.stamp)).kind === 'valid';
}

/** Asks for the node-wide right to fetch; at once on a node with one thread. */
function lead(run: Run, errand: Errand, flight: Flight): State | Promise<State> {
  try {
    const lease = run.deps.leases.acquire(flight.key, flight.newest);
    if (!(lease instanceof Promise)) return leased(run, errand, flight, lease);
    return lease.then(
      (granted) => leased(run, errand, flight, granted),
      (error) => leaseLost(run, errand, flight, error),
    );
  } catch (error) {
    return leaseLost(run, errand, flight, error);
  }
}

function leased(run: Run, errand: Errand, flight: Flight, lease: Lease): State {
  if (lease.kind === 'lead') {
    const { stamp } = flight;
    const { conditional } = errand.forward;
    return { kind: 'fetching', errand, flight, lease, stamp, conditional, pending: undefined };
  }
  takenOver(run, flight, lease.outcome);
  return waitingFor(run, errand, flight);
}

function leaseLost(run: Run, errand: Errand, flight: Flight, cause: unknown): State {
  const error = asNodeError(cause);
  failFlight(run, { flight, lease: undefined }, error);
  return { kind: 'fallingBack', errand, error, collapsed: false };
}

/** Waits once, for the flight, within `collapse.wait` and the client's own deadline [R4]. */
async function waiting(run: Run, state: Waiting): Promise<State> {
  const { errand, flight } = state;
  const { deps, request } = run;
  const outcome = await flight.wait(deps.clock, waitOf(run), request.signal);
  if (outcome === undefined) {
    const error = new NodeError(
      'DEADLINE_EXCEEDED',
      `${deps.table} ${request.id}: the fetch which this read waits for takes too long`,
      { blame: 'origin', retry: 'later' },
    );
    return { kind: 'fallingBack', errand, error, collapsed: true };
  }
  if (outcome.kind === 'failure') {
    return { kind: 'fallingBack', errand, error: outcome.error, collapsed: true };
  }
  // [R5] A reply that is not for all, or was invalidated after it was asked for and maybe before
  // this read began, sends each on its own way.
  const overtaken = state.joinedAt > outcome.entry.stamp && !isStillValid(run, outcome.entry);
  if (!outcome.shareable || overtaken) return aloneFor(run, errand);
  return handedOver(run, { errand, flight, outcome }, true);
}

const isStillValid = (run: Run, entry: Entry): boolean =>
  run.deps.invalidations.judge(entry).kind === 'valid';

function waitOf({ policy, request, now }: Run): DurationMs {
  const { wait } = policy.settings.collapse;
  if (request.deadline === undefined) return wait;
  return durationMs(Math.max(0, Math.min(wait, request.deadline - now)));
}

function handedOver(run: Run, source: Deciding['source'] & {}, handed: boolean): Deciding {
  const { entry } = source.outcome;
  const verdict = handed ? VALID : run.deps.invalidations.judge(entry);
  return { kind: 'deciding', entry, verdict, missing: 'uri-miss', handed, source };
}

const waitingFor = (run: Run, errand: Errand, flight: Flight): Waiting => ({
  kind: 'waiting',
  errand,
  flight,
  joinedAt: run.deps.invalidations.stamp(),
});

const joiningFor = (forward: Forward, entry: Entry | undefined, examined?: Flight): Joining => ({
  kind: 'joining',
  errand: errandOf(forward, entry),
  examined,
});

/** A fetch for this read alone. */
const aloneFor = (run: Run, errand: Errand): Fetching => ({
  kind: 'fetching',
  errand,
  flight: undefined,
  lease: undefined,
  stamp: run.deps.invalidations.stamp(),
  conditional: errand.forward.conditional,
  pending: undefined,
});

/** Copies the entry, since the states that follow outlive the store's callback. */
const errandOf = (forward: Forward, entry: Entry | undefined): Errand => ({
  forward,
  held: forward.store ? entry?.retain() : undefined,
});

/** Numbers and strings are different ids; variants are different entries. */
const cacheKey = ({ deps, request: { id, variant } }: Run): string =>
  `${deps.table}\u0000${typeof id === 'number' ? '#' : ''}${id}\u0000${variant}`;

const isIdle = (run: Run): boolean =>
  run.flights.isIdle(cacheKey(run), run.deps.invalidations.newest(run.request.id), run.now);

function abandon(run: Run, from: MovingState, cause: unknown): void {
  if (!('flight' in from) || from.flight === undefined || from.kind === 'waiting') return;
  const lease = 'lease' in from ? from.lease : undefined;
  failFlight(run, { flight: from.flight, lease }, asNodeError(cause));
}
