/** Freshness, validation and the directives of both sides, as a client of a real node sees them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pass, problemCode, read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

let origin: HttpOrigin;
let node: NodeProcess;
let serial = 0;

beforeAll(async () => {
  origin = await HttpOrigin.start();
  node = await startCache({
    tables: [
      { name: 'Item', cache: 'freshness: { default: "1h", jitter: "0%" }' },
      { name: 'Short', cache: 'freshness: { default: "80ms", jitter: "0%" }, staleIfError: "0"' },
      {
        name: 'Deaf',
        cache:
          'freshness: { default: "1h", jitter: "0%" }, client: { mayForceRevalidation: false }',
      },
    ],
    url: origin.url,
    origin: 'timeout: 5s\nretries: 0\nbreaker: { failures: 1000 }',
  });
});
afterAll(async () => {
  await node.dispose();
  await origin.close();
});
beforeEach(() => {
  serial += 1;
  origin.requests.length = 0;
});

/** A record of its own for every test, so that none sees another's. */
const key = (table: string): string => `/${table}/k${serial}`;
const count = (): number => origin.requests.length;
const tells = (fields: Record<string, string>, n = 1): void => {
  origin.script = () => behave.json({ id: `k${serial}`, n }, fields);
};

describe('what an answer says of itself', () => {
  it('tells a miss, then a hit with its remaining lifetime and age [RFC9211 §2]', async () => {
    tells({ 'cache-control': 'max-age=100', age: '40' });
    const miss = await read(node, key('Item'));
    expect(miss.cache).toMatch(/^millrace; fwd=uri-miss; fwd-status=200; ttl=(60|59); stored$/);
    expect(miss.age).toBe(40);
    await pass(1_100);
    const hit = await read(node, key('Item'));
    const ttl = Number(/^millrace; hit; ttl=(\d+)$/.exec(hit.cache)?.[1]);
    expect([58, 57]).toContain(ttl);
    // [RFC9111 §4.2] lifetime = age + what is left of it.
    expect(hit.age).toBeGreaterThanOrEqual(41);
    expect(hit.age + ttl).toBeLessThanOrEqual(100);
  });

  it('keeps the entity tag over refills of the same bytes and changes it with them', async () => {
    tells({}, 1);
    const first = await read(node, key('Item'));
    const target = key('Item');
    await node.operate({ operation: 'purge', table: 'Item', keys: [`k${serial}`] });
    const refilled = await read(node, target);
    expect(refilled.cache).toContain('fwd=miss');
    expect(refilled.headers.get('etag')).toBe(first.headers.get('etag'));
    await node.operate({ operation: 'purge', table: 'Item', keys: [`k${serial}`] });
    tells({}, 2);
    expect((await read(node, target)).headers.get('etag')).not.toBe(first.headers.get('etag'));
    expect(first.headers.get('etag')).toMatch(/^"[^"]+"$/);
  });

  it("answers a client's condition from the store [RFC9110 §13.1.2]", async () => {
    tells({});
    const tag = (await read(node, key('Item'))).headers.get('etag') ?? '';
    // Without a directive of its own, `fetch` would add no-cache to a condition.
    const headers = { 'if-none-match': tag, 'cache-control': 'min-fresh=0' };
    const again = await node.fetch(key('Item'), { headers });
    expect([again.status, await again.text(), count()]).toEqual([304, '', 1]);
    expect(again.headers.get('cache-status')).toMatch(/hit/);
    expect(again.headers.get('etag')).toBe(tag);
  });
});

