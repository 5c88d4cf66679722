/**
 * A page from its origin, and what becomes of the reply. The head settles the flight, so that all
 * who wait read the body as it arrives; the flight ends when the page is readable from the store or
 * will not be stored.
 *
 * Invariants: a flight that began is settled and ended on every way out; a body that broke off is
 * never stored; what was invalidated after the fetch began is delivered and not stored (the store
 * compares the stamp).
 */
import { asNodeError, NodeError } from '../../base/errors.ts';
import { NEVER_STOPPED } from '../../base/stop.ts';
import { mayCoverFailure } from '../decide.ts';
import { isUseful } from '../draft.ts';
import type { Entry } from '../entry.ts';
import { initialAge, mayBeOld } from '../freshness.ts';
import { isOwnOnly, REPLICATE_FROM } from '../peer-reply.ts';
import { entryOfDraft, restamped } from '../plain-entry.ts';
import type { FillDraft } from '../ports.ts';
import { isShareable } from '../storable.ts';
import { fieldOf } from './fields.ts';
import { fieldsForPeer, pageFields, passedFields, validators } from './forward.ts';
import { type PageFacts, pageFacts } from './page-facts.ts';
import {
  COMPLETE,
  endFailed,
  type Fetch,
  fail,
  isAuthorised,
  isKnownByCookie,
  keyedBy,
  type PageErrand,
  ROUNDS_MAX,
} from './page-flight.ts';
import type { PageResult } from './page-request.ts';
import type { PageRun } from './page-run.ts';
import { draftOf, finish, keep, keepingOf } from './page-store.ts';
import { rangeOf } from './partial.ts';
import type { PageOriginReply, PageOriginRequest } from './ports.ts';
import { SharedBody } from './shared-body.ts';
import { pageNotStorable } from './storable-page.ts';
import { clientFields, decodeFields, updatedFields } from './stored-fields.ts';
import { storedPage } from './stored-result.ts';
import { variantKey, varyNames } from './vary.ts';

export async function fetchPage(run: PageRun, fetch: Fetch): Promise<void> {
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
    await run.deps.replies?.pass(run.page.client.address);
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
  const range = rangeOf(page);
  const isPassed = fetch.errand.forward.reason === 'bypass';
  const fields = isPassed
    ? passedFields(page.fields, page.client)
    : pageFields(page.fields, page.client, policy.settings);
  if (validated !== undefined) fields.push(...validators(validated));
  else if (range !== undefined && !background && !isPassed)
    fields.push('range', range, ...ifRange(run));
  const isForClient = fetch.flight === undefined && !background;
  return deps.origin.fetch({
    method: page.method,
    target: page.target,
    host: page.client.host,
    fields,
    background,
    source: page.client.address,
    shared: mayAskPeers(run, fetch) ? sharedPage(run, validated) : undefined,
    // A shared fetch outlives the client that began it.
    signal: isForClient ? page.signal : NEVER_STOPPED,
    onInterim: background ? undefined : page.onInterim,
  });
}

/**
 * Not for one request alone, or one that demands the origin; nor for a part, or what was overtaken.
 * Nor while an invalidation is in force here that is not committed: others cannot have heard of it.
 */
function mayAskPeers({ page, answer }: PageRun, { errand, flight }: Fetch): boolean {
  if (flight === undefined || flight.newest > flight.stamp) return false;
  const { forward, round } = errand;
  if (forward.reason === 'request' || !forward.store || round >= ROUNDS_MAX) return false;
  if (answer === undefined) return true;
  return page.field('range') === undefined && !isOwnOnly(page.field(REPLICATE_FROM));
}

