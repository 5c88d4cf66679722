/**
 * Bounds that are parts of the protocol between nodes or of how its code takes turns. Nobody gains
 * by setting them, and both ends of a connection must agree on the first group; what an operator
 * may set stands in `config/limits.ts`.
 */
export const BOUNDS = {
  // What one frame may hold.
  nameChars: 256,
  keyChars: 2_048,
  urlChars: 512,
  urls: 16,
  reasonChars: 1_024,
  /** Names of nodes, those that have left among them. */
  names: 1_024,
  /** Authors: every start after a loss makes one. */
  cursors: 4_096,
  tables: 4_096,
  rules: 1_024,
  items: 4_096,
  rows: 1_024,
  buckets: 4_096,
  groups: 1_024,
  /** Of a page: names and values of its head, and all of them as one text. */
  fieldLines: 1_024,
  fieldLinesChars: 64 * 1024,
  attributes: 10_000,
  // How work is cut up.
  logPage: 512,
  logStep: 64,
  /** Entries to the end of the log that one batch takes, so that it shows whole transactions. */
  logEnd: 1_024,
  pageRows: 512,
  /** Pages of the log, or batches, before others get their turn. */
  turnPages: 16,
  /** Frames of a newcomer that wait for the word whether it may stay. */
  earlyFrames: 64,
  /** Batches received that wait for the clock. */
  batchesWaiting: 256,
  beats: 16,
  /** Invalidations that took effect ahead of their place and are remembered. */
  aheadMarks: 16_384,
  sessionsOfPeer: 3,
  /** Attempts to reach one address at a time. */
  dialsUnderWay: 4,
  /** Buckets whose rows are compared at a time by a node that was away. */
  bucketsCompared: 512,
  /** Bodies of rows that are fetched at a time, and those that wait for it. */
  bodiesUnderWay: 2,
  bodiesWanted: 4_096,
  /** Records of caches that one node is asked for at a time. */
  missesUnderWay: 512,
  /** Invalidations ahead of their place that a question names. */
  missMarks: 256,
  /** Of two fills of a cache whose replies came so close together neither counts as the later. */
  entryDoubtMs: 1_000,
  /** A record that is larger is fetched from the origin. */
  missBodyBytes: 2 * 1024 * 1024,
  /** Homes that are asked before the origin, and nodes which may happen to hold a record. */
  homesAsked: 2,
  peeks: 2,
  // Times, milliseconds.
  tickMs: 250,
  beatMs: 1_000,
  /** What is stamped ahead of the clock is asked for again after so long. */
  heldMs: 5_000,
  /** The same of a page of rows: the clock may be right, and the rows not yet stamped anew. */
  heldPageMs: 1_000,
  settleMs: 2_000,
  laterMs: 1_000,
  /** Who would be served is to ask again, when cursors are just being raised. */
  raisingMs: 200,
  /** Time for the server to find its place in the log. */
  openMs: 30_000,
  /** A reply that has not come by then was lost. */
  replyMs: 30_000,
  probeMs: 1_500,
  /** Time for a piece of a body, and until one that nobody had is asked for again. */
  bodyPieceMs: 30_000,
  bodyAgainMs: 1_000,
  helloMs: 5_000,
  redialMs: 100,
  /** A node that is silent for so long is dialled anew, beside the connections to it. */
  silentMs: 2_500,
  /** An attempt that is not answered by then is not waited for: there is another one beside it. */
  dialAgainMs: 1_500,
  refusedMs: 5_000,
  /** Who refuses a node for its name says so again within this time, if it is still so. */
  nameTakenMs: 20_000,
  /** How long the streams stay as they are after it changed who is pulled from directly. */
  directMs: 500,
  bootstrapMs: 2_000,
  /** A node that is joining waits so long for one that tells it what there is. */
  aloneMs: 10_000,
  /** A node remembers at least so often that it is there. */
  aliveMs: 3_600_000,
  /** A home that has not said by then that it heard a question is slow: the next one is asked. */
  missHeardMs: 1_000,
  /** Time for the others to say whether they hold a record. */
  peekMs: 150,
  /** Messages to the backbone that are not acknowledged yet, and the wait after a failed one. */
  newsUnderWay: 32,
  /** A transaction that is larger comes in several messages, or from peers. */
  newsBytes: 4 * 1024 * 1024,
  publishAgainMs: 1_000,
  /** What was published comes within so long, or is asked of peers. */
  backboneMs: 3_000,
  /** The place in the stream is remembered so often, where nothing that came remembers it. */
  placeKeptMs: 10_000,
  /** Time for a home to hear of the invalidations which the asker has obeyed. */
  missKnownMs: 2_000,
} as const;
