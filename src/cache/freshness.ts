/**
 * Freshness and age as arithmetic on branded times: how long a reply is fresh, how old an entry is,
 * how long it may be served stale. Pure: the instant and the random number are parameters.
 *
 * Invariant: `isFresh ⇔ freshness lifetime > current age` [RFC9111 §4.2], kept by storing
 * `freshUntil = storedAt + lifetime − initial age`.
 */
import {
  type DeltaSeconds,
  type DurationMs,
  deltaSeconds,
  durationMs,
  type EpochMs,
  epochMs,
  secondsToMs,
} from '../base/brands.ts';
import { type EntryFacts, FOREVER, NEVER } from './entry.ts';
import type { CachePolicy, PolicySettings } from './policy.ts';
import type { InvalidationVerdict, ReplyFacts } from './ports.ts';

/** A lifetime without an end: the entry is kept until it is evicted. */
export const WITHOUT_END = FOREVER as number as DurationMs;

/**
 * An entry stored further in the future than this was made under a clock which has since stepped
 * back; its times mean nothing, so it is stale rather than fresh for as long as the step.
 */
const CLOCK_STEP_MAX = 60_000;

/** Statuses whose replies may be stored by a policy's own lifetime [RFC9110 §15.1]. */
const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);

export const isHeuristicStatus = (status: number): boolean => HEURISTIC_STATUSES.has(status);

/** `at + span`, kept within what an instant can be. */
export function plus(at: EpochMs, span: DurationMs): EpochMs {
  return epochMs(Math.min(FOREVER, Math.max(NEVER, at + span)));
}

/** Corrected initial age [RFC9111 §4.2.3]: what the reply had aged by when it arrived. */
export function initialAge(reply: ReplyFacts): DurationMs {
  const apparent = reply.date === undefined ? 0 : Math.max(0, reply.receivedAt - reply.date);
  const delay = Math.max(0, reply.receivedAt - reply.requestedAt);
  return durationMs(Math.max(apparent, Math.max(0, reply.age) + delay));
}

/** Current age [RFC9111 §4.2.3]; a clock that stepped back does not make it negative. */
export function currentAge(entry: EntryFacts, now: EpochMs): DurationMs {
  return durationMs(entry.initialAge + Math.max(0, now - entry.storedAt));
}

/** Current age in whole seconds, as the `Age` field tells it. */
export function ageSeconds(entry: EntryFacts, now: EpochMs): DeltaSeconds {
  return deltaSeconds(Math.floor(currentAge(entry, now) / 1000));
}

/**
 * The instant from which the entry is stale; a soft invalidation may bring it forward [RFC9111
 * §4.4].
 */
export function staleFrom(entry: EntryFacts, verdict: InvalidationVerdict): EpochMs {
  return verdict.kind === 'soft' && verdict.at < entry.freshUntil ? verdict.at : entry.freshUntil;
}

/** Whether the freshness lifetime exceeds the current age at `now` [RFC9111 §4.2]. */
export function isFresh(entry: EntryFacts, now: EpochMs, verdict: InvalidationVerdict): boolean {
  return now < staleFrom(entry, verdict) && isOfThisClock(entry, now);
}

/** What may be served stale while it is refreshed may as well be handed on so. */
export const mayBeOld = (
  entry: Pick<
    EntryFacts,
    'mustValidate' | 'staleForbidden' | 'staleWhileRevalidateUntil' | 'freshUntil'
  >,
): boolean =>
  !entry.mustValidate &&
  !entry.staleForbidden &&
  entry.staleWhileRevalidateUntil > entry.freshUntil;

/** Whether the entry's instants can be compared with `now`. */
export const isOfThisClock = (entry: EntryFacts, now: EpochMs): boolean =>
  entry.storedAt <= now + CLOCK_STEP_MAX;

/**
 * The ends of both stale windows. Under a soft invalidation they count from it, but never end later
 * than the entry's own. A forbidden entry has none [RFC9111 §4.2.4].
 */