describe('validation', () => {
  it('asks with If-None-Match, and a 304 makes the entry fresh again [RFC9111 §4.3.4]', async () => {
    tells({ etag: '"v1"', 'cache-control': 'max-age=1' });
    const first = await read(node, key('Item'));
    await until('staleness', async () => {
      return (await read(node, key('Item'), 'only-if-cached')).status === 504;
    });
    origin.script = () => behave.notModified({ etag: '"v1"', 'cache-control': 'max-age=100' });
    const validated = await read(node, key('Item'));
    expect(origin.requests.at(-1)?.headers.get('if-none-match')).toBe('"v1"');
    expect(validated.status).toBe(200);
    expect(validated.text).toBe(first.text);
    expect(validated.cache).toMatch(/fwd=stale; fwd-status=304; ttl=(100|99); stored/);
    expect(validated.headers.get('server-timing')).toBe('cache;desc=validated');
    expect(validated.headers.get('etag')).toBe(first.headers.get('etag'));
    expect((await read(node, key('Item'))).cache).toMatch(/hit; ttl=(100|99)/);
    const revalidated = { table: 'Item', result: 'revalidated' };
    expect(await node.metric('millrace_cache_requests_total', revalidated)).toBeGreaterThan(0);
  });

  it('asks with If-Modified-Since where there is no tag [RFC9110 §13.1.3]', async () => {
    const modified = 'Sun, 06 Nov 1994 08:49:37 GMT';
    tells({ 'last-modified': modified, 'cache-control': 'max-age=0' });
    expect((await read(node, key('Item'))).headers.get('last-modified')).toBe(modified);
    await pass(5);
    await read(node, key('Item'));
    expect(origin.requests.at(-1)?.headers.get('if-modified-since')).toBe(modified);
  });

  it('asks without a condition for what was purged [SPEC §4]', async () => {
    tells({ etag: '"v1"' });
    await read(node, key('Item'));
    await node.operate({ operation: 'purge', table: 'Item', keys: [`k${serial}`] });
    await read(node, key('Item'));
    expect(origin.requests.at(-1)?.headers.has('if-none-match')).toBe(false);
  });
});

describe("a client's directives", () => {
  const held = async (table = 'Item'): Promise<string> => {
    tells({ etag: `"e${serial}"` });
    await read(node, key(table));
    return key(table);
  };
  const fresh = /^millrace; hit; ttl=\d+$/;

  it('no-cache asks the origin about a fresh entry [RFC9111 §5.2.1.4]', async () => {
    const target = await held();
    expect((await read(node, target, 'no-cache')).cache).toMatch(/fwd=request/);
    expect(origin.requests.at(-1)?.headers.get('if-none-match')).toBe(`"e${serial}"`);
    expect((await read(node, target)).cache).toMatch(fresh);
    expect(count()).toBe(2);
  });

  it('no-cache of a stranger is not heard where the policy says so', async () => {
    const target = await held('Deaf');
    expect((await read(node, target, 'no-cache')).cache).toMatch(fresh);
    expect((await read(node, target, 'no-store')).cache).toMatch(fresh);
    expect((await read(node, target, 'max-age=0')).cache).toMatch(fresh);
  });

  it('no-store answers and stores nothing [RFC9111 §5.2.1.5]', async () => {
    tells({});
    const answer = await read(node, key('Item'), 'no-store');
    expect([answer.status, answer.cache.includes('stored')]).toEqual([200, false]);
    expect((await read(node, key('Item'), 'only-if-cached')).status).toBe(504);
  });

  it('max-age=0 validates, a larger one accepts [RFC9111 §5.2.1.1]', async () => {
    const target = await held();
    await pass(5);
    expect((await read(node, target, 'max-age=0')).cache).toMatch(/fwd=request/);
    expect((await read(node, target, 'max-age=60')).cache).toMatch(fresh);
  });

  it('min-fresh beyond the lifetime validates [RFC9111 §5.2.1.3]', async () => {
    const target = await held();
    expect((await read(node, target, 'min-fresh=60')).cache).toMatch(fresh);
    expect((await read(node, target, 'min-fresh=7200')).cache).toMatch(/fwd=request/);
  });

  it('max-stale accepts what is stale, and the answer says so [RFC9111 §5.2.1.2]', async () => {
    const target = await held('Short');
    await pass(120);
    const stale = await read(node, target, 'max-stale=60');
    expect(stale.cache).toMatch(/^millrace; hit; ttl=-\d+; detail=max-stale$/);
    expect(stale.headers.get('server-timing')).toBe('cache;desc=stale');
    expect(count()).toBe(1);
    expect((await read(node, target, 'max-stale=0')).cache).toMatch(/fwd=stale/);
  });

  it('only-if-cached is answered 504 when nothing may be used [RFC9111 §5.2.1.7]', async () => {
    const none = await read(node, key('Item'), 'only-if-cached');
    expect([none.status, problemCode(none), count()]).toEqual([504, 'NOT_CACHED', 0]);
    const target = await held();
    expect((await read(node, target, 'only-if-cached')).status).toBe(200);
  });

  it('stale-if-error permits what the policy does not [RFC5861 §4]', async () => {
    const target = await held('Short');
    await pass(120);
    origin.script = () => behave.status(500);
    expect((await read(node, target)).status).toBe(502);
    await pass(1_100);
    const allowed = await read(node, target, 'stale-if-error=60');
    expect([allowed.status, allowed.cache.includes('stale-if-error')]).toEqual([200, true]);
  });

  it('must-revalidate forbids stale that the policy permits', async () => {
    tells({ 'cache-control': 'max-age=0' });
    await read(node, key('Item'));
    await pass(5);
    origin.script = () => behave.status(500);
    expect((await read(node, key('Item'))).status).toBe(200);
    expect((await read(node, key('Item'), 'must-revalidate')).status).toBe(502);
  });
});

