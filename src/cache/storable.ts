/**
 * Whether a reply may be stored, and whether it may be given to others who asked for the same
 * [RFC9111 §3]. Each condition of the standard is one predicate; a policy may replace the verdict
 * but not the prohibitions (`no-store` set by code, `private`).
 */
import type { ResponseDirectives } from './directives.ts';
import { NO_RESPONSE_DIRECTIVES } from './directives.ts';
import { isHeuristicStatus, negativeLifetime } from './freshness.ts';
import type { CachePolicy, PolicySettings } from './policy.ts';
import type { ReplyFacts } from './ports.ts';

/** Why a reply is not stored; `undefined` means that it is storable. */
export type NotStorable =
  | 'no-store'
  | 'private'
  | 'vary-any'
  | 'policy'
  | 'status'
  | 'body-too-large'
  | 'useless';

/**
 * Directives in force under this policy: `origin: ignore` does not look at them, but for `private`.
 */
export function directivesInForce(reply: ReplyFacts, settings: PolicySettings): ResponseDirectives {
  if (settings.freshness.origin !== 'ignore') return reply.directives;
  return reply.directives.private
    ? { ...NO_RESPONSE_DIRECTIVES, private: true }
    : NO_RESPONSE_DIRECTIVES;
}

/** Whether the reply may be stored at all; its lifetime is another question. */
export function notStorable(
  reply: ReplyFacts,
  bodyBytes: number,
  policy: CachePolicy,
): NotStorable | undefined {
  const directives = directivesInForce(reply, policy.settings);
  if (forbidsStoring(reply, directives)) return 'no-store';
  if (isPrivate(directives)) return 'private';
  if (variesByAnything(reply)) return 'vary-any';
  if (!policy.settings.store.enabled) return 'policy';
  if (bodyBytes > policy.settings.store.bodyMax) return 'body-too-large';
  if (reply.isJudged === true) return undefined;
  if (policy.hooks.storable !== undefined)
    return policy.hooks.storable(reply) ? undefined : 'policy';
  return hasStorableStatus(reply, policy.settings) ? undefined : 'status';
}

/**
 * Whether others who wait may be given the reply as well: it may be reused for each of them [R5].
 */
export function isShareable(reply: ReplyFacts, policy: CachePolicy): boolean {
  const directives = directivesInForce(reply, policy.settings);
  if (isPrivate(directives) || variesByAnything(reply)) return false;
  if (reply.isJudged === true) return !directives.noCache;
  if (policy.hooks.shareable !== undefined) return policy.hooks.shareable(reply);
  return !forbidsStoring(reply, directives) && !directives.noCache;
}

// [RFC9111 §5.2.2.5]
const forbidsStoring = (reply: ReplyFacts, directives: ResponseDirectives): boolean =>
  reply.noStore === true || directives.noStore;

// This is a shared cache [RFC9111 §5.2.2.7].
const isPrivate = (directives: ResponseDirectives): boolean => directives.private;

// A stored response whose Vary has a member "*" never matches a request [RFC9111 §4.1].
const variesByAnything = (reply: ReplyFacts): boolean => reply.vary?.includes('*') === true;

/**
 * A final status which the cache understands, and something that lets it be stored: `public`, an
 * explicit lifetime, or a status which is cacheable by default [RFC9111 §3]. 206 would need the
 * combining of ranges, 304 freshens.
 */
function hasStorableStatus(reply: ReplyFacts, settings: PolicySettings): boolean {
  const { status } = reply;
  if (status < 200 || status === 206 || status === 304) return false;
  if (isHeuristicStatus(status) || reply.freshUntil !== undefined) return true;
  if (negativeLifetime(status, settings) !== undefined) return true;
  if (settings.freshness.origin === 'ignore') return false;
  const { maxAge, sMaxage } = reply.directives;
  return (
    reply.directives.public ||
    maxAge !== undefined ||
    sMaxage !== undefined ||
    reply.expires !== undefined
  );
}
