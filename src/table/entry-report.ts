/** What an entry says of itself, in words for an operator: `cache_inspect` prints it. */
import type { EpochMs } from '../base/brands.ts';
import { type Entry, FOREVER, NEVER } from '../cache/entry.ts';
import { isGroupOnHost } from '../cache/pages/unsafe.ts';
import type { InvalidationVerdict } from '../cache/ports.ts';

export interface StoredEntryReport {
  readonly stored: true;
  readonly kind: string;
  readonly status: number;
  readonly state: 'fresh' | 'stale' | 'invalidated';
  readonly entityTag: string;
  readonly version: number;
  readonly stamp: number;
  readonly ageSeconds: number;
  readonly storedAt: string;
  readonly freshUntil: string;
  readonly staleWhileRevalidateUntil: string;
  readonly staleIfErrorUntil: string;
  readonly evictAt: string;
  readonly mustValidate: boolean;
  readonly staleForbidden: boolean;
  readonly bytes: number;
  readonly groups: readonly string[];
}

export function reportEntry(
  entry: Entry,
  verdict: InvalidationVerdict,
  now: EpochMs,
): StoredEntryReport {
  const stale = verdict.kind === 'soft' || entry.freshUntil <= now;
  return {
    stored: true,
    kind: entry.kind,
    status: entry.status,
    state: verdict.kind === 'hard' ? 'invalidated' : stale ? 'stale' : 'fresh',
    entityTag: entry.entityTag,
    version: entry.version,
    stamp: entry.stamp,
    ageSeconds: Math.floor((now - entry.storedAt + entry.initialAge) / 1000),
    storedAt: instant(entry.storedAt),
    freshUntil: instant(entry.freshUntil),
    staleWhileRevalidateUntil: instant(entry.staleWhileRevalidateUntil),
    staleIfErrorUntil: instant(entry.staleIfErrorUntil),
    evictAt: instant(entry.evictAt),
    mustValidate: entry.mustValidate,
    staleForbidden: entry.staleForbidden,
    bytes: entry.bodyLength,
    groups: (entry.meta.groups ?? []).filter((group) => !isGroupOnHost(group)),
  };
}

function instant(at: EpochMs): string {
  if (at === NEVER) return 'never';
  return at >= FOREVER ? 'forever' : new Date(at).toISOString();
}