describe("the origin's directives", () => {
  const later = async (cacheControl: string, ms = 5) => {
    tells({ 'cache-control': cacheControl });
    const first = await read(node, key('Item'));
    await pass(ms);
    return { first, second: await read(node, key('Item')) };
  };

  it('max-age beats the default, s-maxage beats max-age [RFC9111 §4.2.1]', async () => {
    expect((await later('max-age=7')).second.cache).toMatch(/hit; ttl=[56]/);
    serial += 1;
    expect((await later('max-age=7, s-maxage=9')).second.cache).toMatch(/hit; ttl=[78]/);
  });

  it('Expires counts from Date [RFC9111 §5.3]', async () => {
    const at = Date.now();
    const date = new Date(at).toUTCString();
    tells({ date, expires: new Date(at + 30_000).toUTCString() });
    await read(node, key('Item'));
    expect((await read(node, key('Item'))).cache).toMatch(/hit; ttl=(2[789]|30)/);
  });

  it.each(['no-store', 'private'])(
    '%s is not stored [RFC9111 §5.2.2.5, §5.2.2.7]',
    async (word) => {
      const { first, second } = await later(word);
      expect(first.cache).not.toContain('stored');
      expect(second.cache).toMatch(/fwd=miss/);
      expect(count()).toBe(2);
    },
  );

  it('no-cache is stored and validated every time [RFC9111 §5.2.2.4]', async () => {
    const { second } = await later('no-cache, max-age=100');
    expect(second.cache).toMatch(/fwd=request/);
    expect(count()).toBe(2);
  });

  it.each(['must-revalidate', 'proxy-revalidate'])(
    '%s forbids stale when the origin fails [RFC9111 §5.2.2.2, §5.2.2.8]',
    async (word) => {
      tells({ 'cache-control': `max-age=0, ${word}` });
      await read(node, key('Item'));
      await pass(5);
      origin.script = () => behave.status(500);
      expect((await read(node, key('Item'))).status).toBe(502);
    },
  );

  it('stale-while-revalidate lets the stale entry answer at once [RFC5861 §3]', async () => {
    const { second } = await later('max-age=0, stale-while-revalidate=60');
    expect(second.cache).toMatch(/^millrace; hit; ttl=-\d+; detail=stale-while-revalidate$/);
    await until('the refresh behind', () => count() >= 2);
  });

  it('stale-if-error=0 takes the permission of the default policy away [RFC5861 §4]', async () => {
    tells({ 'cache-control': 'max-age=0, stale-if-error=0' });
    await read(node, key('Item'));
    await pass(5);
    origin.script = () => behave.status(500);
    expect((await read(node, key('Item'))).status).toBe(502);
  });
});
