/**
 * A page from its origin: joining the flight of its key, the fetch itself, and what becomes of the
 * reply. The head settles the flight, so that all who wait read the body as it arrives; the flight
 * ends when the page is readable from the store or will not be stored.
 *
 * Invariants: a flight that began is settled and ended on every way out; a body that broke off is
 * never stored; what was invalidated after the fetch began is delivered and not stored (the store
 * compares the stamp); failing to store never fails the read.
 */
import { type EpochMs, later } from '../../base/brands.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import type { Flight } from '../collapse.ts';
import { type Forward, mayCoverFailure } from '../decide.ts';
import { backOffAfter } from '../default-policy.ts';
import { type DraftContext, draftOfPass, draftOfReply, isUseful } from '../draft.ts';
import type { Entry } from '../entry.ts';
import { permitsStale } from '../fetch-steps.ts';
import { ageSeconds, initialAge, isFresh } from '../freshness.ts';
import { entryOfDraft, restamped } from '../plain-entry.ts';
import type { FillDraft, Lease } from '../ports.ts';
import { failedResult, fallbackResult, statusOf } from '../results.ts';
import { isShareable } from '../storable.ts';
import { fieldOf, filterFields } from './fields.ts';
import { pageFields, validators } from './forward.ts';
import { withVariant } from './page-entries.ts';
import { type PageFacts, pageFacts } from './page-facts.ts';
import { type PageRun, select } from './page-reads.ts';
import type { PageResult } from './page-request.ts';
import { parseContentRange } from './partial.ts';
import type { PageOriginReply } from './ports.ts';
import { SharedBody } from './shared-body.ts';
import { pageNotStorable } from './storable-page.ts';
import {
  clientFields,
  decodeFields,
  encodeFields,
  storedFields,
  updatedFields,
} from './stored-fields.ts';
import { variantKey, varyNames } from './vary.ts';

export interface PageErrand {
  readonly forward: Forward;
  readonly held: Entry | undefined;
  readonly variant: string;
}

/** What a flight ends with: given to each who waited, or the word to look for themselves. */
export interface PageReply {
  readonly kind: 'reply';
  /** `undefined` when this one may not have it, or comes too late for it. */
  give(run: PageRun): PageResult | undefined;
  /** Another thread fetched: its page is in the store. */
  readonly isElsewhere: boolean;
  /** Whether a request which comes only now may have it: it is fresh and needs no validation. */
  isReusable(now: EpochMs): boolean;
  /** All of it has come: it will be readable, or given up, in a moment. */
  isComplete(): boolean;
}

interface Fetch {
  readonly errand: PageErrand;
  readonly flight: Flight<PageReply> | undefined;
  readonly lease: Extract<Lease, { kind: 'lead' }> | undefined;
  readonly stamp: Flight['stamp'];
  readonly conditional: boolean;
}

const COMPLETE = { kind: 'reply', isReusable: () => true, isComplete: () => true } as const;
const NO_BYTES = new Uint8Array(0);

