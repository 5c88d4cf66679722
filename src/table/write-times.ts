/**
 * How long a record lives that was written here, by a client or by a feed, rather than fetched:
 * pure arithmetic on the table's declared lifetimes, its policy, and the client's own `max-age`.
 */
import {
  type DeltaSeconds,
  type DurationMs,
  type EpochMs,
  later,
  secondsToMs,
} from '../base/brands.ts';
import { FOREVER, NEVER } from '../cache/entry.ts';
import { plus, WITHOUT_END } from '../cache/freshness.ts';
import type { PolicySettings } from '../cache/policy.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { EntryTimes } from './store-port.ts';

const UNBOUNDED: EntryTimes = Object.freeze({
  freshUntil: FOREVER,
  staleWhileRevalidateUntil: NEVER,
  staleIfErrorUntil: NEVER,
  evictAt: FOREVER,
});

/**
 * Times of a write at `now`. A plain table without `expiration` keeps records for ever; a cache
 * table gives a written record the policy's lifetime. `maxAge` (of the write's `Cache-Control`)
 * replaces either.
 */
export function writeTimes(
  definition: TableDefinition,
  settings: PolicySettings,
  now: EpochMs,
  maxAge: DeltaSeconds | undefined,
): EntryTimes {
  if (definition.sourcedFrom === undefined) return plainTimes(definition, now, maxAge);
  const lifetime = maxAge === undefined ? settings.freshness.default : secondsToMs(maxAge);
  return staleTimes(settings, later(now, lifetime));
}

function plainTimes(
  definition: TableDefinition,
  now: EpochMs,
  maxAge: DeltaSeconds | undefined,
): EntryTimes {
  const seconds = maxAge ?? definition.expiration;
  if (seconds === undefined) return UNBOUNDED;
  const freshUntil = later(now, secondsToMs(seconds));
  const eviction = definition.eviction === undefined ? 0 : secondsToMs(definition.eviction);
  return { ...UNBOUNDED, freshUntil, evictAt: later(freshUntil, eviction as DurationMs) };
}

/** A window without an end lasts until the entry is evicted, which its retention decides. */
function staleTimes(settings: PolicySettings, freshUntil: EpochMs): EntryTimes {
  const { whileRevalidate, ifError } = settings.stale;
  const ends = [whileRevalidate, ifError].filter((span) => span < WITHOUT_END);
  const evictAt = plus(freshUntil, Math.max(settings.retention.keepStale, ...ends) as DurationMs);
  const windowEnd = (span: DurationMs): EpochMs =>
    span <= 0 ? NEVER : (Math.min(plus(freshUntil, span), evictAt) as EpochMs);
  return {
    freshUntil,
    staleWhileRevalidateUntil: windowEnd(whileRevalidate),
    staleIfErrorUntil: windowEnd(ifError),
    evictAt,
  };
}
