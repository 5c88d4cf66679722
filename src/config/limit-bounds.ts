/**
 * Which limits may be set, and to what. Those that are not are parts of how the node takes turns
 * or of what its store was made with: another value would gain nobody anything, and is refused
 * instead of accepted without effect. For the others, a number that would stop the node (a batch of
 * none, a queue without room) or that a protocol cannot say is refused where it is written.
 */
import type { LimitName } from './limits.ts';

/** Not to be set, each with what an operator who looks for it may want instead. */
export const FIXED_LIMITS: Readonly<Partial<Record<LimitName, string>>> = {
  recordKeyBytesMax: 'it is what the store can index',
  queryPageRowsMax: 'set queryRowsScannedMax or queryMsMax',
  queryPageBytesMax: 'set queryCursorPageBytesMax or collectionRowsMax',
  queryTurnMsMax: 'set queryMsMax',
  listBatchRows: 'set listRowsMax',
  guardedWriteTriesMax: 'it only ends a loop',
  uploadBatchRowsMax: 'set uploadBytesMax or writeQueueBytesMax',
  uploadBatchBytesMax: 'set uploadBytesMax or writeQueueBytesMax',
  uploadBatchesMax: 'set uploadBytesMax or writeQueueBytesMax',
  bodyWindowBytes: 'set fileBodyBytesMin',
  bodyReadBytes: 'set fileBodyBytesMin',
  changeBatchMax: 'set replayEntriesMax or logEntriesMax',
  snapshotChunkBytesMax: 'set snapshotCacheBytesMax',
  snapshotChunkRowsMax: 'set snapshotCacheBytesMax',
  snapshotScanRowsMax: 'set snapshotCacheBytesMax',
  snapshotIndexIdsMax: 'set snapshotCacheBytesMax',
  snapshotRestartsMax: 'set logBytesMax',
  feedTurnMsMax: 'set threads',
  originCallsPerTurnMax: 'set concurrency of the origin',
  fetchesPerTurnMax: 'set concurrency of the origin',
  readTransactionMsMax: 'it keeps the file of the store from growing',
  expiryBatchMax: 'set expiryBudgetMs',
  refusedUpgradeBytesMax: 'it bounds an error page',
};

/** Where 0 means something: not limited, never, or none of it. */
const ZERO_ALLOWED: ReadonlySet<LimitName> = new Set<LimitName>([
  'memoryBytesMax',
  'stuckMsMax',
  'descriptorsReserved',
  'bodyGraceSeconds',
  'bodyBytesPerSecondMin',
  'http2ResetsMax',
  'requestsPerAddressSecondMax',
  'requestsPerCredentialSecondMax',
  'requestsPerPrincipalSecondMax',
  'queryRefetchRowsMax',
  'queryRefreshRowsMax',
  'uploadErrorsMax',
  'credentialSecondsMax',
  'shownRecordsMax',
  'shownRecordsOfThreadMax',
  'replayEntriesMax',
  'diskSoftFreeBytes',
  'diskHardFreeBytes',
  'drainMsMax',
  'originRedirectsMax',
  'originInterimsMax',
  'interimsMax',
  'hostedLinesPerSecondMax',
  'mqttSessionExpirySecondsMax',
  'mqttTopicAliasMaximum',
]);

/** What a length field of a protocol, or a stack, can hold. */
const MOST: Readonly<Partial<Record<LimitName, number>>> = {
  jsonDepthMax: 1_000,
  queryNestingMax: 256,
  queryJoinsDeepMax: 64,
  headerCountMax: 2_000,
  passwordCharsMin: 128,
  http2StreamsMax: 2 ** 31 - 1,
  mqttConnectBytesMax: 268_435_455,
  mqttPacketBytesMax: 268_435_455,
  mqttTopicCharsMax: 65_535,
  mqttKeepAliveSecondsMax: 65_535,
  mqttReceiveMaximum: 65_535,
  mqttSendMaximum: 65_535,
  mqttTopicAliasMaximum: 65_535,
  mqttSessionExpirySecondsMax: 2 ** 32 - 2,
  // Ten years; no timer runs so long, it is compared.
  tombstoneRetentionMs: 10 * 365 * 24 * 60 * 60 * 1000,
};

/** Timers of Node take no more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface LimitBounds {
  readonly least: number;
  readonly most: number;
}

export function limitBounds(name: LimitName): LimitBounds {
  const timer = /Ms(Max)?$/.test(name) ? TIMER_MS_MAX : Number.MAX_SAFE_INTEGER;
  return { least: ZERO_ALLOWED.has(name) ? 0 : 1, most: MOST[name] ?? timer };
}
