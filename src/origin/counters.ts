/**
 * What an origin has done so far, as plain numbers: read by metrics and by `origin_status`. Nothing
 * here knows how they are exposed.
 */
import type { ErrorCode } from '../base/errors.ts';

/** How an attempt ended: `ok`, `absent`, `not_modified`, `aborted`, or the code of its failure. */
export type AttemptOutcome = 'ok' | 'absent' | 'not_modified' | 'aborted' | ErrorCode;

/** Told of every event as it happens, for histograms and logs. */
export interface OriginObserver {
  attempted?(origin: string, outcome: AttemptOutcome, durationMs: number): void;
  breakerMoved?(origin: string, open: boolean): void;
  feedMoved?(origin: string, connected: boolean): void;
}

export interface OriginCounters {
  readonly outcomes: ReadonlyMap<AttemptOutcome, number>;
  readonly inFlight: number;
  readonly queued: number;
  readonly breakerOpen: boolean;
  /** Body bytes received, as they came over the wire. */
  readonly bytes: number;
  readonly retries: number;
}
