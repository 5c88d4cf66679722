/**
 * The states of a read from the store's word to the wait for a flight: selecting, deciding, joining
 * and waiting. Nothing here goes to the origin; `fetch-steps.ts` does.
 *
 * Invariants: an entry is copied exactly when the state it goes to outlives the store's callback; a
 * read joins no flight that is older than the newest invalidation it knows of [R6]; it waits once
 * [R4].
 */
import { assert } from '../base/assert.ts';
import { type DurationMs, durationMs } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import type { Flight, Joined } from './collapse.ts';
import { type Decision, decide, type Forward } from './decide.ts';
import type { Entry } from './entry.ts';
import { failFlight, takenOver } from './fetch-steps.ts';
import { mayBeOld } from './freshness.ts';
import { restamped } from './plain-entry.ts';
import type { InvalidationVerdict, Lease } from './ports.ts';
import { ABSENT_HERE, fetchedResult, ownResult, REFUSED, reusedResult } from './results.ts';
import type {
  Deciding,
  Errand,
  Fetching,
  Final,
  Joining,
  Run,
  Selecting,
  State,
  Waiting,
} from './states.ts';

const VALID: InvalidationVerdict = Object.freeze({ kind: 'valid' });

/** The errand of a refresh nobody waits for. */
export const REFRESH: Forward = Object.freeze({
  kind: 'forward',
  reason: 'stale',
  conditional: true,
  fallback: false,
  store: true,
  shared: true,
});

/** Takes what the store handed out and asks what was invalidated since. */
export function selecting(run: Run, { entry }: Selecting): Deciding {
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

export function deciding(run: Run, state: Deciding): State {
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

/**
 * Answers with the entry, which may come from the store or from the flight that has it in memory.
 */
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
export function joining(run: Run, state: Joining): State | Promise<State> {
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
    mayJoin: (flight) =>
      flight !== examined && isNoOlder(run, flight, errand.held) && !bringsOld(run, flight),
  });
}

/** Groups of the held entry count too: was one of them invalidated after the flight began? [R6] */
function isNoOlder(run: Run, flight: Flight, held: Entry | undefined): boolean {
  if (held?.meta.groups === undefined || flight.stamp <= held.stamp) return true;
  return run.deps.invalidations.judge(restamped(held, flight.stamp)).kind === 'valid';
}

/** What is in memory already was made from records of which this node has newer ones. */
const bringsOld = (run: Run, { outcome }: Flight): boolean =>
  outcome?.kind === 'reply' && hasNewer(run, outcome.entry);

/** Those records may have changed before any stored entry named them: then no group tells. */
const hasNewer = ({ deps, now }: Run, entry: Entry): boolean =>
  !mayBeOld(entry) && deps.invalidations.hasNewer(entry.meta.groups, now);

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
export async function waiting(run: Run, state: Waiting): Promise<State> {
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
  // [R5] A reply that is not for all sends each on its own way.
  if (!outcome.shareable || isOvertaken(run, state, outcome.entry)) return aloneFor(run, errand);
  return handedOver(run, { errand, flight, outcome }, true);
}

/**
 * Whether one of the reply's groups was invalidated, or a record changed that it was made from,
 * after it was asked for and maybe before this read began. Invalidations by key, prefix or table
 * were compared on joining: one of those came later, and must not send a herd to the origin.
 */
function isOvertaken(run: Run, { joinedAt }: Waiting, entry: Entry): boolean {
  if (entry.meta.groups === undefined || joinedAt <= entry.stamp) return false;
  return !isStillValid(run, entry) || hasNewer(run, entry);
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

export const joiningFor = (
  forward: Forward,
  entry: Entry | undefined,
  examined?: Flight,
): Joining => ({
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

/** Whether a refresh of the key would be the only one, and may ask now. */
export const isIdle = (run: Run): boolean =>
  run.flights.isIdle(cacheKey(run), run.deps.invalidations.newest(run.request.id), run.now);
