/**
 * An origin before which the caches of other nodes stand (`cluster.shield`), and what this node's
 * cache tells others: an answer is never fresh for longer than it is where it came from, and says
 * how old it is.
 */
import {
  type DurationMs,
  deltaSeconds,
  durationMs,
  type EntityTag,
  type EpochMs,
  type Sequence,
  type TableName,
} from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { NO_RESPONSE_DIRECTIVES, type ResponseDirectives } from './directives.ts';
import { type Entry, FOREVER } from './entry.ts';
import { currentAge, plus } from './freshness.ts';
import {
  NO_REPLY,
  type PeerFailure,
  type PeerMiss,
  type PeerReads,
  type PeerRecord,
  type PeerReply,
  SHARED_FAILURES,
} from './peer-reply.ts';
import type { Origin, OriginReply, OriginRequest, ReplyFacts } from './ports.ts';

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
      if (reply.kind === 'none' || reply.kind === 'unshared') return origin.fetch(request);
      return originReply(reply, { requestedAt, receivedAt: parts.now() });
    },
  };
}

/** An entry whose body is in memory: what was confirmed is stored anew with it. */
const heldTag = ({ conditional, replacing }: OriginRequest): EntityTag | undefined =>
  conditional ? replacing?.entityTag : undefined;

/** Failures of an origin are the same for all who would ask it. */
export function failureOf({ code, message, status }: PeerFailure): NodeError {
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
  if (entry.isLocal === true) return NO_REPLY;
  if (!isHeld || freshMs <= 0 || entry.storedBody !== undefined || entry.mustValidate) {
    return NO_REPLY;
  }
  return toldOf(entry, now, tag);
}

/** What is told of every entry, be it a record or a page. */
export function toldOf(entry: Entry, now: EpochMs, tag: string | undefined): PeerRecord {
  const { status, contentType, meta, staleForbidden, freshUntil } = entry;
  const isUnchanged = entry.kind === 'record' && tag === entry.entityTag;
  const hasBody = entry.kind === 'record' && !isUnchanged;
  const freshMs = spanUntil(freshUntil, now);
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