export async function forwardPage(run: PageRun, errand: PageErrand): Promise<void> {
  const { forward } = errand;
  const isAlone = !forward.shared || run.page.method === 'HEAD' || isAuthorised(run);
  if (isAlone) return fetchPage(run, aloneOf(run, errand));
  const whole = wholeOnItsWay(run, errand);
  if (whole !== undefined) return whole.then(() => select(run, true));
  const { invalidations, events, table } = run.deps;
  const joined = run.flights.join({
    key: flightKey(run, errand),
    newest: invalidations.newest(run.page.id),
    stamp: invalidations.stamp(),
    now: run.now,
    waitersMax: run.policy.settings.collapse.waitersMax,
    mayJoin: () => true,
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

/** A range may be cut from the whole page, when that is about to be readable. */
function wholeOnItsWay(run: PageRun, errand: PageErrand): Promise<void> | undefined {
  if (run.page.field('range') === undefined) return undefined;
  const flight = run.flights.find(wholeKey(run, errand));
  if (flight?.outcome?.kind !== 'reply' || !flight.outcome.isComplete()) return undefined;
  return flight.ended;
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
  wholeKey(run, errand) + (run.answer === undefined ? '' : (run.page.field('range') ?? ''));

/** Credentials that reach the origin make the reply one for their owner [RFC9111 §3.5]. */
const isAuthorised = ({ page, policy }: PageRun): boolean =>
  page.field('authorization') !== undefined &&
  (policy.settings.key.forward === 'all' || policy.settings.key.headers.includes('authorization'));

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
  if (outcome.isElsewhere) return select(run, true);
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
    return run.answer === undefined ? undefined : select(run, true);
  }
  if (outcome.isReusable(run.now)) return take(run, errand, outcome);
  return fetchPage(run, aloneOf(run, errand));
}

async function lead(run: PageRun, errand: PageErrand, flight: Flight<PageReply>): Promise<void> {
  let lease: Lease;
  try {
    lease = await run.deps.leases.acquire(flight.key, flight.newest);
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

const NOT_REMEMBERED: ReadonlySet<string> = new Set([
  'BREAKER_OPEN',
  'ORIGIN_BUSY',
  'SHUTTING_DOWN',
]);

function endFailed(run: PageRun, fetch: Pick<Fetch, 'flight' | 'lease'>, error: NodeError): void {
  const { flight, lease } = fetch;
  if (flight !== undefined && flight.outcome === undefined) {
    const wait = backOffAfter(statusOf(error), run.policy.settings);
    const until = later(run.deps.clock.now(), wait);
    run.flights.fail(flight, error, { until, refreshesOnly: NOT_REMEMBERED.has(error.code) });
  } else if (flight !== undefined) run.flights.end(flight);
  lease?.settle({ kind: 'failure', error });
}

async function fetchPage(run: PageRun, fetch: Fetch): Promise<void> {
  const { held } = fetch.errand;
  const isConditional =
    fetch.conditional &&
    held?.kind === 'record' &&
    held.status < 400 &&
    held.status !== 206 &&
    run.deps.invalidations.judge(held).kind !== 'hard';
  let reply: PageOriginReply;
  try {
    reply = await ask(run, fetch, isConditional ? held : undefined);
  } catch (error) {
    const known = asNodeError(error);
    run.deps.events.originFailed?.(run.deps.table, known);
    endFailed(run, fetch, known);
    return fail(run, fetch.errand, known);
  }
  if (reply.status === 304 && isConditional) return confirmed(run, fetch, held, reply);
  return received(run, fetch, reply);
}

function ask(run: PageRun, fetch: Fetch, validated: Entry | undefined): Promise<PageOriginReply> {
  const { page, deps, policy } = run;
  const background = run.answer === undefined;
  deps.events.originAsked?.(deps.table, background);
  const range = page.field('range');
  const fields = pageFields(page.fields, page.client, policy.settings);
  if (validated !== undefined) fields.push(...validators(validated));
  else if (range !== undefined && !background) fields.push('range', range, ...ifRange(run));
  const isForClient = fetch.flight === undefined && !background;
  return deps.origin.fetch({
    method: page.method,
    target: page.target,
    host: page.client.host,
    fields,
    background,
    // A shared fetch outlives the client that began it.
    signal: isForClient ? page.signal : new AbortController().signal,
    onInterim: background ? undefined : page.onInterim,
  });
}

const ifRange = ({ page }: PageRun): string[] => {
  const condition = page.field('if-range');
  return condition === undefined ? [] : ['if-range', condition];
};

/** A 304: the stored page with the newer fields, as of now [RFC9111 §4.3.4]. */
async function confirmed(
  run: PageRun,
  fetch: Fetch,
  held: Entry,
  reply: PageOriginReply,
): Promise<void> {
  reply.body.cancel();
  const tag = fieldOf(reply.fields, 'etag');
  const isOther = tag?.startsWith('"') && tag !== held.meta.originTag;
  const outdated = run.deps.invalidations.judge(restamped(held, fetch.stamp)).kind !== 'valid';
  if (isOther || outdated) {
    const stamp = run.deps.invalidations.stamp();
    return fetchPage(run, { ...fetch, conditional: false, stamp });
  }
  const fields = updatedFields(decodeFields(held.meta.fieldLines), reply.fields);
  const facts = factsOf(run, { ...reply, status: held.status, fields });
  const body = held.storedBody ?? held.body;
  const draft = { ...draftOf(run, fetch, facts, fields), body, entityTag: held.entityTag };
  const entry = entryOfDraft(draft, run.deps.tagOf);
  const give = (): PageResult => ({
    kind: 'stored',
    entry,
    age: ageSeconds(entry, entry.storedAt),
    cacheStatus: statusFor(run, fetch, 304, entry),
  });
  const shareable = isShareable(facts, run.policy);
  fetch.flight?.settle({
    ...COMPLETE,
    isElsewhere: false,
    give: () => (shareable ? give() : undefined),
  });
  await finish(run, fetch, facts, draft);
  run.answer?.(give());
}

function statusFor(run: PageRun, { errand }: Fetch, fwdStatus: number, entry: Entry) {
  const ttl = Math.floor((entry.freshUntil - run.deps.clock.now()) / 1000);
  return { hit: false, fwd: errand.forward.reason, fwdStatus, stored: true, ttl };
}

const factsOf = (run: PageRun, reply: Omit<PageOriginReply, 'body'>): PageFacts =>
  pageFacts(reply, run.policy.settings.groups.from);

/** A head has come: the flight is settled, the client answered, the body stored behind them. */
async function received(run: PageRun, fetch: Fetch, reply: PageOriginReply): Promise<void> {
  const { errand } = fetch;
  if (coversFailure(run, errand, reply.status)) {
    reply.body.cancel();
    const message = `${run.deps.table}: the origin answered ${reply.status}`;
    const details = { status: reply.status };
    const error = new NodeError('ORIGIN_STATUS', message, {
      blame: 'origin',
      retry: 'later',
      details,
    });
    endFailed(run, fetch, error);
    return fail(run, errand, error);
  }
  const facts = factsOf(run, reply);
  const obstacle = errand.forward.store ? obstacleTo(run, facts) : 'not wanted';
  const lines = clientFields(reply.fields, facts);
  const draft = draftOf(run, fetch, facts, lines);
  const isWorth = obstacle === undefined && (isUseful(draft) || errand.held !== undefined);
  const keepMax = isWorth ? run.policy.settings.store.bodyMax : 0;
  const isBodiless = run.page.method === 'HEAD' || reply.status === 204 || reply.status === 304;
  const body = new SharedBody(reply.body, keepMax);
  const result = (collapsed: boolean): PageResult => ({
    kind: 'arriving',
    status: reply.status,
    fields: lines,
    length: reply.body.length,
    body: isBodiless ? undefined : body.read(),
    age: Math.floor(initialAge(facts) / 1000) as never,
    isShared: obstacle === undefined,
    cacheStatus: {
      hit: false,
      fwd: errand.forward.reason,
      fwdStatus: reply.status,
      stored: isWorth,
      collapsed: collapsed || undefined,
    },
  });
  const mayShare = obstacle === undefined && isShareable(facts, run.policy);
  const names = varyNames(facts.vary);
  const own = variantKey(names, run.page.field);
  fetch.flight?.settle({
    kind: 'reply',
    isElsewhere: false,
    isReusable: (now) => now < draft.freshUntil && !draft.mustValidate,
    isComplete: () => body.isComplete,
    give: (other) =>
      mayShare && body.isJoinable && variantKey(names, other.page.field) === own
        ? result(true)
        : undefined,
  });
  run.answer?.(result(false));
  if (run.answer === undefined && !isWorth) body.drop();
  await keep(run, fetch, { facts, draft, isWorth, obstacle, body });
}

/** An error of the origin which the held page may cover [RFC5861 §4]. */
function coversFailure(run: PageRun, { forward, held }: PageErrand, status: number): boolean {
  if (held === undefined || !forward.fallback) return false;
  if (![500, 502, 503, 504].includes(status)) return false;
  return mayCoverFailure(run, run.deps.invalidations.judge(held), held);
}

function obstacleTo(run: PageRun, facts: PageFacts): string | undefined {
  const request = {
    method: run.page.method,
    isAuthorised: isAuthorised(run),
    locatesItself: false,
  };
  return pageNotStorable(facts, request, run.policy);
}

function draftOf(run: PageRun, fetch: Fetch, facts: PageFacts, lines: string[]): FillDraft {
  const draft = draftOfReply(
    { kind: 'found', body: NO_BYTES, facts },
    contextOf(run, fetch, facts),
  );
  const fields = storedFields(lines, facts);
  const range = facts.status === 206 ? run.page.field('range') : undefined;
  return {
    ...draft,
    meta: {
      ...draft.meta,
      fieldLines: encodeFields(fields),
      ...(range === undefined ? {} : { askedRange: range }),
    },
  };
}

function contextOf(run: PageRun, fetch: Fetch, facts: PageFacts): DraftContext {
  const { held } = fetch.errand;
  const variant = variantFor(run, fetch, facts);
  return {
    request: { id: run.page.id, variant },
    policy: run.policy,
    stamp: fetch.stamp,
    replaces: held !== undefined && fetch.errand.variant === variant ? held.version : undefined,
    random: run.deps.random(),
  };
}

/** Where the reply is stored: under the fields that it, or the page's other variants, vary by. */
function variantFor(run: PageRun, { errand }: Fetch, facts: PageFacts): string {
  const names = varyNames(facts.vary).filter((name) => name !== '*');
  return names.length === 0 ? errand.variant : variantKey(names, run.page.field);
}

interface Kept {
  readonly facts: PageFacts;
  readonly draft: FillDraft;
  readonly isWorth: boolean;
  readonly obstacle: string | undefined;
  readonly body: SharedBody;
}

async function keep(run: PageRun, fetch: Fetch, kept: Kept): Promise<void> {
  const { facts, draft, isWorth, obstacle, body } = kept;
  if (!isWorth) {
    const isForOne = obstacle === 'private' || obstacle === 'set-cookie' || obstacle === 'no-store';
    const marker =
      isForOne && fetch.flight !== undefined && fetch.errand.held === undefined
        ? draftOfPass(facts.receivedAt, contextOf(run, fetch, facts))
        : undefined;
    return finish(run, fetch, facts, marker);
  }
  const whole = await body.whole;
  const complete = whole === undefined ? undefined : wholeDraft(draft, facts, whole);
  await finish(run, fetch, facts, complete);
}

/** A part that is all there is of the page is stored as the page. */
function wholeDraft(draft: FillDraft, facts: PageFacts, body: Uint8Array): FillDraft {
  if (facts.status !== 206) return { ...draft, body };
  const lines = decodeFields(draft.meta.fieldLines);
  const part = parseContentRange(fieldOf(lines, 'content-range'));
  if (part?.first !== 0 || part.total !== body.length) return { ...draft, body };
  const fieldLines = encodeFields(filterFields(lines, (name) => name !== 'content-range'));
  const { askedRange: _, ...meta } = draft.meta;
  return { ...draft, status: 200, body, meta: { ...meta, fieldLines } };
}

/** Stores what is to be stored, then lets later reads begin with the store again. */
async function finish(
  run: PageRun,
  fetch: Fetch,
  facts: PageFacts,
  draft: FillDraft | undefined,
): Promise<void> {
  const stored = draft !== undefined && (await store(run, facts, draft));
  if (fetch.flight !== undefined) run.flights.end(fetch.flight);
  if (fetch.lease === undefined) return;
  const marker = draftOfPass(facts.receivedAt, contextOf(run, fetch, facts));
  const entry = entryOfDraft(marker, run.deps.tagOf);
  const originStatus = facts.status;
  fetch.lease.settle({ kind: 'reply', entry, stored, shareable: stored, originStatus });
}

async function store(run: PageRun, facts: PageFacts, draft: FillDraft): Promise<boolean> {
  const { entries, events, table } = run.deps;
  const names = varyNames(facts.vary);
  const language = facts.contentLanguage ?? '';
  try {
    if (names.length === 0) return await entries.store(draft, undefined, []);
    const added = { variant: draft.variant, language };
    const max = run.policy.settings.vary.variantsMax;
    const { row, evicted } = entries.withEntry(draft.id, '', (old) =>
      withVariant(old, names, added, max),
    );
    return await entries.store(draft, row, evicted);
  } catch (error) {
    events.fillLost?.(table, 'failed', error);
    return false;
  }
}

/** The held page instead of the failure when it may be, else the failure. */
function fail(run: PageRun, errand: PageErrand, error: NodeError, collapsed = false): void {
  const { held, forward } = errand;
  const failed = { forward, held };
  if (held !== undefined && forward.fallback && permitsStale(error)) {
    const verdict = run.deps.invalidations.judge(held);
    if (mayCoverFailure(run, verdict, held)) {
      const fresh = isFresh(held, run.now, verdict);
      const result = fallbackResult(held, run.now, verdict, {
        errand: failed,
        error,
        collapsed,
        fresh,
      });
      const { cacheStatus } = result;
      const age = ageSeconds(held, run.now);
      run.answer?.({ kind: 'stored', entry: held, age, cacheStatus });
      return;
    }
  }
  const { cacheStatus } = failedResult(failed, error, collapsed);
  run.answer?.({ kind: 'failed', error, cacheStatus });
}
