/** What one cache hands another: never fresh for longer, never younger, nothing that is private. */
import { describe, expect, it } from 'vitest';
import {
  durationMs,
  epochMs,
  type RecordId,
  sequence,
  tableName,
} from '../../../src/base/brands.ts';
import { NodeError } from '../../../src/base/errors.ts';
import { FOREVER } from '../../../src/cache/entry.ts';
import { behindPeers, failureForPeer, recordForPeer } from '../../../src/cache/peer-reads.ts';
import { NO_REPLY, type PeerMiss, type PeerReply } from '../../../src/cache/peer-reply.ts';
import type { OriginReply } from '../../../src/cache/ports.ts';
import { makeEntry } from '../../support/entries.ts';

const table = tableName('data.Kept');
const NOW = epochMs(1_000_000);
const own: OriginReply = {
  kind: 'absent',
  facts: {
    status: 404,
    requestedAt: NOW,
    receivedAt: NOW,
    directives: {} as never,
    age: durationMs(0),
  },
};

interface Asking {
  readonly reply: PeerReply;
  readonly peersMayAnswer?: boolean;
  readonly tookMs?: number;
}

async function fetched({ reply, peersMayAnswer = true, tookMs = 0 }: Asking) {
  const asked: PeerMiss[] = [];
  let now = NOW;
  const origin = behindPeers({
    table,
    origin: { name: 'api', fetch: async () => own },
    peers: {
      async ask(miss) {
        asked.push(miss);
        now = epochMs(now + tookMs);
        return reply;
      },
    },
    stamp: () => sequence(7),
    now: () => now,
  });
  const request = {
    ...{ id: 'a' as RecordId, replacing: undefined, conditional: false, background: false },
    ...{ peersMayAnswer, signal: new AbortController().signal },
  };
  return { got: await origin.fetch(request), asked };
}

const fresh = (freshMs: number) =>
  makeEntry({
    storedAt: epochMs(NOW - 3_000),
    initialAge: durationMs(2_000),
    freshUntil: epochMs(NOW + freshMs),
    body: Buffer.from('{"n":1}'),
  });

describe('a record of another cache', () => {
  it('is as old here as it is there, and fresh no longer, however long the way was', async () => {
    const reply = recordForPeer(fresh(10_000), NOW, undefined);
    const { got } = await fetched({ reply, tookMs: 400 });
    expect(got.kind).toBe('found');
    expect(got.facts.age).toBe(5_000);
    expect(got.facts.freshUntil).toBe(NOW + 10_000);
    expect(got.facts.receivedAt - got.facts.requestedAt).toBe(400);
  });

  it('without an end of its freshness has none here', async () => {
    const entry = makeEntry({ storedAt: NOW, freshUntil: FOREVER });
    const { got } = await fetched({ reply: recordForPeer(entry, NOW, undefined) });
    expect(got.facts.freshUntil).toBe(FOREVER);
  });

  it('that is stale there is not handed out', () => {
    expect(recordForPeer(fresh(0), NOW, undefined)).toEqual(NO_REPLY);
    expect(recordForPeer(fresh(-1), NOW, undefined)).toEqual(NO_REPLY);
  });

  it('that must be validated, or says that nobody may share replies, is not handed out', () => {
    const entry = { storedAt: NOW, freshUntil: epochMs(NOW + 1_000) };
    expect(recordForPeer(makeEntry({ ...entry, mustValidate: true }), NOW, undefined)).toEqual(
      NO_REPLY,
    );
    expect(recordForPeer(makeEntry({ ...entry, kind: 'pass' }), NOW, undefined)).toEqual(NO_REPLY);
  });

  it('that is held already is confirmed without its body', async () => {
    const entry = fresh(1_000);
    const reply = recordForPeer(entry, NOW, entry.entityTag);
    expect(reply).toMatchObject({ kind: 'unchanged' });
    expect(reply).not.toHaveProperty('body');
    expect((await fetched({ reply })).got.kind).toBe('notModified');
  });

  it('is not asked for when a reader demanded the origin', async () => {
    const reply = recordForPeer(fresh(1_000), NOW, undefined);
    const { got, asked } = await fetched({ reply, peersMayAnswer: false });
    expect({ got, asked }).toEqual({ got: own, asked: [] });
  });

  it("is the origin's when no other node has it", async () => {
    const { got, asked } = await fetched({ reply: NO_REPLY });
    expect(got).toBe(own);
    expect(asked).toMatchObject([{ table, id: 'a', stamp: 7 }]);
  });
});

describe('a failure', () => {
  it('of the origin is the same for all', async () => {
    const error = new NodeError('ORIGIN_STATUS', 'it said 500', { details: { status: 500 } });
    await expect(fetched({ reply: failureForPeer(error) })).rejects.toMatchObject({
      code: 'ORIGIN_STATUS',
      details: { status: 500 },
    });
  });

  it('of one way to the origin says nothing of the others', () => {
    for (const code of [
      'ORIGIN_UNREACHABLE',
      'BREAKER_OPEN',
      'ORIGIN_BUSY',
      'OVERLOADED',
    ] as const) {
      expect(failureForPeer(new NodeError(code, 'no way'))).toEqual(NO_REPLY);
    }
  });
});
