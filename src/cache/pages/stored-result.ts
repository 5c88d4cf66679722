/**
 * A stored page as an answer. A body in a file is opened first: a page whose file is gone or
 * damaged counts as one that is not there, and the store has been told.
 */
import type { EpochMs } from '../../base/brands.ts';
import type { Entry } from '../entry.ts';
import { ageSeconds } from '../freshness.ts';
import type { CacheStatus } from '../read-request.ts';
import type { PageResult } from './page-request.ts';
import type { PageRun } from './page-run.ts';

export type StoredPage = Extract<PageResult, { readonly kind: 'stored' }>;

/** `undefined` when the body is lost. */
export function storedPage(
  { deps }: PageRun,
  { entry, variant }: { readonly entry: Entry; readonly variant: string },
  now: EpochMs,
  cacheStatus: CacheStatus,
): StoredPage | undefined {
  const { storedBody } = entry;
  const file = storedBody === undefined ? undefined : deps.bodies.open(storedBody);
  if (storedBody !== undefined && file === undefined) return undefined;
  return { kind: 'stored', entry, variant, file, age: ageSeconds(entry, now), cacheStatus };
}
