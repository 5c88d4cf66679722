/**
 * What a node asks of the caches of others before it asks an origin (`cluster.shield`), and what
 * they answer: plain data, for threads and connections. Times are spans, since clocks differ; an
 * answer is never fresh for longer than it is where it came from, and says how old it is.
 */
import {
  type DurationMs,
  deltaSeconds,
  durationMs,
  type EntityTag,
  type EpochMs,
  type RecordId,
  type Sequence,
  type TableName,
} from '../base/brands.ts';
import { type ErrorCode, NodeError } from '../base/errors.ts';
import { NO_RESPONSE_DIRECTIVES, type ResponseDirectives } from './directives.ts';
import { type Entry, FOREVER } from './entry.ts';
import { currentAge, plus } from './freshness.ts';
import type { Origin, OriginReply, OriginRequest, ReplyFacts } from './ports.ts';

export interface PeerMiss {
  readonly table: TableName;
  readonly id: RecordId;
  /** What is held and may be confirmed. */
  readonly tag?: EntityTag | undefined;
  /** The newest sequence of this node when it asks: what it had invalidated is not to come back. */
  readonly stamp: Sequence;
}

export interface PeerRecord {
  /** `unchanged`: what was named by its tag holds. */
  readonly kind: 'found' | 'absent' | 'unchanged';
  readonly status: number;
  readonly body?: Uint8Array | undefined;
  readonly tag?: string | undefined;
  readonly contentType?: string | undefined;
  readonly originTag?: string | undefined;
  readonly lastModified?: number | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly ageMs: number;
  readonly freshMs: number;
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  readonly staleForbidden: boolean;
}

/** Failures of which the origin itself is the cause: it would answer nobody else better. */
export const SHARED_FAILURES = [
  'ORIGIN_BODY_INVALID',
  'ORIGIN_BODY_TOO_LARGE',
  'ORIGIN_STATUS',
  'ORIGIN_TIMED_OUT',
] as const satisfies readonly ErrorCode[];

export interface PeerFailure {
  readonly kind: 'failed';
  readonly code: (typeof SHARED_FAILURES)[number];
  readonly message: string;
  readonly status?: number | undefined;
}

/** `none`: ask the origin. */
export type PeerReply = { readonly kind: 'none' } | PeerFailure | PeerRecord;

export const NO_REPLY: PeerReply = Object.freeze({ kind: 'none' });

/** The caches of other nodes; never rejects. */
export interface PeerReads {
  ask(miss: PeerMiss, signal: AbortSignal): Promise<PeerReply>;
}

/** Of a node that is in no cluster, or has not begun to take part. */
export const NO_PEERS: PeerReads = { ask: () => Promise.resolve(NO_REPLY) };

export interface PeerOriginParts {
  readonly origin: Origin;
  readonly table: TableName;
  readonly peers: PeerReads;
  readonly stamp: () => Sequence;
  readonly now: () => EpochMs;
}

/** An origin before which the caches of other nodes are asked. */
export function behindPeers(parts: PeerOriginParts): Origin {
  const { origin, table, peers } = parts;
  return {
    name: origin.name,
    async fetch(request) {
      if (request.peersMayAnswer !== true) return origin.fetch(request);
      const requestedAt = parts.now();
      const { id } = request;
      const miss: PeerMiss = { table, id, tag: heldTag(request), stamp: parts.stamp() };
      const reply = await peers.ask(miss, request.signal);
      if (reply.kind === 'failed') throw failureOf(reply);
      if (reply.kind === 'none') return origin.fetch(request);
      return originReply(reply, { requestedAt, receivedAt: parts.now() });
    },
  };
}

/** An entry whose body is in memory: what was confirmed is stored anew with it. */
const heldTag = ({ conditional, replacing }: OriginRequest): EntityTag | undefined =>
  conditional ? replacing?.entityTag : undefined;

/** Failures of an origin are the same for all who would ask it. */
function failureOf({ code, message, status }: PeerFailure): NodeError {
  return new NodeError(code, message, {
    blame: 'origin',
    retry: 'later',
    details: status === undefined ? {} : { status },
  });
}

function originReply(
  record: PeerRecord,
  at: Pick<ReplyFacts, 'requestedAt' | 'receivedAt'>,
): OriginReply {
  const { body, status, originTag, lastModified, groups, contentType } = record;
  const facts: ReplyFacts = {
    ...{ status, ...at, directives: directivesOf(record), isJudged: true },
    age: durationMs(record.ageMs),
    // Counted from when it was asked for: on its way it became no fresher.
    freshUntil: plus(at.requestedAt, durationMs(record.freshMs)),
    ...(originTag != null && { entityTag: originTag as EntityTag }),
    ...(lastModified != null && { lastModified: lastModified as EpochMs }),
    ...(groups != null && { groups }),
    ...(contentType != null && { contentType }),
  };
  if (record.kind === 'unchanged') return { kind: 'notModified', facts };
  if (record.kind === 'absent' || body === undefined) return { kind: 'absent', facts };
  return { kind: 'found', body, facts };
}

const directivesOf = (record: PeerRecord): ResponseDirectives => ({
  ...NO_RESPONSE_DIRECTIVES,
  mustRevalidate: record.staleForbidden,
  staleWhileRevalidate: deltaSeconds(Math.floor(record.whileRevalidateMs / 1_000)),
  staleIfError: deltaSeconds(Math.floor(record.ifErrorMs / 1_000)),
});

/** What another node is told of a failure. */
export function failureForPeer({ code, message, details }: NodeError): PeerReply {
  const shared = SHARED_FAILURES.find((one) => one === code);
  if (shared === undefined) return NO_REPLY;
  const { status } = details;
  return {
    ...{ kind: 'failed', code: shared, message: message.slice(0, 500) },
    ...(typeof status === 'number' && { status }),
  };
}

/** What another node is told of an entry; `none` of one that it could not use. */
export function recordForPeer(entry: Entry, now: EpochMs, tag: string | undefined): PeerReply {
  const freshMs = spanUntil(entry.freshUntil, now);
  const isHeld = entry.kind === 'record' || entry.kind === 'negative';
  if (!isHeld || freshMs <= 0 || entry.storedBody !== undefined || entry.mustValidate) {
    return NO_REPLY;
  }
  const { status, contentType, meta, staleForbidden, freshUntil } = entry;
  const isUnchanged = entry.kind === 'record' && tag === entry.entityTag;
  const hasBody = entry.kind === 'record' && !isUnchanged;
  return {
    ...{ kind: kindOf(entry, isUnchanged), status, contentType, tag: entry.entityTag },
    ...(hasBody && { body: entry.retain().body }),
    ...{ originTag: meta.originTag, lastModified: meta.lastModified, groups: meta.groups },
    ...{ ageMs: currentAge(entry, now), freshMs },
    // Windows are counted from the end of freshness.
    whileRevalidateMs: spanUntil(entry.staleWhileRevalidateUntil, freshUntil),
    ifErrorMs: spanUntil(entry.staleIfErrorUntil, freshUntil),
    staleForbidden,
  };
}

function kindOf({ kind }: Entry, isUnchanged: boolean): PeerRecord['kind'] {
  if (kind === 'negative') return 'absent';
  return isUnchanged ? 'unchanged' : 'found';
}

/** Spans without an end stay so. */
const spanUntil = (until: EpochMs, from: EpochMs): DurationMs =>
  durationMs(until === FOREVER ? FOREVER : Math.max(0, until - from));
