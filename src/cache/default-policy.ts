/**
 * The policy of a table that names none, and the one every other policy inherits from, section by
 * section. Two permissions differ from what a page cache wants: nothing is served stale while it is
 * refreshed (nobody asked for it), but what is held is served when the origin fails, until evicted.
 */
import { type DeltaSeconds, type DurationMs, durationMs, secondsToMs } from '../base/brands.ts';
import { WITHOUT_END } from './freshness.ts';
import type { CachePolicy, PolicyHooks, PolicySettings, SettingsOverride } from './policy.ts';

const SECOND = 1000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

export const DEFAULT_SETTINGS: PolicySettings = Object.freeze({
  name: 'default',
  freshness: {
    default: durationMs(60 * SECOND),
    origin: 'respect',
    max: durationMs(DAY),
    heuristic: false,
    jitter: 0.1,
  },
  stale: { whileRevalidate: durationMs(0), ifError: WITHOUT_END },
  negative: {
    404: durationMs(10 * SECOND),
    410: durationMs(HOUR),
    '5xx': durationMs(SECOND),
  },
  key: {
    method: ['GET', 'HEAD'],
    query: { ignore: ['utm_*', 'fbclid'], sort: true },
    headers: [],
    cookies: [],
    forward: 'listed',
  },
  vary: { allow: ['accept-encoding', 'accept-language'], variantsMax: 32 },
  groups: { from: ['cache-groups', 'cache-tag', 'surrogate-key', 'xkey'], tables: false },
  store: {
    bodyMax: 8 * 1024 * 1024,
    compress: ['br', 'gzip'],
    minBytesToCompress: 1024,
    setCookie: 'refuse',
    enabled: true,
  },
  collapse: {
    waitersMax: 10_000,
    wait: durationMs(5 * SECOND),
    passFor: durationMs(120 * SECOND),
  },
  retention: { keepStale: durationMs(DAY) },
  client: {
    cacheControl: 'public, max-age=0, must-revalidate',
    cdnCacheControl: '',
    mayForceRevalidation: true,
    signedUrls: false,
  },
  rules: [],
} satisfies PolicySettings);

/** No hook: every decision is the default rule's. */
export const DEFAULT_HOOKS: PolicyHooks = Object.freeze({});

export const DEFAULT_POLICY: CachePolicy = Object.freeze({
  settings: DEFAULT_SETTINGS,
  hooks: DEFAULT_HOOKS,
});

/**
 * A complete policy from what it says itself: the rest is `base`'s; `negative` and `rules` replace
 * the whole map and list.
 */
export function definePolicy(
  override: SettingsOverride & { readonly hooks?: PolicyHooks | undefined },
  base: CachePolicy = DEFAULT_POLICY,
): CachePolicy {
  const inherited = base.settings;
  return {
    settings: {
      name: override.name ?? inherited.name,
      freshness: { ...inherited.freshness, ...override.freshness },
      stale: { ...inherited.stale, ...override.stale },
      negative: override.negative ?? inherited.negative,
      key: {
        ...inherited.key,
        ...override.key,
        query: { ...inherited.key.query, ...override.key?.query },
      },
      vary: { ...inherited.vary, ...override.vary },
      groups: { ...inherited.groups, ...override.groups },
      store: { ...inherited.store, ...override.store },
      collapse: { ...inherited.collapse, ...override.collapse },
      retention: { ...inherited.retention, ...override.retention },
      client: { ...inherited.client, ...override.client },
      rules: override.rules ?? inherited.rules,
    },
    hooks: { ...base.hooks, ...override.hooks },
  };
}

/** The policy under a table's own `expiration` and `eviction`, which beat its defaults. */
export function withTableTimes(
  policy: CachePolicy,
  times: {
    readonly expiration?: DeltaSeconds | undefined;
    readonly eviction?: DeltaSeconds | undefined;
  },
): CachePolicy {
  return definePolicy(
    {
      freshness: times.expiration === undefined ? {} : { default: secondsToMs(times.expiration) },
      retention: times.eviction === undefined ? {} : { keepStale: secondsToMs(times.eviction) },
    },
    policy,
  );
}

/**
 * How long further reads of a key share a failure instead of asking again; 0 when the policy says
 * none.
 */
export function backOffAfter(status: number | undefined, settings: PolicySettings): DurationMs {
  const { negative } = settings;
  const ofStatus =
    status === undefined
      ? undefined
      : (negative[status] ?? negative[`${Math.floor(status / 100)}xx`]);
  return ofStatus ?? negative['5xx'] ?? durationMs(0);
}