const sharedPage = (
  { page, policy }: PageRun,
  validated: Entry | undefined,
): PageOriginRequest['shared'] => ({
  id: page.id,
  tag: validated?.entityTag,
  asked() {
    const fields = fieldsForPeer(page.fields, policy.settings);
    return fields && { target: page.target, ...page.client, fields };
  },
});

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
  const fields = updatedFields(decodeFields(held.meta.fieldLines), reply.fields);
  const told = factsOf(run, { ...reply, status: held.status, fields });
  const facts = { ...told, vary: keyedBy(run, told) };
  const body = held.storedBody ?? held.body;
  const draft = { ...draftOf(run, fetch, facts, fields), body, entityTag: held.entityTag };
  if (isOther || outdated || isOldNews(run, fetch, draft)) {
    return fetchPage(run, { ...fetchedAgain(run, fetch), conditional: false });
  }
  const entry = entryOfDraft(draft, run.deps.tagOf);
  const status = statusFor(run, fetch, 304, entry);
  const { variant } = draft;
  const give = (): PageResult | undefined =>
    storedPage(run, { entry, variant }, entry.storedAt, status);
  // Its fields may be for this client only, as those of any reply: a cookie, or `private`.
  const obstacle = fetch.errand.forward.store ? obstacleTo(run, facts) : 'not wanted';
  const shareable = obstacle === undefined && isShareable(facts, run.policy);
  const added = varyNames(facts.vary).filter((name) => told.vary?.includes(name) !== true);
  const isAlike = ({ page }: PageRun) =>
    variantKey(added, page.field) === variantKey(added, run.page.field);
  fetch.flight?.settle({
    ...COMPLETE,
    isElsewhere: false,
    give: (other) => (shareable && isAlike(other) ? give() : undefined),
  });
  await finish(run, fetch, facts, obstacle === undefined ? draft : undefined);
  const own = run.answer === undefined ? undefined : give();
  if (own !== undefined) run.answer?.(own);
  else if (run.answer !== undefined) {
    // The origin confirmed bytes that the disk has lost meanwhile.
    const alone = { flight: undefined, lease: undefined, conditional: false };
    return fetchPage(run, { ...fetch, ...alone });
  }
}

function statusFor(run: PageRun, { errand }: Fetch, fwdStatus: number, entry: Entry) {
  const ttl = Math.floor((entry.freshUntil - run.deps.clock.now()) / 1000);
  return { hit: false, fwd: errand.forward.reason, fwdStatus, stored: true, ttl };
}

const factsOf = (run: PageRun, reply: Omit<PageOriginReply, 'body'>): PageFacts => ({
  ...pageFacts(reply, run.policy.settings.groups.from),
  ...reply.judged,
});

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
  const told = factsOf(run, reply);
  const obstacle = errand.forward.store ? obstacleTo(run, told) : 'not wanted';
  const facts = obstacle === undefined ? { ...told, vary: keyedBy(run, told) } : told;
  const lines = clientFields(reply.fields, facts);
  const draft = draftOf(run, fetch, facts, lines);
  if (isOldNews(run, fetch, draft)) {
    reply.body.cancel();
    return fetchPage(run, fetchedAgain(run, fetch));
  }
  const isWorth = obstacle === undefined && (isUseful(draft) || errand.held !== undefined);
  const keepMax = isWorth ? run.policy.settings.store.bodyMax : 0;
  const isBodiless = run.page.method === 'HEAD' || reply.status === 204 || reply.status === 304;
  const body = new SharedBody(reply.body, keepingOf(run, keepMax));
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
    isOvertaken: (other) => mayShare && isOvertaken(other, draft),
    give: (other) =>
      mayShare && body.isJoinable && variantKey(names, other.page.field) === own
        ? result(true)
        : undefined,
  });
  run.answer?.(result(false));
  if (run.answer === undefined && !isWorth) body.drop();
  await keep(run, fetch, { facts, draft, isWorth, obstacle, body });
}

/**
 * The reply was old when it was asked for: it comes from a cache of the renderer's own, or from a
 * rendering that had begun before. Once, it is asked for anew.
 */
const isOldNews = (run: PageRun, { errand }: Fetch, draft: FillDraft): boolean =>
  errand.round < ROUNDS_MAX && !mayBeOld(draft) && hasNewer(run, draft);

const fetchedAgain = (run: PageRun, fetch: Fetch): Fetch => ({
  ...fetch,
  errand: { ...fetch.errand, round: ROUNDS_MAX },
  stamp: run.deps.invalidations.stamp(),
});

function isOvertaken(run: PageRun, draft: FillDraft): boolean {
  const verdict = run.deps.invalidations.judge(entryOfDraft(draft, run.deps.tagOf));
  if (verdict.kind === 'hard') return true;
  return !mayBeOld(draft) && (verdict.kind === 'soft' || hasNewer(run, draft));
}

const hasNewer = ({ deps, now }: PageRun, { meta }: FillDraft): boolean =>
  deps.invalidations.hasNewer(meta.groups, now);

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
    isKnownByCookie: isKnownByCookie(run),
    locatesItself: false,
    isRanged: run.answer !== undefined && rangeOf(run.page) !== undefined,
    ifRange: run.page.field('if-range'),
  };
  return pageNotStorable(facts, request, run.policy);
}
