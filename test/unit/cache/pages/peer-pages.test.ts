/** What one page cache hands another, and what it asks: no credentials, nothing for one reader. */
import { describe, expect, it } from 'vitest';
import { durationMs, epochMs, sequence, tableName } from '../../../../src/base/brands.ts';
import { definePolicy } from '../../../../src/cache/default-policy.ts';
import { fieldsForPeer } from '../../../../src/cache/pages/forward.ts';
import { pageForPeer, pagesBehindPeers } from '../../../../src/cache/pages/peer-pages.ts';
import type { PageOrigin, PageOriginRequest } from '../../../../src/cache/pages/ports.ts';
import { NO_REPLY, type PeerReply, UNSHARED } from '../../../../src/cache/peer-reply.ts';
import { makeEntry } from '../../../support/entries.ts';

const NOW = epochMs(1_000_000);
const BODY = Buffer.from('<p>page</p>');

const held = (lines: readonly string[], more: Parameters<typeof makeEntry>[0] = {}) =>
  makeEntry({
    ...{ storedAt: epochMs(NOW - 3_000), initialAge: durationMs(2_000), body: BODY },
    ...{ freshUntil: epochMs(NOW + 10_000), meta: { fieldLines: lines.join('\n') } },
    ...more,
  });

const settings = (key: Parameters<typeof definePolicy>[0]['key']) =>
  definePolicy({ key, vary: { allow: ['accept-language'] } }).settings;

describe('what is told of a page', () => {
  it('are its lines, its age and how long it is fresh', () => {
    const told = pageForPeer(held(['x-kept', 'yes']), NOW, undefined);
    expect(told).toMatchObject({ kind: 'found', fieldLines: 'x-kept\nyes', body: BODY });
    expect(told).toMatchObject({ ageMs: 5_000, freshMs: 10_000 });
  });

  it('is that it holds, to who has it', () => {
    const entry = held(['x-kept', 'yes']);
    const told = pageForPeer(entry, NOW, entry.entityTag);
    expect(told.kind).toBe('unchanged');
    expect('body' in told).toBe(false);
  });

  it('is nothing of one that is stale, and that it is nobody else’s of one with a cookie', () => {
    expect(pageForPeer(held([], { freshUntil: NOW }), NOW, undefined)).toBe(NO_REPLY);
    expect(pageForPeer(held(['set-cookie', 'a=b']), NOW, undefined)).toBe(UNSHARED);
    expect(pageForPeer(held([], { status: 206 }), NOW, undefined)).toBe(UNSHARED);
  });
});

describe('what a page is asked with', () => {
  const fields = ['cookie', 'id=1; shop=2', 'accept-language', 'en', 'x-other', 'z'];

  it('are the fields of the key and of the variants', () => {
    const key = { headers: [], cookies: ['shop'], forward: 'listed' as const };
    expect(fieldsForPeer(fields, settings(key))).toEqual([
      'accept-language',
      'en',
      'cookie',
      'shop=2',
    ]);
  });

  it('are all fields where all go to the origin, but never credentials', () => {
    const all = settings({ headers: [], cookies: [], forward: 'all' });
    expect(fieldsForPeer(fields, all)).toBeUndefined();
    expect(fieldsForPeer(['authorization', 'Bearer x'], all)).toBeUndefined();
    expect(fieldsForPeer(fields.slice(2), all)).toEqual(fields.slice(2));
  });
});

function behind(reply: PeerReply) {
  let now = NOW;
  const counts = { asked: 0, fetched: 0 };
  const origin = {
    name: 'web',
    fetch: async () => {
      counts.fetched += 1;
      return { status: 200, fields: ['from', 'origin'] } as never;
    },
  } as unknown as PageOrigin;
  const before = pagesBehindPeers({
    origin,
    table: tableName('Page'),
    peers: {
      ask: async () => {
        counts.asked += 1;
        now = epochMs(now + 400);
        return reply;
      },
    },
    stamp: () => sequence(7),
    now: () => now,
    unsharedFor: () => durationMs(60_000),
  });
  const page = { target: '/a', host: 'h', scheme: 'http', address: '::1', fields: [] } as const;
  const shared = { id: 'h/a', tag: undefined, asked: () => page };
  const request = { method: 'GET', target: '/a', shared } as unknown as PageOriginRequest;
  return {
    counts,
    fetch: () => before.fetch(request),
    wait: (ms: number) => (now = epochMs(now + ms)),
  };
}

describe('an origin behind the caches of others', () => {
  it('hands on a page that is as old, and fresh no longer, however long the way was', async () => {
    const { fetch, counts } = behind(pageForPeer(held(['x-kept', 'yes']), NOW, undefined));
    const { judged, fields, body } = await fetch();
    expect(judged).toEqual({ age: 5_000, freshUntil: NOW + 10_000 });
    expect(fields).toEqual(['x-kept', 'yes']);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(BODY);
    expect(counts.fetched).toBe(0);
  });

  it('is asked itself where nobody has it, and at once for a while where it is not for others', async () => {
    const none = behind(NO_REPLY);
    await none.fetch();
    await none.fetch();
    expect(none.counts).toEqual({ asked: 2, fetched: 2 });
    const own = behind(UNSHARED);
    await own.fetch();
    await own.fetch();
    expect(own.counts).toEqual({ asked: 1, fetched: 2 });
    own.wait(60_000);
    await own.fetch();
    expect(own.counts).toEqual({ asked: 2, fetched: 3 });
  });
});
