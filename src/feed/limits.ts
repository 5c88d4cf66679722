/**
 * The bounds of the feed; defaults stand in `config/limits.ts`. A test makes them small.
 */
import { LIMITS } from '../config/limits.ts';

export const FEED_LIMITS = {
  changeBatchMax: LIMITS.changeBatchMax as number,
  replayEntriesMax: LIMITS.replayEntriesMax as number,
  conflatedRecordsMax: LIMITS.conflatedRecordsMax as number,
  pendingMessageBytesMax: LIMITS.pendingMessageBytesMax as number,
  snapshotChunkBytesMax: LIMITS.snapshotChunkBytesMax as number,
  snapshotChunkRowsMax: LIMITS.snapshotChunkRowsMax as number,
  snapshotScanRowsMax: LIMITS.snapshotScanRowsMax as number,
  snapshotIndexIdsMax: LIMITS.snapshotIndexIdsMax as number,
  snapshotCacheBytesMax: LIMITS.snapshotCacheBytesMax as number,
  shownRecordsMax: LIMITS.shownRecordsMax as number,
  shownRecordsOfThreadMax: LIMITS.shownRecordsOfThreadMax as number,
  snapshotRestartsMax: LIMITS.snapshotRestartsMax as number,
  feedTurnMsMax: LIMITS.feedTurnMsMax as number,
};

export type FeedLimits = typeof FEED_LIMITS;