export function staleAllowance(
  entry: EntryFacts,
  verdict: InvalidationVerdict,
  policy: CachePolicy,
): { readonly whileRevalidateUntil: EpochMs; readonly ifErrorUntil: EpochMs } {
  if (entry.staleForbidden || verdict.kind === 'hard') {
    return { whileRevalidateUntil: NEVER, ifErrorUntil: NEVER };
  }
  const hooked = policy.hooks.staleAllowance?.(entry);
  const whileRevalidate =
    hooked === undefined
      ? entry.staleWhileRevalidateUntil
      : plus(entry.freshUntil, hooked.whileRevalidate);
  const ifError =
    hooked === undefined ? entry.staleIfErrorUntil : plus(entry.freshUntil, hooked.ifError);
  if (verdict.kind !== 'soft') {
    return { whileRevalidateUntil: whileRevalidate, ifErrorUntil: ifError };
  }
  return {
    whileRevalidateUntil: movedWindow(entry, verdict.at, whileRevalidate),
    ifErrorUntil: movedWindow(entry, verdict.at, ifError),
  };
}

function movedWindow(entry: EntryFacts, from: EpochMs, until: EpochMs): EpochMs {
  if (until <= entry.freshUntil) return until;
  return epochMs(Math.min(until, plus(from, durationMs(until - entry.freshUntil))));
}

/**
 * Freshness lifetime of a reply in milliseconds, before jitter [RFC9111 §4.2.1]. What code said
 * (`freshUntil`) beats the hook, the hook the origin's directives, those the policy's defaults.
 */
export function freshnessLifetime(reply: ReplyFacts, policy: CachePolicy): DurationMs {
  if (reply.freshUntil !== undefined) {
    return durationMs(Math.max(0, reply.freshUntil - reply.receivedAt + initialAge(reply)));
  }
  const hooked = policy.hooks.freshnessLifetime?.(reply);
  if (hooked !== undefined) return durationMs(Math.max(0, hooked));
  const { origin, max } = policy.settings.freshness;
  if (origin === 'ignore') return ownLifetime(reply, policy.settings);
  const lifetime =
    explicitLifetime(reply) ??
    heuristicLifetime(reply, policy.settings) ??
    ownLifetime(reply, policy.settings);
  return origin === 'cap' ? durationMs(Math.min(lifetime, max)) : lifetime;
}

/**
 * What the origin said: `s-maxage`, `max-age`, `Expires` − `Date`, in this order [RFC9111 §4.2.1].
 */
export function explicitLifetime(reply: ReplyFacts): DurationMs | undefined {
  const { sMaxage, maxAge } = reply.directives;
  if (sMaxage !== undefined) return secondsToMs(sMaxage);
  if (maxAge !== undefined) return secondsToMs(maxAge);
  if (reply.expires === undefined) return undefined;
  return durationMs(Math.max(0, reply.expires - (reply.date ?? reply.receivedAt)));
}

/** A tenth of the time since the last modification [RFC9111 §4.2.2]. */
function heuristicLifetime(reply: ReplyFacts, settings: PolicySettings): DurationMs | undefined {
  if (!settings.freshness.heuristic || reply.lastModified === undefined) return undefined;
  if (!isHeuristicStatus(reply.status) && !reply.directives.public) return undefined;
  const since = (reply.date ?? reply.receivedAt) - reply.lastModified;
  return since > 0 ? durationMs(Math.floor(since / 10)) : undefined;
}

/** The policy's own lifetime: by status for errors, else its default. */
function ownLifetime(reply: ReplyFacts, settings: PolicySettings): DurationMs {
  if (reply.status >= 400) return negativeLifetime(reply.status, settings) ?? durationMs(0);
  return isHeuristicStatus(reply.status) ? settings.freshness.default : durationMs(0);
}

/** How long an answer of this status is reused: its own row of the map, else its class's. */
export function negativeLifetime(status: number, settings: PolicySettings): DurationMs | undefined {
  return settings.negative[status] ?? settings.negative[`${Math.floor(status / 100)}xx`];
}

/** The lifetime shortened at random by at most the policy's share; `random` is in [0, 1). */
export function jitter(lifetime: DurationMs, share: number, random: number): DurationMs {
  if (share <= 0 || lifetime >= WITHOUT_END) return lifetime;
  return durationMs(Math.round(lifetime * (1 - Math.min(1, share) * random)));
}
