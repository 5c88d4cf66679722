/**
 * From a reply to what is stored: one function for each thing a fetch may leave behind (a record,
 * the word that there is none, a freshened entry, a pass marker). Pure; whether a draft is stored
 * is `storable.ts`'s verdict and then the store's.
 */
import {
  type DurationMs,
  durationMs,
  type EntityTag,
  type EpochMs,
  type RecordVersion,
  type Sequence,
  secondsToMs,
} from '../base/brands.ts';
import type { ResponseDirectives } from './directives.ts';
import { NO_RESPONSE_DIRECTIVES } from './directives.ts';
import { type Entry, type EntryMeta, NEVER } from './entry.ts';
import {
  explicitLifetime,
  freshnessLifetime,
  initialAge,
  jitter,
  plus,
  WITHOUT_END,
} from './freshness.ts';
import type { CachePolicy } from './policy.ts';
import type { FillDraft, OriginReply, ReplyFacts } from './ports.ts';
import type { ReadRequest } from './read-request.ts';
import { directivesInForce } from './storable.ts';

const NO_BYTES = new Uint8Array(0);

/** What every draft of a fetch has in common. */
export interface DraftContext {
  readonly request: Pick<ReadRequest, 'id' | 'variant'>;
  readonly policy: CachePolicy;
  readonly stamp: Sequence;
  /** The row which the fetch was to replace. */
  readonly replaces: RecordVersion | undefined;
  /** In [0, 1). */
  readonly random: number;
}

/** A record or page, or a negative entry for the origin's word that there is none. */
export function draftOfReply(
  reply: Exclude<OriginReply, { kind: 'notModified' }>,
  context: DraftContext,
): FillDraft {
  const { facts } = reply;
  const lifetime = jittered(freshnessLifetime(facts, context.policy), facts, context);
  const absent = reply.kind === 'absent';
  const at = times(facts, lifetime, absent, context.policy);
  const rules = conditions(directivesInForce(facts, context.policy.settings));
  // Written out: V8 makes a hash table of several kilobytes of an object that is spread together.
  return {
    id: context.request.id,
    variant: context.request.variant,
    stamp: context.stamp,
    replaces: context.replaces,
    kind: absent ? 'negative' : 'record',
    status: facts.status,
    body: absent ? NO_BYTES : reply.body,
    meta: metaOf(facts, context.policy),
    entityTag: absent ? undefined : strongTag(facts),
    storedAt: at.storedAt,
    initialAge: at.initialAge,
    freshUntil: at.freshUntil,
    staleWhileRevalidateUntil: at.staleWhileRevalidateUntil,
    staleIfErrorUntil: at.staleIfErrorUntil,
    evictAt: at.evictAt,
    mustValidate: rules.mustValidate,
    staleForbidden: rules.staleForbidden,
  };
}

/**
 * The stored entry updated by a 304 [RFC9111 §4.3.4]: same bytes, new times. A 304 without
 * freshness of its own leaves the lifetime as it was, but never longer than the policy would now
 * give.
 */
export function draftOfFreshening(
  facts: ReplyFacts,
  entry: Entry,
  context: DraftContext,
): FillDraft {
  const silent = facts.directives === NO_RESPONSE_DIRECTIVES || !speaks(facts);
  const policyLifetime = jittered(freshnessLifetime(facts, context.policy), facts, context);
  const before = durationMs(Math.max(0, entry.freshUntil - entry.storedAt + entry.initialAge));
  const lifetime = silent ? durationMs(Math.min(before, policyLifetime)) : policyLifetime;
  const directives = directivesInForce(facts, context.policy.settings);
  return {
    ...identity(context),
    kind: 'record',
    status: entry.status,
    body: entry.storedBody ?? entry.body,
    meta: freshenedMeta(facts, entry.meta, context.policy),
    entityTag: entry.entityTag,
    ...times(facts, lifetime, false, context.policy),
    ...(silent
      ? { mustValidate: entry.mustValidate, staleForbidden: entry.staleForbidden }
      : conditions(directives)),
  };
}

/**
 * A marker which says that replies for this key cannot be shared, so that nobody queues for them.
 */
export function draftOfPass(now: EpochMs, context: DraftContext): FillDraft {
  const until = plus(now, context.policy.settings.collapse.passFor);
  return {
    ...identity(context),
    kind: 'pass',
    status: 200,
    body: NO_BYTES,
    meta: {},
    storedAt: now,
    initialAge: durationMs(0),
    freshUntil: until,
    staleWhileRevalidateUntil: NEVER,
    staleIfErrorUntil: NEVER,
    evictAt: until,
    mustValidate: false,
    staleForbidden: false,
  };
}

/** Whether a stored draft could ever answer anybody or be validated. */
export function isUseful(draft: FillDraft): boolean {
  if (draft.freshUntil > draft.storedAt) return true;
  if (draft.kind === 'negative') return false;
  return (
    draft.staleWhileRevalidateUntil > draft.storedAt ||
    draft.staleIfErrorUntil > draft.storedAt ||
    draft.meta.originTag !== undefined ||
    draft.meta.lastModified !== undefined
  );
}

function identity(context: DraftContext) {
  return {
    id: context.request.id,
    variant: context.request.variant,
    stamp: context.stamp,
    replaces: context.replaces,
  };
}

