/**
 * Whether a page may be stored [RFC9111 §3]: what `storable.ts` says of every reply, and what only
 * requests with methods, credentials and ranges make a question. Pure.
 */
import { explicitLifetime } from '../freshness.ts';
import type { CachePolicy } from '../policy.ts';
import { notStorable } from '../storable.ts';
import type { PageFacts } from './page-facts.ts';

/** Statuses whose meaning for caching is understood here [RFC9111 §5.2.2.3]. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 410, 414, 421,
  451, 500, 501, 502, 503, 504,
]);

export interface StoringRequest {
  readonly method: string;
  /** It carried credentials that reached the origin. */
  readonly isAuthorised: boolean;
  /** POST: the reply says that it is what a GET of the same URL would answer [RFC9110 §9.3.3]. */
  readonly locatesItself: boolean;
  /** It asked for a part. */
  readonly isRanged: boolean;
  /** Fields of clients that reached the origin and are not in the key, if no `Vary` names them. */
  readonly unkeyed: readonly string[];
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
  if (facts.setsCookie && settings.store.setCookie === 'refuse') return 'set-cookie';
  if (isAboutRequest(facts, request)) return 'request';
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
 * What is wrong may be the range, or a field that only this request had: the same page is well for
 * others, who would be given the refusal of one.
 */
function isAboutRequest({ status, vary }: PageFacts, request: StoringRequest): boolean {
  if (request.isRanged) return status !== 200 && status !== 206;
  return status >= 400 && request.unkeyed.some((name) => vary?.includes(name) !== true);
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
