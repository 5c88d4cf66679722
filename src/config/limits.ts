/**
 * Every limit of the node: name, unit, default. It is set in `millrace.yaml` under `limits` by this
 * name, which also labels `millrace_limits_hit_total`. `limit-bounds.ts` says which of them cannot
 * be set, and within which bounds the others may be.
 *
 * `LIMITS` is what is in force. A thread takes over what is configured before it reads anything
 * else, once; so a limit is read where it is used, inside a function, and never kept by a module
 * (`test/tidy.test.ts` holds that). A global is the smaller evil here: half of these stand in pure
 * functions a dozen calls deep, and what was configured did not reach them for that reason.
 */
export const LIMIT_DEFAULTS = {
  /** Request body of a record write, bytes. */
  requestBodyBytesMax: 1024 * 1024,
  /** Bytes of another type than records have, stored as they come. */
  uploadBytesMax: 1024 * 1024 * 1024,
  /** Request body that is passed on to the origin of pages, bytes. */
  pageUploadBytesMax: 4 * 1024 * 1024 * 1024,
  /** Request head, bytes (node engine; uWS has its own). */
  headBytesMax: 16 * 1024,
  /** Path and query, bytes. */
  urlBytesMax: 8 * 1024,
  /** Memory the node may use before it sheds, bytes; 0: what its container or machine has. */
  memoryBytesMax: 0,
  /** File descriptors kept free of clients, for the admin port, origins and the store. */
  descriptorsReserved: 64,
  /** An event loop that stood still for so long ends the process, milliseconds; 0: never. */
  stuckMsMax: 3_500,
  /** Fields of a request head. */
  headerCountMax: 100,
  /** Time for a request head to arrive, seconds (node engine; uWS has its own 10 s). */
  headerTimeoutSeconds: 10,
  /** A request body may be slower than this rate for so long, seconds and bytes a second. */
  bodyGraceSeconds: 10,
  bodyBytesPerSecondMin: 1024,
  /** Requests sent ahead on one connection while an earlier one is answered. */
  pipelinedRequestsMax: 16,
  /** Streams of one HTTP/2 connection at once, and those reset within ten seconds. */
  http2StreamsMax: 128,
  http2ResetsMax: 200,
  /** Idle time of an HTTP connection, seconds. */
  idleTimeoutSeconds: 60,
  /** Open connections of the app port, of all threads; and of the admin port. */
  connectionsMax: 20_000,
  adminConnectionsMax: 256,
  /** Open connections of one address, and new ones a second; 127.0.0.1 and proxies are exempt. */
  connectionsPerAddressMax: 1_000,
  connectionsPerAddressSecondMax: 200,
  /** Requests a second of one address, with one credential, by one user; 0: not limited. */
  requestsPerAddressSecondMax: 0,
  requestsPerCredentialSecondMax: 0,
  requestsPerPrincipalSecondMax: 0,
  /** Seconds of its rate that a client may use at once after a pause. */
  rateBurstSeconds: 5,
  /** One WebSocket message from a client, bytes. */
  messageBytesMax: 1024 * 1024,
  /** One message of an origin's WebSocket that uWS relays to a client, bytes. */
  tunnelMessageBytesMax: 16 * 1024 * 1024,
  /** What an origin answers in the place of an upgrade, bytes. */
  refusedUpgradeBytesMax: 256 * 1024,
  /** Unsent bytes of one socket before it is treated as slow. */
  socketBufferBytesMax: 1024 * 1024,
  /** Nesting of a record, and properties of one with all that is in it, whatever its format. */
  jsonDepthMax: 64,
  jsonKeysMax: 10_000,
  /** A file of records that an application brings along, bytes. */
  seedFileBytesMax: 64 * 1024 * 1024,
  /**
   * Rows of one collection answer: when the request gives no limit, and at most, since answers are
   * streamed. What must have all of them in memory (formats that code makes) takes fewer.
   */
  collectionRowsDefault: 1_000,
  collectionRowsMax: 1_000_000,
  gatheredRowsMax: 10_000,
  /** A query: characters, conditions, depth of brackets, attributes of `select` and `sort`. */
  queryTextCharsMax: 16 * 1024,
  queryConditionsMax: 1_000,
  queryNestingMax: 32,
  querySelectMax: 256,
  /** Relationships within one another, in a name or in the braces of a `select`. */
  queryJoinsDeepMax: 8,
  /** Related records looked at, and bytes of them gathered, for one record of an answer. */
  queryRelatedMax: 10_000,
  queryRelatedBytesMax: 8 * 1024 * 1024,
  querySortKeysMax: 8,
  /** Rows and milliseconds that one query may look at and take, before it is refused. */
  queryRowsScannedMax: 1_000_000,
  queryMsMax: 10_000,
  /** Rows held to be sorted, bytes; and ids remembered to tell duplicates. */
  querySortBytesMax: 32 * 1024 * 1024,
  queryDuplicatesMax: 100_000,
  /** An answer that carries a cursor ends at the row which brings it beyond this, bytes. */
  queryCursorPageBytesMax: 4 * 1024 * 1024,
  /** Rows looked at, bytes gathered and milliseconds spent before other requests have a turn. */
  queryPageRowsMax: 256,
  queryPageBytesMax: 256 * 1024,
  queryTurnMsMax: 8,
  /**
   * Rows of a cache which one query has its origin asked for before it answers, how many at a time
   * and for how long, milliseconds; and stale rows refreshed behind one answer, and by a thread.
   */
  queryRefetchRowsMax: 100,
  /** Rows of an origin's list: at most, and those committed together. */
  listRowsMax: 100_000,
  listBatchRows: 500,
  queryRefetchConcurrency: 8,
  queryRefetchMsMax: 2_000,
  queryRefreshRowsMax: 100,
  queryRefreshesMax: 256,
  /** Records removed by one `DELETE` with a query. */
  deleteRowsMax: 10_000,
  /** An operation of the admin port: records written, named or answered, and bytes answered. */
  operationRecordsMax: 10_000,
  operationAnswerBytesMax: 64 * 1024 * 1024,
  /** Tries of a write that is judged by the record it replaces, when others write it meanwhile. */
  guardedWriteTriesMax: 64,
  /** A streamed upload: rows and bytes of one transaction, and transactions under way at once. */
  uploadBatchRowsMax: 500,
  uploadBatchBytesMax: 512 * 1024,
  uploadBatchesMax: 4,
  /** Rows that a streamed upload names as failed; the others are counted. */
  uploadErrorsMax: 20,
  /** Longest record key, bytes: 414 above. */
  recordKeyBytesMax: 1978,
  /** Names of users, roles and keys; characters. */
  nameCharsMax: 256,
  passwordCharsMin: 12,
  passwordCharsMax: 1_024,
  /** A token that is shown, characters. */
  tokenCharsMax: 8_192,
  /** Passwords hashed at once; those that wait, in all and of one address. */
  signInsConcurrency: 1,
  signInsWaitingMax: 64,
  signInsWaitingPerAddressMax: 4,
  /** Credentials being verified at once, a thread. */
  signInsVerifyingMax: 1_024,
  /** What OCSP responders said of client certificates, bytes a thread; a certificate takes 256. */
  ocspBytesMax: 1024 * 1024,
  /** Client certificates that are asked about at a time. */
  ocspAskingMax: 64,
  /** Failures and successes of sign-ins that are remembered, bytes of each. */
  signInTableBytesMax: 8 * 1024 * 1024,
  /** Verified credentials that a thread remembers, bytes; and for how long, seconds. */
  credentialsBytesMax: 8 * 1024 * 1024,
  credentialSecondsMax: 300,
  /** A browser stays signed in so long, seconds. */
  sessionSecondsMax: 43_200,
  /** The audit log: age in days, rows, events written at once and in the long run. */
  auditDaysMax: 90,
  auditRowsMax: 100_000,
  auditBurstMax: 500,
  auditPerSecondMax: 10,
  /** Rows of a system table that are listed. */
  systemRowsMax: 10_000,
  /** Time between two looks at the credentials of open connections, milliseconds. */
  standingCheckMs: 1_000,
  /** Subscriptions of one connection, and of one signed-in user on all of them, a thread. */
  subscriptionsPerConnectionMax: 1_000,
  subscriptionsPerPrincipalMax: 10_000,
  /** Writes of one socket at `/live` that are under way, and bytes of them. */
  liveWritesUnderWayMax: 256,
  liveWriteBytesUnderWayMax: 4 * 1024 * 1024,
  /** Resources whose presence is followed on one thread. */
  presencesFollowedMax: 10_000,
  /** Time in which changes of a presence are gathered, milliseconds. */
  presenceGatherMs: 200,
  /** One message that an operator sends to everybody, bytes. */
  broadcastBytesMax: 64 * 1024,
  /** Changes replayed to a resuming subscriber before it is told `reset`. */
  replayEntriesMax: 100_000,
  /** Changes read from the log at a time. */
  changeBatchMax: 256,
  /** Changed records that a subscriber without room is owed; more are read when it drains. */
  conflatedRecordsMax: 10_000,
  /** Messages held for one subscriber which is behind, bytes. */
  pendingMessageBytesMax: 256 * 1024,
  /** One `snapshot` event: bytes, rows, rows looked at for it, ids taken from an index at once. */
  snapshotChunkBytesMax: 64 * 1024,
  snapshotChunkRowsMax: 500,
  snapshotScanRowsMax: 2_000,
  snapshotIndexIdsMax: 10_000,
  /** Changes of the past that a subscription may begin with. */
  historyEventsMax: 1_000,
  /**
   * The last row that a subscription with `limit()` shows, the bytes of rows held for one such
   * query, and such queries of a thread.
   */
  windowRowsMax: 500,
  windowBytesMax: 4 * 1024 * 1024,
  windowsOfThreadMax: 1_000,
  /**
   * Records that subscribers who see a part of a table are remembered to have been shown: by one
   * subscription, and by all of a thread. Beyond it what is not certain is told by a `reset`.
   */
  shownRecordsMax: 20_000,
  shownRecordsOfThreadMax: 1_000_000,
  /** Encoded snapshots kept for those who join together, bytes. */
  snapshotCacheBytesMax: 16 * 1024 * 1024,
  /** Times that a snapshot is begun again because the log was trimmed past it. */
  snapshotRestartsMax: 2,
  /** Longest stretch of the fan-out before sockets are served again, milliseconds. */
  feedTurnMsMax: 4,
  /** Bytes waiting for one socket above which its subscriptions are conflated. */
  socketConflateBytesMax: 128 * 1024,
  /** Sockets that follow the same before they are sent to by one call of the engine. */
  crowdMembersMin: 2,
  /** Crowds of those who follow the same: one for each encoding and name given to it. */
  crowdsOfTopicMax: 8,
  /** Crowds that one socket is in; each may bring it its part of `socketConflateBytesMax`. */
  crowdsOfSocketMax: 4,
  /** Time between two signs of life on a silent event stream, seconds. */
  streamHeartbeatSeconds: 15,
  /** Shared before/after ring, bytes. */
  changeRingBytes: 32 * 1024 * 1024,
  /** Change log: age in days, bytes and entries, whichever is reached first. */
  logDaysMax: 3,
  /** For so long a deletion is remembered, and a node that is away may come back as it was. */
  tombstoneRetentionMs: 30 * 24 * 60 * 60 * 1000,
  logBytesMax: 1024 * 1024 * 1024,
  logEntriesMax: 10_000_000,
  /** Invalidation scopes held in shared memory. */
  scopesMax: 65_536,
  /** Write queue: age in milliseconds and bytes. */
  writeQueueAgeMsMax: 5_000,
  writeQueueBytesMax: 64 * 1024 * 1024,
  /** Operations of one commit. */
  commitOpsMax: 4_096,
  /** Bodies above this are kept apart from their entry, bytes. */
  inlineBodyBytesMax: 64 * 1024,
  /** Rules of one cache policy. */
  policyRulesMax: 64,
  /** A body larger than this is kept in a file of its own, bytes. */
  fileBodyBytesMin: 1024 * 1024,
  /** Bytes of a body that wait to be written to its file, and bytes read from it at a time. */
  bodyWindowBytes: 1024 * 1024,
  bodyReadBytes: 256 * 1024,
  /** Free disk: below the soft mark fills stop, below the hard mark writes are answered 507. */
  diskSoftFreeBytes: 512 * 1024 * 1024,
  diskHardFreeBytes: 128 * 1024 * 1024,
  /** Longest read transaction, milliseconds. */
  readTransactionMsMax: 50,
  /** Entries popped from the expiry index at a time, and the time for it in milliseconds. */
  expiryBatchMax: 1_000,
  expiryBudgetMs: 10,
  /** Clients waiting for one fetch. */
  waitersMax: 10_000,
  /** Longest fetch from an origin, whatever the origin's own deadline, milliseconds. */
  fetchMsMax: 60_000,
  /** Failures of origins remembered for their back-off window, bytes a table. */
  failureMarkersBytes: 1024 * 1024,
  /** Time for a resource of the application to answer, and between two rows of it, milliseconds. */
  resourceMsMax: 30_000,
  /** Time for a graceful stop, milliseconds. */
  drainMsMax: 8_000,
  /** Purges that the node remembers for its operators. */
  purgeLogMax: 1_000,
  accessLogCharsMax: 4 * 1024 * 1024,
  purgeRowsMax: 100_000,
  /** Group names of one origin reply. */
  groupsPerEntryMax: 256,
  /** Calls to one origin that one turn of the event loop begins: others have a turn between. */
  originCallsPerTurnMax: 4,
  /** Replies of origins that one turn takes, and answers it gives to those who waited for them. */
  fetchesPerTurnMax: 4,
  /** Replicas of one origin. */
  originReplicasMax: 32,
  /** Redirects followed for one request to an origin. */
  originRedirectsMax: 3,
  /** Head of an origin's reply, bytes. */
  originHeadBytesMax: 64 * 1024,
  /** Interim responses (103 and others) before one final reply. */
  originInterimsMax: 32,
  /** Longest wait for a renderer that this node runs to answer after a start, milliseconds. */
  hostedReadyMsMax: 30_000,
  /** Time it gets between being asked to end and being killed, milliseconds. */
  hostedStopMsMax: 3_000,
  /** Longest pause before it is started again, and the time after which it counts as well. */
  hostedPauseMsMax: 30_000,
  /** Characters of one line it writes; a longer one is logged in pieces. */
  hostedLineCharsMax: 16 * 1024,
  /** Lines a second of each of its two outputs that are logged; the others are counted. */
  hostedLinesPerSecondMax: 500,
  /** Interim responses (and their bytes) which one client is sent ahead of one answer. */
  interimsMax: 32,
  interimBytesMax: 16 * 1024,
  /** Longest time for one body of a page, to or from its origin, milliseconds. */
  originBodyMsMax: 3_600_000,
  /** Decoded bytes allowed for each received, for bodies that decode to more than the floor. */
  originDecompressionRatioMax: 250,
  originDecompressionFloorBytes: 1024 * 1024,
  /** One line and one event of an origin's event stream, bytes. */
  feedLineBytesMax: 1024 * 1024,
  feedEventBytesMax: 4 * 1024 * 1024,
  /** Writes of one transaction event of an origin's feed. */
  feedTransactionWritesMax: 10_000,
  /** Time in which a client sends CONNECT, milliseconds, and its length, bytes. */
  mqttConnectMsMax: 5_000,
  mqttConnectBytesMax: 64 * 1024,
  /** One packet of an MQTT client that has signed in, bytes. */
  mqttPacketBytesMax: 256 * 1024,
  mqttTopicCharsMax: 1_024,
  mqttFiltersPerPacketMax: 100,
  mqttSubscriptionsPerSessionMax: 1_000,
  /** Connections of the MQTT ports, and sessions with and without one. */
  mqttConnectionsMax: 10_000,
  mqttSessionsMax: 100_000,
  /** Sessions of one user, and of clients without one those of an address that are to be kept. */
  mqttSessionsPerPrincipalMax: 10_000,
  /** Longest time for which a session is kept without its client, seconds. */
  mqttSessionExpirySecondsMax: 86_400,
  /** Longest keep alive; a client of 5.0 that asks for more, or for none, is told. Seconds. */
  mqttKeepAliveSecondsMax: 60,
  /** Messages of QoS 1 and 2 in flight: from a client, and to one whatever it allows. */
  mqttReceiveMaximum: 1_024,
  mqttSendMaximum: 64,
  mqttTopicAliasMaximum: 32,
  /** Publishes of one client whose commits are under way, and bytes of them. */
  mqttPublishesUnderWayMax: 256,
  mqttPublishBytesUnderWayMax: 4 * 1024 * 1024,
  /** Connections of the replication port, and those among them which have not signed in yet. */
  replicationConnectionsMax: 128,
  /** Time to open a connection to another node and prove who one is, milliseconds. */
  replicationDialMsMax: 5_000,
  /** One frame between nodes, bytes. */
  replicationFrameBytesMax: 8 * 1024 * 1024,
  /** Bytes sent to another node that it has not taken: above, the connection is given up. */
  replicationBufferBytesMax: 32 * 1024 * 1024,
  /** Longest wait for other nodes to confirm a write or a purge, milliseconds. */
  replicationConfirmMsMax: 5_000,
  /** Changes sent to another node and not acknowledged, and one batch of them, bytes. */
  replicationWindowBytes: 2 * 1024 * 1024,
  replicationBatchBytesMax: 256 * 1024,
  /** Transactions that are larger come in several batches. */
  replicationTransactionBytesMax: 4 * 1024 * 1024,
  /** A pull from another node that neither moves nor is at the end is begun anew, milliseconds. */
  replicationStallMsMax: 5_000,
  /** Longest wait between two attempts to reach another node, milliseconds. */
  replicationRedialMsMax: 1_000,
  /** About so often digests are compared with each other node, milliseconds. */
  replicationVerifyMs: 300_000,
  /** A stamp of another node this far ahead of the clock is not taken, milliseconds. */
  clockAheadMsMax: 60_000,
} as const;

export type LimitName = keyof typeof LIMIT_DEFAULTS;
export type Limits = Readonly<Record<LimitName, number>>;

/** The limits in force in this thread. */
export let LIMITS: Limits = Object.freeze({ ...LIMIT_DEFAULTS });

/** Puts configured limits in force; before anything that is bounded by one is made. */
export function adoptLimits(configured: Limits): void {
  LIMITS = Object.freeze({ ...configured });
}
