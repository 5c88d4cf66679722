/**
 * The limits that the matrix of protocols and limits has no row of, and why: they bound what the
 * node does by itself, they only make a client wait or take turns, or they belong to one protocol
 * and are reached where that is tested. A limit which is in neither makes `b080-limits` fail:
 * whoever adds one says where it holds.
 */
import type { LimitName } from '../../src/config/limits.ts';

const because = (why: string, names: readonly LimitName[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, why]));

export const limitsElsewhere: Readonly<Record<string, string>> = {
  ...because('of all clients together, or a rate: on nodes of their own, b084-full-doors', [
    ...(['connectionsMax', 'connectionsPerAddressSecondMax'] as const),
    ...(['adminConnectionsMax', 'mqttConnectionsMax'] as const),
  ]),
  ...because('the machine: under it everything is shed, whatever the protocol: c085-guards', [
    ...(['memoryBytesMax', 'descriptorsReserved', 'stuckMsMax'] as const),
    ...(['diskSoftFreeBytes', 'diskHardFreeBytes'] as const),
  ]),
  ...because('how long one waits; nothing is refused at it', [
    ...(['bodyGraceSeconds', 'rateBurstSeconds', 'drainMsMax', 'standingCheckMs'] as const),
    ...(['streamHeartbeatSeconds', 'presenceGatherMs', 'idleTimeoutSeconds'] as const),
  ]),
  ...because('a stream of HTTP/2 is a request like others; floods of resets: c081-tls', [
    ...(['http2StreamsMax', 'http2ResetsMax'] as const),
  ]),
  ...because('requests sent ahead wait in the socket: c082-framing-corpus', [
    'pipelinedRequestsMax',
  ]),
  ...because('pages: bodies and sockets on their way to and from an origin: c050-large-pages', [
    ...(['pageUploadBytesMax', 'tunnelMessageBytesMax', 'refusedUpgradeBytesMax'] as const),
    ...([
      'interimsMax',
      'interimBytesMax',
      'originBodyMsMax',
      'purgeLogMax',
      'purgeRowsMax',
    ] as const),
  ]),
  ...because('a slow reader is owed the latest state instead of being refused: feed/SPEC.md', [
    ...(['socketBufferBytesMax', 'socketConflateBytesMax', 'conflatedRecordsMax'] as const),
    ...(['pendingMessageBytesMax', 'replayEntriesMax', 'changeBatchMax'] as const),
    ...(['snapshotChunkBytesMax', 'snapshotChunkRowsMax', 'snapshotScanRowsMax'] as const),
    ...(['snapshotIndexIdsMax', 'snapshotCacheBytesMax', 'snapshotRestartsMax'] as const),
    ...(['windowBytesMax', 'windowsOfThreadMax', 'shownRecordsMax'] as const),
    ...(['shownRecordsOfThreadMax', 'historyEventsMax', 'feedTurnMsMax'] as const),
    ...(['crowdMembersMin', 'crowdsOfTopicMax', 'crowdsOfSocketMax'] as const),
    ...(['presencesFollowedMax', 'broadcastBytesMax'] as const),
  ]),
  ...because('writes of /live wait for one another: c090-live', [
    ...(['liveWritesUnderWayMax', 'liveWriteBytesUnderWayMax'] as const),
  ]),
  ...because('the work of a query in turns, and what it fetches meanwhile; no refusal', [
    ...(['collectionRowsDefault', 'queryPageRowsMax', 'queryPageBytesMax'] as const),
    ...(['queryTurnMsMax', 'queryCursorPageBytesMax', 'queryRefetchRowsMax'] as const),
    ...(['queryRefetchConcurrency', 'queryRefetchMsMax', 'queryRefreshRowsMax'] as const),
    ...(['queryRefreshesMax', 'guardedWriteTriesMax'] as const),
  ]),
  ...because('a budget of the one reader that all protocols share; unit tests of table/query', [
    ...(['queryMsMax', 'querySortBytesMax', 'queryDuplicatesMax'] as const),
    ...(['queryRelatedMax', 'queryRelatedBytesMax', 'gatheredRowsMax'] as const),
    ...(['operationAnswerBytesMax', 'systemRowsMax'] as const),
  ]),
  ...because('parts of an upload, whose bytes have uploadBytesMax', [
    ...(['uploadBatchRowsMax', 'uploadBatchBytesMax'] as const),
    ...(['uploadBatchesMax', 'uploadErrorsMax', 'bodyWindowBytes', 'bodyReadBytes'] as const),
    ...(['inlineBodyBytesMax', 'fileBodyBytesMin'] as const),
  ]),
  ...because('users and sign-ins, the same whatever the protocol: c097-one-user, b072-signing-in', [
    ...(['nameCharsMax', 'passwordCharsMin', 'passwordCharsMax', 'tokenCharsMax'] as const),
    ...(['signInsConcurrency', 'signInsWaitingMax', 'signInsWaitingPerAddressMax'] as const),
    ...(['signInsVerifyingMax', 'ocspBytesMax', 'ocspAskingMax'] as const),
    ...(['signInTableBytesMax', 'credentialsBytesMax'] as const),
    ...(['credentialSecondsMax', 'sessionSecondsMax'] as const),
  ]),
  ...because('logs: what is too much is dropped and counted', [
    ...(['auditDaysMax', 'auditRowsMax', 'auditBurstMax', 'auditPerSecondMax'] as const),
    ...(['accessLogCharsMax', 'hostedLineCharsMax', 'hostedLinesPerSecondMax'] as const),
  ]),
  ...because('the store and its logs', [
    ...(['changeRingBytes', 'logDaysMax', 'tombstoneRetentionMs', 'logBytesMax'] as const),
    ...(['logEntriesMax', 'scopesMax', 'writeQueueAgeMsMax', 'writeQueueBytesMax'] as const),
    ...(['commitOpsMax', 'readTransactionMsMax', 'expiryBatchMax', 'expiryBudgetMs'] as const),
  ]),
  ...because('origins, renderers and the code of the application', [
    ...(['waitersMax', 'fetchMsMax', 'failureMarkersBytes', 'resourceMsMax'] as const),
    ...(['groupsPerEntryMax', 'originCallsPerTurnMax', 'fetchesPerTurnMax'] as const),
    ...(['originReplicasMax', 'originRedirectsMax', 'originHeadBytesMax'] as const),
    ...(['originInterimsMax', 'hostedReadyMsMax', 'hostedStopMsMax'] as const),
    ...(['hostedPauseMsMax', 'originDecompressionRatioMax'] as const),
    ...(['originDecompressionFloorBytes', 'feedLineBytesMax', 'feedEventBytesMax'] as const),
    ...(['feedTransactionWritesMax', 'listRowsMax', 'listBatchRows'] as const),
    ...(['policyRulesMax', 'seedFileBytesMax'] as const),
  ]),
  ...because('what MQTT tells a client in CONNACK, or makes it wait for: c093-mqtt-wishes', [
    ...(['mqttSessionExpirySecondsMax', 'mqttKeepAliveSecondsMax'] as const),
    ...(['mqttReceiveMaximum', 'mqttSendMaximum', 'mqttTopicAliasMaximum'] as const),
    ...(['mqttPublishesUnderWayMax', 'mqttPublishBytesUnderWayMax'] as const),
  ]),
  ...because('between nodes, which show certificates: test/cluster', [
    ...(['replicationConnectionsMax', 'replicationDialMsMax', 'replicationFrameBytesMax'] as const),
    ...(['replicationBufferBytesMax', 'replicationConfirmMsMax'] as const),
    ...(['replicationWindowBytes', 'replicationBatchBytesMax'] as const),
    ...(['replicationTransactionBytesMax', 'replicationStallMsMax'] as const),
    ...(['replicationRedialMsMax', 'replicationVerifyMs', 'clockAheadMsMax'] as const),
  ]),
};
