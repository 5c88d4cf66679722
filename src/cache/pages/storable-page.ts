/**
 * Whether a page may be stored [RFC9111 §3]: what `storable.ts` says of every reply, and what only
 * requests with methods, credentials and ranges make a question. Pure.
 */
import { parseHttpDate } from '../../base/http-date.ts';
import { explicitLifetime } from '../freshness.ts';
import type { CachePolicy } from '../policy.ts';
import { notStorable } from '../storable.ts';
import type { PageFacts } from './page-facts.ts';

/** Statuses whose meaning for caching is understood here [RFC9111 §5.2.2.3]. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 410, 414, 421,
  451, 500, 501, 502, 503, 504,
]);

/**
 * What is about a request or its sender, not about the page [RFC9110 §15.5, RFC6585 §3-6, RFC8470];
 * and what is no status.
 */
const isForOneRequest = (status: number): boolean =>
  [407, 408, 412, 413, 416, 417, 425, 428, 429, 431, 511].includes(status) || status > 599;

/** Refusals that say that there is no such page, whatever else was asked. */
const ABOUT_THE_PAGE: ReadonlySet<number> = new Set([404, 410, 451]);

export interface StoringRequest {
  readonly method: string;
  /** It carried credentials that reached the origin. */
  readonly isAuthorised: boolean;
  /** POST: the reply says that it is what a GET of the same URL would answer [RFC9110 §9.3.3]. */
  readonly locatesItself: boolean;
  /** It carried cookies that reached the origin and are not in the key. */
  readonly isKnownByCookie: boolean;
  /** It asked for a part. */
  readonly isRanged: boolean;
  /** The validator under which it asked for a part, which the origin was told. */
  readonly ifRange: string | undefined;
}

/** Why a page is not stored; `undefined` when it may be. */
export function pageNotStorable(
  facts: PageFacts,
  request: StoringRequest,
  policy: CachePolicy,
): string | undefined {
  const { settings } = policy;
  const { directives } = facts;
  if (!hasStorableMethod(facts, request)) return 'method';
  if (directives.mustUnderstand === true && !UNDERSTOOD.has(facts.status)) return 'status';
  if (request.isAuthorised && !mayShareAuthorised(facts)) return 'authorization';
  if (request.isKnownByCookie && !mayShareAuthorised(facts)) return 'cookie';
  if (facts.setsCookie && settings.store.setCookie === 'refuse') return 'set-cookie';
  if (isForOneRequest(facts.status) || isAboutRequest(facts, request, settings.key.forward))
    return 'request';
  if (!mayVaryBy(facts, settings.vary.allow, settings.key)) return 'vary';
  const understood =
    directives.mustUnderstand === true && directives.noStore
      ? { ...facts, directives: { ...directives, noStore: false } }
      : facts;
  // 206 is stored as a part and 200 as a whole under the same conditions.
  const whole = facts.status === 206 ? { ...understood, status: 200 } : understood;
  return notStorable(whole, 0, policy);
}

function hasStorableMethod(facts: PageFacts, { method, locatesItself }: StoringRequest): boolean {
  if (method === 'GET') return true;
  return (
    method === 'POST' &&
    locatesItself &&
    facts.status === 200 &&
    explicitLifetime(facts) !== undefined
  );
}

/**
 * What is wrong may be the range, or any field where all are sent: the same page is well for
 * others, who would be given the refusal of one. Nor does a page that was made from a client's
 * validator, and has another, suit others.
 */
function isAboutRequest(
  { status, entityTag, lastModified }: PageFacts,
  { isRanged, ifRange }: StoringRequest,
  forward: 'listed' | 'all',
): boolean {
  if (forward === 'all' && status >= 400 && status < 500 && !ABOUT_THE_PAGE.has(status))
    return true;
  if (!isRanged) return false;
  if (status !== 200 && status !== 206) return true;
  if (ifRange === undefined || ifRange === entityTag) return false;
  return lastModified === undefined || parseHttpDate(ifRange) !== lastModified;
}

/** [RFC9111 §3.5] */
const mayShareAuthorised = ({ directives }: PageFacts): boolean =>
  directives.public || directives.mustRevalidate || directives.sMaxage !== undefined;

/** Every field of `Vary` must have reached the origin, and be one the policy allows variants by. */
function mayVaryBy(
  facts: PageFacts,
  allowed: readonly string[],
  key: { readonly headers: readonly string[] },
): boolean {
  if (allowed.includes('*')) return true;
  return (facts.vary ?? []).every((name) => allowed.includes(name) || key.headers.includes(name));
}
