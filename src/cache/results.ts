/**
 * From what a read found to what it answers: `ReadResult`s with their `CacheStatus`. Plain
 * constructors; no decision is made here.
 */
import { type DeltaSeconds, deltaSeconds, type EpochMs } from '../base/brands.ts';
import type { NodeError } from '../base/errors.ts';
import type { Permission } from './decide.ts';
import { type Entry, FOREVER } from './entry.ts';
import { ageSeconds, staleFrom } from './freshness.ts';
import type { InvalidationVerdict } from './ports.ts';
import type { CacheStatus, ReadResult, Served } from './read-request.ts';
import type { Errand } from './states.ts';

const NO_AGE: DeltaSeconds = deltaSeconds(0);
const VALID: InvalidationVerdict = Object.freeze({ kind: 'valid' });
const HIT_WITHOUT_END: CacheStatus = Object.freeze({ hit: true });
const HELD_NOWHERE: CacheStatus = Object.freeze({ hit: false });

/** Nothing is held and there is nobody to ask. */
export const ABSENT_HERE: ReadResult = Object.freeze({
  kind: 'absent',
  status: 404,
  age: NO_AGE,
  served: 'fresh',
  cacheStatus: HELD_NOWHERE,
});

export const REFUSED: ReadResult = Object.freeze({
  kind: 'refused',
  cacheStatus: Object.freeze({ hit: false, detail: 'only-if-cached' }),
});

/** A record of a table which is its own origin: just made, as far as HTTP is concerned. */
export function ownResult(entry: Entry, now: EpochMs): ReadResult {
  return found(entry, NO_AGE, 'fresh', hitStatus(entry, now, VALID, undefined));
}

/** An entry reused without asking anybody. */
export function reusedResult(
  entry: Entry,
  now: EpochMs,
  verdict: InvalidationVerdict,
  permission: Permission | undefined,
): ReadResult {
  const served = permission === undefined ? 'fresh' : 'stale';
  return found(entry, ageSeconds(entry, now), served, hitStatus(entry, now, verdict, permission));
}

/** What a fetch brought or confirmed, as of its own time. */
export function fetchedResult(
  entry: Entry,
  errand: Errand,
  fetch: {
    readonly served: 'validated' | 'fetched';
    readonly originStatus: number;
    readonly stored: boolean;
    readonly collapsed: boolean;
  },
): ReadResult {
  const at = entry.storedAt;
  return found(entry, ageSeconds(entry, at), fetch.served, {
    hit: false,
    fwd: errand.forward.reason,
    fwdStatus: fetch.originStatus,
    stored: fetch.stored,
    collapsed: fetch.collapsed || undefined,
    ttl: remaining(entry.freshUntil, at),
  });
}

/** A held entry instead of a failure. */
export function fallbackResult(
  entry: Entry,
  now: EpochMs,
  verdict: InvalidationVerdict,
  failure: {
    readonly errand: Errand;
    readonly error: NodeError;
    readonly collapsed: boolean;
    readonly fresh: boolean;
  },
): ReadResult {
  return found(entry, ageSeconds(entry, now), failure.fresh ? 'fresh' : 'stale', {
    hit: false,
    fwd: failure.errand.forward.reason,
    fwdStatus: statusOf(failure.error),
    stored: false,
    collapsed: failure.collapsed || undefined,
    ttl: remaining(staleFrom(entry, verdict), now),
    detail: failure.fresh ? failure.error.code : 'stale-if-error',
  });
}

export function failedResult(errand: Errand, error: NodeError, collapsed: boolean): ReadResult {
  return {
    kind: 'failed',
    error,
    cacheStatus: {
      hit: false,
      fwd: errand.forward.reason,
      fwdStatus: statusOf(error),
      stored: false,
      collapsed: collapsed || undefined,
      detail: error.code,
    },
  };
}

/** The status an origin failed with; `undefined` when it did not answer at all. */
export function statusOf(error: NodeError): number | undefined {
  const { status } = error.details;
  return typeof status === 'number' ? status : undefined;
}

function found(
  entry: Entry,
  age: DeltaSeconds,
  served: Served,
  cacheStatus: CacheStatus,
): ReadResult {
  if (entry.kind === 'negative') {
    return { kind: 'absent', status: entry.status, age, served, cacheStatus };
  }
  return { kind: 'found', entry, age, served, cacheStatus };
}

function hitStatus(
  entry: Entry,
  now: EpochMs,
  verdict: InvalidationVerdict,
  permission: Permission | undefined,
): CacheStatus {
  const ttl = remaining(staleFrom(entry, verdict), now);
  if (permission !== undefined) return { hit: true, ttl, detail: permission };
  // Kept fresh by a live feed beyond its lifetime: no end is known.
  return ttl === undefined || ttl < 0 ? HIT_WITHOUT_END : { hit: true, ttl };
}

/** Whole seconds, negative when over; `undefined` without an end. */
function remaining(until: EpochMs, now: EpochMs): number | undefined {
  return until === FOREVER ? undefined : Math.floor((until - now) / 1000);
}
