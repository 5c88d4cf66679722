/**
 * The bounds of the feed; defaults stand in `config/limits.ts`. A test makes them small.
 */
import { LIMITS } from '../config/limits.ts';

export const feedLimits = () => ({
  changeBatchMax: LIMITS.changeBatchMax,
  replayEntriesMax: LIMITS.replayEntriesMax,
  conflatedRecordsMax: LIMITS.conflatedRecordsMax,
  pendingMessageBytesMax: LIMITS.pendingMessageBytesMax,
  snapshotChunkBytesMax: LIMITS.snapshotChunkBytesMax,
  snapshotChunkRowsMax: LIMITS.snapshotChunkRowsMax,
  snapshotScanRowsMax: LIMITS.snapshotScanRowsMax,
  snapshotIndexIdsMax: LIMITS.snapshotIndexIdsMax,
  snapshotCacheBytesMax: LIMITS.snapshotCacheBytesMax,
  shownRecordsMax: LIMITS.shownRecordsMax,
  shownRecordsOfThreadMax: LIMITS.shownRecordsOfThreadMax,
  snapshotRestartsMax: LIMITS.snapshotRestartsMax,
  feedTurnMsMax: LIMITS.feedTurnMsMax,
  historyEventsMax: LIMITS.historyEventsMax,
  windowBytesMax: LIMITS.windowBytesMax,
  windowsOfThreadMax: LIMITS.windowsOfThreadMax,
});

export type FeedLimits = ReturnType<typeof feedLimits>;
