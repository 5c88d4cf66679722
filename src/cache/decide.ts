/**
 * The one decision of a read: request, selected entry, policy and instant → `Decision`. Pure, and
 * without allocation: every outcome is a frozen value made once. The rules stand in order, each a
 * named predicate with its clause; the first that applies decides (SPEC §4).
 */
import { type EpochMs, secondsToMs } from '../base/brands.ts';
import type { EntryFacts } from './entry.ts';
import { currentAge, isFresh, isOfThisClock, staleAllowance, staleFrom } from './freshness.ts';
import type { CachePolicy } from './policy.ts';
import type { InvalidationVerdict } from './ports.ts';
import type { ForwardReason, ReadRequest } from './read-request.ts';

/** The permission by whose name something stale is served [R8]. */
export type Permission = 'max-stale' | 'stale-while-revalidate' | 'stale-if-error';

export interface Forward {
  readonly kind: 'forward';
  readonly reason: ForwardReason;
  /** Whether the entry may be validated instead of fetched anew. */
  readonly conditional: boolean;
  /** Whether the entry may answer when the origin fails. */
  readonly fallback: boolean;
  /** Whether the reply may be stored. */
  readonly store: boolean;
  /** Whether others may share the fetch. */
  readonly shared: boolean;
}

export type Decision =
  | {
      readonly kind: 'reuse';
      /** `undefined` for a fresh entry. */
      readonly permission: Permission | undefined;
      readonly refreshBehind: boolean;
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refuse' }
  | Forward;

/** What a decision asks of the request, whatever it is for. */
export type Demands = Pick<ReadRequest, 'directives' | 'mayForce'>;

/** The constants of a run. */
export interface DecisionContext {
  readonly request: Demands;
  readonly policy: CachePolicy;
  readonly now: EpochMs;
  /** The table is its own origin. */
  readonly isOrigin: boolean;
  /** Since when a live feed tells of every change; `undefined` without one, or while it is down. */
  readonly fedSince: EpochMs | undefined;
  /** Until when it did: what came later it never vouched for; `undefined` while it still does. */
  readonly fedUntil?: EpochMs | undefined;
}

/** What the store, or a flight, has for the request. */
export interface Selection {
  readonly entry: EntryFacts | undefined;
  readonly verdict: InvalidationVerdict;
  readonly missing: 'uri-miss' | 'vary-miss';
  /** Handed over by the flight for which this read waited. */
  readonly handed: boolean;
}

const FRESH: Decision = reuse(undefined, false);
const WITHIN_MAX_STALE = reuse('max-stale', false);
const WHILE_REVALIDATING = reuse('stale-while-revalidate', true);
const ABSENT: Decision = Object.freeze({ kind: 'absent' });
const REFUSE: Decision = Object.freeze({ kind: 'refuse' });
const BYPASS = alone('bypass', false);
const NO_STORE = alone('request', false);
const PASS = alone('miss', true);
const URI_MISS = shared('uri-miss', false, false);
const VARY_MISS = shared('vary-miss', false, false);
const MISS = shared('miss', false, false);
const VALIDATE_ON_REQUEST = shared('request', true, false);
const VALIDATE_ON_REQUEST_OR_REUSE = shared('request', true, true);
const VALIDATE_STALE = shared('stale', true, false);
const VALIDATE_STALE_OR_REUSE = shared('stale', true, true);

/** What to do with the request. */
export function decide(context: DecisionContext, selection: Selection): Decision {
  if (context.isOrigin) return decideAsOrigin(context, selection);
  if (selection.handed && selection.entry !== undefined) return FRESH;
  const decision = decideAsCache(context, selection);
  // [RFC9111 §5.2.1.7]
  if (decision.kind === 'forward' && context.request.directives.onlyIfCached) return REFUSE;
  return decision;
}

/**
 * Rule 0: nobody else could be asked, so what has not expired is the answer, whatever was demanded.
 * What is outdated by a record that it was made from is gone: there is nobody to make it anew.
 */
function decideAsOrigin(context: DecisionContext, { entry, verdict }: Selection): Decision {
  if (entry === undefined || entry.kind === 'tombstone' || entry.kind === 'pass') return ABSENT;
  if (verdict.kind !== 'valid' || context.now >= entry.freshUntil) return ABSENT;
  return FRESH;
}

function decideAsCache(context: DecisionContext, selection: Selection): Decision {
  const { entry } = selection;
  if (!mayLookup(context)) return BYPASS;
  if (demandsNoStore(context.request)) return NO_STORE;
  if (entry === undefined) return selection.missing === 'uri-miss' ? URI_MISS : VARY_MISS;
  if (entry.kind === 'tombstone') return URI_MISS;
  if (entry.kind === 'pass') return isPassInForce(context, selection, entry) ? PASS : MISS;
  if (selection.verdict.kind === 'hard') return MISS;
  return decideOnEntry(context, selection.verdict, entry);
}

/**
 * What a row of a collection is: `fresh`; `stale` and served so; `behind`, stale and to be
 * refreshed behind the answer; `fetch`, not to be served before its origin was asked; `hidden`,
 * no record.
 */
export type RowVerdict = 'fresh' | 'stale' | 'behind' | 'fetch' | 'hidden';

/**
 * One row among many. It differs from a read of the record in one thing: a row which is merely
 * stale is served and refreshed behind, whatever the stale windows, since an answer that waited for
 * every stale row would wait for most of a table. The answer says so (`stale-rows`). What forbids
 * stale outright, or was invalidated, is asked for as in a read.
 */
export function decideRow(
  context: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): RowVerdict {
  if (entry.kind !== 'record') return 'hidden';
  if (context.isOrigin) {
    return verdict.kind !== 'valid' || context.now >= entry.freshUntil ? 'hidden' : 'fresh';
  }
  if (verdict.kind === 'hard' || !mayLookup(context)) return 'fetch';
  if (entry.mustValidate || demandsValidation(context, entry)) return 'fetch';
  if (isReusableAsFresh(context, verdict, entry)) return 'fresh';
  if (isStaleForbidden(context.request, entry)) return 'fetch';
  return isWithinMaxStale(context, verdict, entry) ? 'stale' : 'behind';
}

function decideOnEntry(
  context: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): Decision {
  const fresh = isReusableAsFresh(context, verdict, entry);
  if (entry.mustValidate || demandsValidation(context, entry)) {
    return validateOnDemand(context, verdict, entry, fresh);
  }
  if (fresh) return FRESH;
  if (isStaleForbidden(context.request, entry)) return VALIDATE_STALE;
  if (isWithinMaxStale(context, verdict, entry)) return WITHIN_MAX_STALE;
  if (mayRevalidateBehind(context, verdict, entry)) return WHILE_REVALIDATING;
  return mayCoverFailure(context, verdict, entry) ? VALIDATE_STALE_OR_REUSE : VALIDATE_STALE;
}

// Rule 10. [RFC5861 §3] A hook of the application stands in for the windows.
function mayRevalidateBehind(
  { policy, now }: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): boolean {
  const hook = policy.hooks.staleWhileRevalidate;
  if (hook !== undefined && entry.kind === 'record') return hook(entry);
  return now < staleAllowance(entry, verdict, policy).whileRevalidateUntil;
}

/**
 * Rule 6. The client's wish is advice [RFC9111 §5.2.1], so a failing origin may still be covered.
 */
function validateOnDemand(
  context: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
  fresh: boolean,
): Decision {
  const fallback = mayCoverFailure(context, verdict, entry);
  if (fresh) return fallback ? VALIDATE_ON_REQUEST_OR_REUSE : VALIDATE_ON_REQUEST;
  return fallback ? VALIDATE_STALE_OR_REUSE : VALIDATE_STALE;
}

/**
 * Whether the entry may answer when the origin fails. Asked again when it did fail, since a soft
 * invalidation may have come in between.
 */
export function mayCoverFailure(
  context: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): boolean {
  if (entry.mustValidate || verdict.kind === 'hard') return false;
  if (isReusableAsFresh(context, verdict, entry)) return true;
  return !isStaleForbidden(context.request, entry) && mayFallBack(context, verdict, entry);
}

// Rule 1.
export function mayLookup({ policy, request }: DecisionContext): boolean {
  if (!policy.settings.store.enabled) return false;
  const hook = policy.hooks.mayLookup;
  return hook === undefined || hook(request.directives);
}

// Rule 2. [RFC9111 §5.2.1.5]
export const demandsNoStore = (request: Demands): boolean =>
  request.mayForce && request.directives.noStore;

// Rule 4: a marker is kept for its time unless the key was invalidated meanwhile.
const isPassInForce = (
  context: DecisionContext,
  selection: Selection,
  entry: EntryFacts,
): boolean => context.now < entry.freshUntil && selection.verdict.kind === 'valid';

// Rule 6. [RFC9111 §5.2.1.1, §5.2.1.3, §5.2.1.4]
export function demandsValidation({ request, now }: DecisionContext, entry: EntryFacts): boolean {
  if (!request.mayForce) return false;
  const { noCache, maxAge, minFresh } = request.directives;
  if (noCache) return true;
  if (maxAge !== undefined && currentAge(entry, now) > secondsToMs(maxAge)) return true;
  return minFresh !== undefined && entry.freshUntil - now < secondsToMs(minFresh);
}

// Rule 7. [RFC9111 §4.2] While a live feed tells of every change, time alone makes nothing stale.
function isReusableAsFresh(
  context: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): boolean {
  if (isFresh(entry, context.now, verdict)) return true;
  return entry.kind === 'record' && verdict.kind === 'valid' && isVouchedFor(context, entry);
}

/**
 * Whether the feed has told of every change since the reply was made at the origin, which is as
 * long before it was stored as it was old then.
 */
function isVouchedFor({ now, fedSince, fedUntil }: DecisionContext, entry: EntryFacts): boolean {
  if (fedSince === undefined || !isOfThisClock(entry, now)) return false;
  if (fedUntil !== undefined && entry.storedAt > fedUntil) return false;
  return entry.storedAt - entry.initialAge >= fedSince;
}

// Rule 8. [RFC9111 §4.2.4, §5.2.2.2, §5.2.2.8, §5.2.2.10]
export const isStaleForbidden = (request: Demands, entry: EntryFacts): boolean =>
  entry.staleForbidden || request.directives.mustRevalidate;

// Rule 9. [RFC9111 §5.2.1.2]
function isWithinMaxStale(
  { request, now }: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): boolean {
  const { maxStale } = request.directives;
  return maxStale !== undefined && now - staleFrom(entry, verdict) <= maxStale * 1000;
}

// Rule 11. [RFC5861 §4] The origin's, the policy's or the client's own permission.
function mayFallBack(
  { request, now, policy }: DecisionContext,
  verdict: InvalidationVerdict,
  entry: EntryFacts,
): boolean {
  if (now < staleAllowance(entry, verdict, policy).ifErrorUntil) return true;
  const { staleIfError } = request.directives;
  return staleIfError !== undefined && now - staleFrom(entry, verdict) <= staleIfError * 1000;
}

function reuse(permission: Permission | undefined, refreshBehind: boolean): Decision {
  return Object.freeze({ kind: 'reuse', permission, refreshBehind });
}

function alone(reason: ForwardReason, store: boolean): Forward {
  return Object.freeze({
    kind: 'forward',
    reason,
    conditional: false,
    fallback: false,
    store,
    shared: false,
  });
}

function shared(reason: ForwardReason, conditional: boolean, fallback: boolean): Forward {
  return Object.freeze({
    kind: 'forward',
    reason,
    conditional,
    fallback,
    store: true,
    shared: true,
  });
}
