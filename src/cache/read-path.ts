/**
 * Answers one read of one record. It selects an entry, decides by RFC 9111 whether that entry may
 * be reused, and else goes to the origin, once for all who wait. It knows no transport: every
 * protocol comes here with a `ReadRequest` and leaves with a `ReadResult`. It reads the clock once
 * [R1] and never throws for an outcome. It does not write tables, check grants, or parse header
 * fields.
 *
 *  selecting ─► deciding ─┬─ reuse ────────────────────► answered
 *                 ▲       ├─ reuse, refresh behind ───► answered  (the refresh is a second run)
 *                 │       ├─ refuse (only-if-cached) ─► refused
 *                 │       └─ go to origin ─► joining ─┬─ lead ─► fetching ─┬─ 304 ─► freshening
 *                 │                                   │                    ├─ reply ─► storing
 *                 └──── handed the reply ◄─ waiting ◄─┘                    └─ failure ► fallingBack
 *
 * freshening and storing end in answered, fallingBack in answered or failed.
 *
 * A hit is synchronous from `read` to `answer` and runs inside the store's callback, on a view; an
 * entry is copied only on the way to a state that waits.
 */
import { assert } from '../base/assert.ts';
import type { CacheFigures } from '../base/bounded-cache.ts';
import type { EpochMs, RecordId } from '../base/brands.ts';
import { asNodeError } from '../base/errors.ts';
import { Flights } from './collapse.ts';
import type { DecisionContext } from './decide.ts';
import { NO_REQUEST_DIRECTIVES } from './directives.ts';
import { resultWord } from './events.ts';
import { failFlight, fallingBack, fetching } from './fetch-steps.ts';
import {
  deciding,
  isIdle,
  joining,
  joiningFor,
  REFRESH,
  selecting,
  waiting,
} from './join-steps.ts';
import type { CachePolicy } from './policy.ts';
import type { Answer, ReadRequest } from './read-request.ts';
import type { Final, MovingKind, MovingState, ReadPathDeps, Run, State } from './states.ts';
import { freshening, storing } from './store-steps.ts';

/** The longest path has 9 steps; more would mean that the machine spins. */
const STEPS_MAX = 12;

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

  /** What is kept in memory beside the store. */
  get memory(): CacheFigures {
    return this.#flights.figures;
  }

  /** Flights under way or not yet readable. */
  get flights(): number {
    return this.#flights.size;
  }

  /**
   * Reads one record and calls `answer` once: before returning when nothing has to wait (then it
   * returns what `answer` did), else before the promise resolves. A client which left is not
   * answered.
   */
  read(request: ReadRequest, answer: Answer): void | Promise<void> {
    const run = this.#run(request, answer);
    return this.#deps.entries.withEntry(request.id, request.variant, (entry) =>
      drive(run, { kind: 'selecting', entry }, 0),
    );
  }

  /** What the rows of a query are judged by, all as of one instant [R1]. */
  rowContext(request: ReadRequest): DecisionContext {
    return this.#run(request, undefined);
  }

  /** The same at a given instant, where no request says more. */
  rowContextAt(now: EpochMs): DecisionContext {
    return { ...this.#run(clientlessRequest('', ''), undefined), now };
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
      fedUntil: this.#deps.fedUntil?.(),
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
  return finish(run, state, stepsBefore > 0);
}

/** No `async` function: a flood of cold keys is thousands of reads that wait here. */
function driveOn(
  run: Run,
  from: MovingState,
  pending: Promise<State>,
  steps: number,
): Promise<void> {
  return pending.then(
    (next) => {
      run.deps.events.readStepped?.(from.kind, next.kind);
      return drive(run, next, steps);
    },
    (error: unknown) => {
      // A broken assumption must not leave others waiting for ever.
      abandon(run, from, error);
      throw error;
    },
  );
}

const isMoving = (state: State): state is MovingState =>
  state.kind !== 'answered' && state.kind !== 'refused' && state.kind !== 'failed';

/**
 * Gives the client its answer, and only then begins the refresh behind it. Only a run that waited
 * can have lost its client meanwhile; a hit does not even ask, since a signal is made on first use.
 */
function finish(run: Run, { result, refresh }: Final, waited: boolean): void | Promise<void> {
  const left = waited && run.request.signal?.aborted === true;
  const answer = left ? undefined : run.answer;
  if (answer !== undefined) run.deps.events.answered?.(run.deps.table, resultWord(result));
  const answering = answer?.(result);
  if (refresh !== undefined) {
    startBehind(run, { kind: 'joining', errand: refresh, examined: undefined });
  }
  return answering;
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

function abandon(run: Run, from: MovingState, cause: unknown): void {
  if (!('flight' in from) || from.flight === undefined || from.kind === 'waiting') return;
  const lease = 'lease' in from ? from.lease : undefined;
  failFlight(run, { flight: from.flight, lease }, asNodeError(cause));
}