/** An instant that code gave is meant exactly; every other lifetime is spread. */
function jittered(lifetime: DurationMs, facts: ReplyFacts, context: DraftContext): DurationMs {
  if (facts.freshUntil !== undefined) return lifetime;
  return jitter(lifetime, context.policy.settings.freshness.jitter, context.random);
}

/** Whether a 304 says anything of its own about freshness. */
const speaks = (facts: ReplyFacts): boolean =>
  facts.freshUntil !== undefined ||
  explicitLifetime(facts) !== undefined ||
  facts.directives.noCache ||
  facts.directives.mustRevalidate;

function times(facts: ReplyFacts, lifetime: DurationMs, negative: boolean, policy: CachePolicy) {
  const { settings } = policy;
  const aged = initialAge(facts);
  const freshUntil = plus(facts.receivedAt, durationMs(lifetime - aged));
  const stale = negative ? NO_WINDOWS : staleWindows(facts, policy);
  const keep = negative ? durationMs(0) : retention(settings.retention.keepStale, stale);
  const evictAt = plus(freshUntil, keep);
  return {
    storedAt: facts.receivedAt,
    initialAge: aged,
    freshUntil,
    staleWhileRevalidateUntil: windowEnd(freshUntil, stale.whileRevalidate, evictAt),
    staleIfErrorUntil: windowEnd(freshUntil, stale.ifError, evictAt),
    evictAt: laterOf(evictAt, facts.receivedAt),
  };
}

const NO_WINDOWS = { whileRevalidate: durationMs(0), ifError: durationMs(0) };

/**
 * The origin's windows [RFC5861 §3, §4] before the policy's; capped or not looked at as it says.
 */
function staleWindows(facts: ReplyFacts, policy: CachePolicy) {
  const { stale, freshness } = policy.settings;
  if (freshness.origin === 'ignore') return stale;
  const { staleWhileRevalidate, staleIfError } = facts.directives;
  const bound = freshness.origin === 'cap' ? freshness.max : Number.POSITIVE_INFINITY;
  const window = (said: typeof staleIfError, own: DurationMs): DurationMs =>
    said === undefined ? own : durationMs(Math.min(secondsToMs(said), bound));
  return {
    whileRevalidate: window(staleWhileRevalidate, stale.whileRevalidate),
    ifError: window(staleIfError, stale.ifError),
  };
}

/** An entry is kept for as long as it may be served; "until evicted" names no time of its own. */
function retention(keepStale: DurationMs, stale: typeof NO_WINDOWS): DurationMs {
  const windows = [stale.whileRevalidate, stale.ifError].filter((span) => span < WITHOUT_END);
  return durationMs(Math.max(keepStale, ...windows));
}

function windowEnd(from: EpochMs, span: DurationMs, evictAt: EpochMs): EpochMs {
  return span <= 0 ? NEVER : (Math.min(plus(from, span), evictAt) as EpochMs);
}

const laterOf = (a: EpochMs, b: EpochMs): EpochMs => (a > b ? a : b);

/**
 * `s-maxage` forbids stale like `proxy-revalidate` [RFC9111 §5.2.2.10], unless the same reply names
 * a stale window: renderers write `s-maxage=60, stale-while-revalidate` and mean the latter, and an
 * explicit permission is not overruled by an implied prohibition.
 */
function conditions(directives: ResponseDirectives) {
  const permitted =
    directives.staleWhileRevalidate !== undefined || directives.staleIfError !== undefined;
  return {
    mustValidate: directives.noCache,
    staleForbidden:
      directives.mustRevalidate ||
      directives.proxyRevalidate ||
      (directives.sMaxage !== undefined && !permitted),
  };
}

/** Only a strong tag may stand for the exact bytes [RFC9110 §8.8.1]. */
function strongTag(facts: ReplyFacts): EntityTag | undefined {
  return facts.entityTag !== undefined && !facts.entityTag.startsWith('W/')
    ? facts.entityTag
    : undefined;
}

const NO_META: EntryMeta = Object.freeze({});

/** It names nothing by which it could be validated. */
const isSilent = (facts: ReplyFacts): boolean =>
  facts.lastModified === undefined && facts.entityTag === undefined;

function metaOf(facts: ReplyFacts, policy: CachePolicy): EntryMeta {
  const hooked = facts.isJudged === true ? undefined : policy.hooks.groupsOf?.(facts);
  const groups = hooked ?? facts.groups;
  if (isJson(facts.contentType) && isSilent(facts) && groups === undefined) return NO_META;
  return {
    ...(isJson(facts.contentType) ? {} : { contentType: facts.contentType }),
    ...(facts.lastModified === undefined ? {} : { lastModified: facts.lastModified }),
    ...(facts.entityTag === undefined ? {} : { originTag: facts.entityTag }),
    ...(groups === undefined || groups.length === 0 ? {} : { groups }),
  };
}

function freshenedMeta(facts: ReplyFacts, before: EntryMeta, policy: CachePolicy): EntryMeta {
  const { contentType: _, ...renewed } = metaOf(facts, policy);
  return { ...before, ...renewed };
}

const isJson = (contentType: string | undefined): boolean =>
  contentType === undefined || /^application\/json\s*(;|$)/i.test(contentType);
