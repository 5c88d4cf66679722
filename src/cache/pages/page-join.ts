/**
 * Going forward for a page: leading the flight of its key, or taking what another one brought. A
 * request joins no flight that is older than the newest invalidation of its key, waits once (and
 * once more when what came was made from what had changed before it came), and shares the failure
 * of what it waited for.
 */
import { asNodeError, NodeError } from '../../base/errors.ts';
import type { Flight } from '../collapse.ts';
import type { Lease } from '../ports.ts';
import { fetchPage } from './page-fetch.ts';
import {
  COMPLETE,
  endFailed,
  type Fetch,
  fail,
  isAuthorised,
  type PageErrand,
  type PageReply,
  ROUNDS_MAX,
} from './page-flight.ts';
import type { PageRun } from './page-run.ts';
import { rangeOf } from './partial.ts';

export async function forwardPage(run: PageRun, errand: PageErrand): Promise<void> {
  const { forward } = errand;
  const isAlone = !forward.shared || isAuthorised(run);
  if (isAlone) return fetchPage(run, aloneOf(run, errand));
  const near = aboutToBeStored(run, errand);
  if (near !== undefined) return near.then(() => run.select(run, errand.round + 1));
  if (run.page.method === 'HEAD') return fetchPage(run, aloneOf(run, errand));
  const { invalidations, events, table } = run.deps;
  const joined = run.flights.join({
    key: flightKey(run, errand),
    newest: invalidations.newest(run.page.id),
    stamp: invalidations.stamp(),
    now: run.now,
    waitersMax: run.policy.settings.collapse.waitersMax,
    mayJoin: ({ outcome }) => outcome?.kind !== 'reply' || !outcome.isOvertaken(run),
  });
  switch (joined.kind) {
    case 'turnedAway':
      return fail(run, errand, joined.error, true);
    case 'held':
      return takeHeld(run, errand, joined.flight, joined.outcome);
    case 'follow':
      events.collapsed?.(table);
      return wait(run, errand, joined.flight);
    case 'lead':
      return lead(run, errand, joined.flight);
  }
}

/** A range may be cut from a page, or a part of it, that is about to be readable; so may a head. */
function aboutToBeStored(run: PageRun, errand: PageErrand): Promise<void> | undefined {
  if (run.page.method !== 'HEAD' && rangeOf(run.page) === undefined) return undefined;
  const isNear = ({ outcome }: Flight<PageReply>): boolean =>
    outcome?.kind === 'reply' && outcome.isComplete();
  return run.flights.find(wholeKey(run, errand), isNear)?.ended;
}

/** Asks for a stale page behind an answer, unless somebody does already. */
export function refreshPage(run: PageRun, errand: PageErrand): void {
  const { deps, flights, page } = run;
  const newest = deps.invalidations.newest(page.id);
  if (!flights.isIdle(flightKey(run, errand), newest, run.now)) return;
  const behind: PageRun = { ...run, answer: undefined };
  forwardPage(behind, errand).catch((error) => deps.events.refreshBroke?.(deps.table, error));
}

const aloneOf = (run: PageRun, errand: PageErrand): Fetch => ({
  errand,
  flight: undefined,
  lease: undefined,
  stamp: run.deps.invalidations.stamp(),
  conditional: errand.forward.conditional,
});

const wholeKey = ({ deps, page }: PageRun, { variant }: PageErrand): string =>
  `${deps.table}\u0000${page.id}\u0000${variant}\u0000`;

/** Ranges are flights of their own; a refresh asks for the whole. */
const flightKey = (run: PageRun, errand: PageErrand): string =>
  wholeKey(run, errand) + (run.answer === undefined ? '' : (rangeOf(run.page) ?? ''));

async function wait(run: PageRun, errand: PageErrand, flight: Flight<PageReply>): Promise<void> {
  const outcome = await flight.wait(
    run.deps.clock,
    run.policy.settings.collapse.wait,
    run.answer === undefined ? undefined : run.page.signal,
  );
  if (outcome === undefined) {
    const message = `${run.deps.table}: the fetch which this request waits for takes too long`;
    const late = new NodeError('DEADLINE_EXCEEDED', message, { blame: 'origin', retry: 'later' });
    return fail(run, errand, late, true);
  }
  return outcome.kind === 'failure'
    ? fail(run, errand, outcome.error, true)
    : take(run, errand, outcome);
}

/** Takes what the flight brought, or goes its own way. */
async function take(run: PageRun, errand: PageErrand, outcome: PageReply): Promise<void> {
  if (run.answer === undefined) return;
  if (outcome.isElsewhere) return run.select(run, errand.round + 1);
  if (errand.round < ROUNDS_MAX - 1 && outcome.isOvertaken(run)) {
    return forwardPage(run, { ...errand, round: errand.round + 1 });
  }
  const result = outcome.give(run);
  if (result === undefined) return fetchPage(run, aloneOf(run, errand));
  run.answer(result);
}

/** Comes after the reply: waits for the store when that is near, joins the body when it may. */
async function takeHeld(
  run: PageRun,
  errand: PageErrand,
  flight: Flight<PageReply>,
  outcome: PageReply,
): Promise<void> {
  if (outcome.isComplete()) {
    await flight.ended;
    return run.answer === undefined ? undefined : run.select(run, errand.round + 1);
  }
  if (outcome.isReusable(run.now)) return take(run, errand, outcome);
  return fetchPage(run, aloneOf(run, errand));
}

async function lead(run: PageRun, errand: PageErrand, flight: Flight<PageReply>): Promise<void> {
  let lease: Lease;
  try {
    // Once it was overtaken, no fetch that another thread has begun before will do.
    const newest = errand.round === 0 ? flight.newest : flight.stamp;
    lease = await run.deps.leases.acquire(flight.key, newest);
  } catch (error) {
    return leaveFlight(run, flight, asNodeError(error), () =>
      fail(run, errand, asNodeError(error)),
    );
  }
  if (lease.kind === 'lead') {
    const { stamp } = flight;
    const { conditional } = errand.forward;
    return fetchPage(run, { errand, flight, lease, stamp, conditional });
  }
  const outcome = await lease.outcome.catch((error: unknown) => ({
    kind: 'failure' as const,
    error: asNodeError(error),
  }));
  if (outcome.kind === 'failure') {
    const { error } = outcome;
    return leaveFlight(run, flight, error, () => fail(run, errand, error, true));
  }
  const reply: PageReply = { ...COMPLETE, isElsewhere: true, give: () => undefined };
  flight.settle(reply);
  run.flights.end(flight);
  return take(run, errand, reply);
}

function leaveFlight(
  run: PageRun,
  flight: Flight<PageReply>,
  error: NodeError,
  then: () => void | Promise<void>,
): void | Promise<void> {
  endFailed(run, { flight, lease: undefined }, error);
  return then();
}
