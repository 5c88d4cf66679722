/**
 * The flight of a page: what it is about, what it ends with, and how it ends when the origin fails.
 */
import { type EpochMs, later } from '../../base/brands.ts';
import type { NodeError } from '../../base/errors.ts';
import type { Flight } from '../collapse.ts';
import { type Forward, mayCoverFailure } from '../decide.ts';
import { backOffAfter } from '../default-policy.ts';
import type { Entry } from '../entry.ts';
import { permitsStale } from '../fetch-steps.ts';
import { isFresh } from '../freshness.ts';
import type { Lease } from '../ports.ts';
import { failedResult, fallbackResult, statusOf } from '../results.ts';
import { hasOtherCookies } from './cache-key.ts';
import { chosenFields } from './forward.ts';
import { varyNamesOf } from './page-entries.ts';
import type { PageFacts } from './page-facts.ts';
import type { PageResult } from './page-request.ts';
import type { PageRun } from './page-run.ts';
import { storedPage } from './stored-result.ts';

/** A request waits for others so often; then it asks for itself, and takes what comes. */
export const ROUNDS_MAX = 2;

export interface PageErrand {
  readonly forward: Forward;
  readonly held: Entry | undefined;
  readonly variant: string;
  /** How often the request has waited before, for what then was not for it. */
  readonly round: number;
}

/** What a flight ends with: given to each who waited, or the word to look for themselves. */
export interface PageReply {
  readonly kind: 'reply';
  /** `undefined` when this one may not have it, or comes too late for it. */
  give(run: PageRun): PageResult | undefined;
  /** Something that it was made from had changed, or was purged, when this one came. */
  isOvertaken(run: PageRun): boolean;
  /** Another thread fetched: its page is in the store. */
  readonly isElsewhere: boolean;
  /** Whether a request which comes only now may have it: it is fresh and needs no validation. */
  isReusable(now: EpochMs): boolean;
  /** All of it has come: it will be readable, or given up, in a moment. */
  isComplete(): boolean;
}

export interface Fetch {
  readonly errand: PageErrand;
  readonly flight: Flight<PageReply> | undefined;
  readonly lease: Extract<Lease, { kind: 'lead' }> | undefined;
  readonly stamp: Flight['stamp'];
  readonly conditional: boolean;
}

export const COMPLETE = {
  kind: 'reply',
  isReusable: () => true,
  isComplete: () => true,
  isOvertaken: () => false,
} as const;

/** Credentials that reach the origin make the reply one for their owner [RFC9111 §3.5]. */
export const isAuthorised = ({ page, policy }: PageRun): boolean =>
  page.field('authorization') !== undefined &&
  (policy.settings.key.forward === 'all' ||
    chosenFields(policy.settings).includes('authorization'));

/** So do cookies, which most who sign in do so by, when they are not in the key. */
export const isKnownByCookie = ({ page, policy }: PageRun): boolean => {
  const { forward, headers, cookies } = policy.settings.key;
  if (forward !== 'all' || headers.includes('cookie')) return false;
  const cookie = page.field('cookie');
  return cookie !== undefined && hasOtherCookies(cookie, cookies);
};

/** These two are sent in one form only, in which there is no room for words of a client. */
const HARMLESS: ReadonlySet<string> = new Set(['accept-encoding', 'accept-language']);

/**
 * By which fields the reply is kept: those of its `Vary`, and those that reached the origin
 * although it does not name them, since it may show them. A page whose variants are told apart by
 * such a field stays so: else each request with one would hide all variants made without.
 */
export function keyedBy(run: PageRun, { vary: told, isCoded }: PageFacts): PageFacts['vary'] {
  const { vary, key } = run.policy.settings;
  const has = (name: string): boolean => (run.page.field(name) ?? '') !== '';
  const unnamed: string[] = isCoded && has('accept-encoding') ? ['accept-encoding'] : [];
  const mayMatter = key.forward === 'all' ? [] : vary.allow.filter((name) => !HARMLESS.has(name));
  if (mayMatter.length > 0) {
    const known = run.deps.entries.withEntry(run.page.id, '', (row) =>
      row?.kind === 'vary' ? varyNamesOf(row.body) : [],
    );
    unnamed.push(...mayMatter.filter((name) => known.includes(name) || has(name)));
  }
  return unnamed.length === 0 ? told : [...new Set([...(told ?? []), ...unnamed])];
}

const NOT_REMEMBERED: ReadonlySet<string> = new Set([
  'BREAKER_OPEN',
  'ORIGIN_BUSY',
  'OVERLOADED',
  'SHUTTING_DOWN',
]);

export function endFailed(
  run: PageRun,
  fetch: Pick<Fetch, 'flight' | 'lease'>,
  error: NodeError,
): void {
  const { flight, lease } = fetch;
  if (flight !== undefined && flight.outcome === undefined) {
    const wait = backOffAfter(statusOf(error), run.policy.settings);
    const until = later(run.deps.clock.now(), wait);
    run.flights.fail(flight, error, { until, refreshesOnly: NOT_REMEMBERED.has(error.code) });
  } else if (flight !== undefined) run.flights.end(flight);
  lease?.settle({ kind: 'failure', error });
}

/** The held page instead of the failure when it may be, else the failure. */
export function fail(run: PageRun, errand: PageErrand, error: NodeError, collapsed = false): void {
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
      if (run.answer === undefined) return;
      const page = storedPage(
        run,
        { entry: held, variant: errand.variant },
        run.now,
        result.cacheStatus,
      );
      if (page !== undefined) {
        run.answer(page);
        return;
      }
    }
  }
  const { cacheStatus } = failedResult(failed, error, collapsed);
  run.answer?.({ kind: 'failed', error, cacheStatus });
}
