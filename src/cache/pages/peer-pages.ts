/**
 * Pages between the caches of two nodes (`cluster.shield`): an origin before which other nodes are
 * asked, and what this node's cache tells others of a page. As with records (`../peer-reads.ts`) a
 * page is never fresh for longer than it is where it came from, and says how old it is; the lines
 * of its head travel as they are stored.
 */
import { createBoundedCache } from '../../base/bounded-cache.ts';
import {
  type DurationMs,
  durationMs,
  type EpochMs,
  later,
  type Sequence,
  type TableName,
} from '../../base/brands.ts';
import type { Entry } from '../entry.ts';
import { plus } from '../freshness.ts';
import { failureOf, toldOf } from '../peer-reads.ts';
import {
  NO_REPLY,
  type PeerReads,
  type PeerRecord,
  type PeerReply,
  UNSHARED,
} from '../peer-reply.ts';
import { fieldOf } from './fields.ts';
import type { ArrivingBody, PageOrigin, PageOriginReply, PageOriginRequest } from './ports.ts';
import { decodeFields } from './stored-fields.ts';

export interface PeerPagesParts {
  readonly origin: PageOrigin;
  readonly table: TableName;
  readonly peers: PeerReads;
  readonly stamp: () => Sequence;
  readonly now: () => EpochMs;
  /** How long a page that others may not have is not asked of them. */
  readonly unsharedFor: () => DurationMs;
}

/** Memory for the keys of pages that are not for others. */
const UNSHARED_BYTES = 1024 * 1024;

/** An origin of pages before which the caches of other nodes are asked. */
export function pagesBehindPeers(parts: PeerPagesParts): PageOrigin {
  const { origin, table, peers, stamp, now } = parts;
  const unshared = createBoundedCache<{ readonly until: EpochMs }>('unshared', UNSHARED_BYTES);
  return {
    name: origin.name,
    upgrade: (request) => origin.upgrade(request),
    close: () => origin.close(),
    async fetch(request) {
      const { shared } = request;
      const requestedAt = now();
      const isShared = shared !== undefined && !(requestedAt < untilOf(unshared.get(shared.id)));
      const page = isShared ? shared.asked() : undefined;
      if (!isShared || page === undefined) return origin.fetch(request);
      const { id, tag } = shared;
      const reply = await peers.ask({ table, id, tag, page, stamp: stamp() }, request.signal);
      if (reply.kind === 'unshared') {
        unshared.set(id, { until: later(now(), parts.unsharedFor()) }, id.length + KEY_BYTES);
      }
      if (reply.kind === 'failed') throw failureOf(reply);
      return pageReply(reply, request, { requestedAt, receivedAt: now() }) ?? origin.fetch(request);
    },
  };
}

const KEY_BYTES = 128;

const untilOf = (mark: { readonly until: EpochMs } | undefined): number => mark?.until ?? 0;

/** `undefined`: nobody had it. */
function pageReply(
  reply: PeerReply,
  { shared }: PageOriginRequest,
  at: Pick<PageOriginReply, 'requestedAt' | 'receivedAt'>,
): PageOriginReply | undefined {
  if (reply.kind !== 'found' && reply.kind !== 'unchanged') return undefined;
  const isUnchanged = reply.kind === 'unchanged';
  if (isUnchanged ? shared?.tag === undefined : reply.body === undefined) return undefined;
  return {
    status: isUnchanged ? 304 : reply.status,
    fields: decodeFields(reply.fieldLines),
    ...at,
    body: heldBody(reply.body ?? NO_BYTES),
    judged: {
      age: durationMs(reply.ageMs),
      // Counted from when it was asked for: on its way it became no fresher.
      freshUntil: plus(at.requestedAt, durationMs(reply.freshMs)),
    },
  };
}

const NO_BYTES = new Uint8Array(0);

/** A body that has come already. */
const heldBody = (bytes: Uint8Array): ArrivingBody => ({
  length: bytes.length,
  trailers: [],
  cancel() {},
  async *[Symbol.asyncIterator]() {
    if (bytes.length > 0) yield bytes;
  },
});

/**
 * What another node is told of a stored page. One that is not fresh is `none`; one that sets
 * cookies, is a part, or lies in a file, is nobody else's.
 */
export function pageForPeer(entry: Entry, now: EpochMs, tag: string | undefined): PeerReply {
  if (entry.kind !== 'record' || entry.freshUntil <= now) return NO_REPLY;
  const { fieldLines } = entry.meta;
  if (entry.status === 206 || entry.storedBody !== undefined || entry.mustValidate) return UNSHARED;
  if (fieldOf(decodeFields(fieldLines), 'set-cookie') !== undefined) return UNSHARED;
  const told: PeerRecord = toldOf(entry, now, tag);
  return { ...told, fieldLines };
}
