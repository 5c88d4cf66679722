/**
 * What the read path tells whoever counts: plain optional callbacks, so that an event nobody
 * listens to costs one comparison. `resultWord` names a result as `cache_requests_total` does.
 */
import type { NodeError } from '../base/errors.ts';
import type { ReadResult } from './read-request.ts';

/** Label `result` of `cache_requests_total`. */
export type ResultWord = 'hit' | 'stale' | 'miss' | 'revalidated' | 'negative' | 'bypass';

export interface CacheEvents {
  /** Once a read which had a client. */
  readonly answered?: ((table: string, word: ResultWord) => void) | undefined;
  /** A read joined a fetch instead of making its own. */
  readonly collapsed?: ((table: string) => void) | undefined;
  /** The origin is being asked. */
  readonly originAsked?: ((table: string, background: boolean) => void) | undefined;
  /** A fill was not stored though it should have been: fault, or no room [R7]. */
  readonly fillLost?:
    | ((table: string, cause: 'shed' | 'failed', error?: unknown) => void)
    | undefined;
  readonly limitHit?: ((limit: string) => void) | undefined;
  /** A run without a client broke one of our own assumptions; nobody else hears of it. */
  readonly refreshBroke?: ((table: string, error: unknown) => void) | undefined;
  /** One state left for another; for tests and `dev`. */
  readonly readStepped?: ((from: string, to: string) => void) | undefined;
  /** A foreground or background fetch failed. */
  readonly originFailed?: ((table: string, error: NodeError) => void) | undefined;
}

/** The word under which a result is counted. */
export function resultWord(result: ReadResult): ResultWord {
  const { cacheStatus } = result;
  if (result.kind === 'refused' || result.kind === 'failed') {
    return cacheStatus.fwd === 'bypass' ? 'bypass' : 'miss';
  }
  switch (result.served) {
    case 'fresh':
      return result.kind === 'absent' ? 'negative' : 'hit';
    case 'stale':
      return 'stale';
    case 'validated':
      return 'revalidated';
    case 'fetched':
      return cacheStatus.fwd === 'bypass' ? 'bypass' : 'miss';
  }
}
