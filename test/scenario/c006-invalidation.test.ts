/**
 * What was invalidated is never answered as fresh again, whichever way it was invalidated, on
 * whichever thread, and whatever was under way at the time.
 */
import { Agent, get } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const tables = [
  { name: 'Item', cache: 'freshness: "1h"' },
  { name: 'Behind', cache: 'freshness: "1h", staleWhileRevalidate: "10m"' },
];

describe.each([1, 2])('invalidation on %i thread(s)', (threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let n = 0;

  beforeAll(async () => {
    origin = await HttpOrigin.start();
    node = await startCache({
      tables,
      url: origin.url,
      threads,
      origin: 'timeout: 5s\nretries: 0\nbreaker: { failures: 100000 }',
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });
  beforeEach(() => {
    origin.requests.length = 0;
    origin.script = (request) => {
      n += 1;
      return behave.json({ id: request.path.split('/').pop(), n });
    };
  });

  const purge = (table: string, keys?: readonly string[], soft = false) =>
    node.operate({ operation: 'purge', table, soft, ...(keys === undefined ? {} : { keys }) });
  const numberIn = (text: string): number => Number((JSON.parse(text) as { n: number }).n);

  it('a purge by key reaches that key alone', async () => {
    const [a, b] = [await read(node, '/Item/a'), await read(node, '/Item/b')];
    await purge('Item', ['a']);
    const next = await read(node, '/Item/a');
    expect(next.cache).toMatch(/fwd=miss/);
    expect(numberIn(next.text)).toBeGreaterThan(numberIn(a.text));
    expect((await read(node, '/Item/b')).text).toBe(b.text);
    const labels = { table: 'Item', kind: 'key' };
    expect(await node.metric('millrace_cache_purges_total', labels)).toBe(1);
  });

  it('a purge of the table reaches all its keys and no other table', async () => {
    await read(node, '/Behind/other');
    const before = await Promise.all(['a', 'b', 'c'].map((id) => read(node, `/Item/${id}`)));
    await purge('Item');
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      expect((await read(node, `/Item/${id}`)).text).not.toBe(before[index]?.text);
    }
    expect((await read(node, '/Behind/other')).cache).toMatch(/hit/);
  });

  it('a fetch that began before a purge answers its reader and is not stored [SPEC R6]', async () => {
    const held: (() => void)[] = [];
    origin.script = (request) => {
      n += 1;
      const reply = behave.json({ id: 'slow', n });
      return (socket) => held.push(() => reply(socket, request));
    };
    const early = read(node, '/Item/slow');
    await until('the fetch', () => held.length === 1);
    await purge('Item', ['slow']);
    // A read after the purge begins a fetch of its own and does not join the older one.
    const late = read(node, '/Item/slow');
    await until('its own fetch', () => held.length === 2);
    for (const release of held) release();
    expect(numberIn((await early).text)).toBeLessThan(numberIn((await late).text));
    expect((await early).cache).not.toContain('stored');
    const after = await read(node, '/Item/slow');
    expect([after.text, after.cache.includes('hit')]).toEqual([(await late).text, true]);
  });

  describe('by group', () => {
    const grouped = (groups: string) => {
      origin.script = (request) => {
        n += 1;
        const body = { id: request.path.split('/').pop(), n };
        return behave.json(body, { 'cache-groups': groups });
      };
    };
    const again = async (...targets: string[]) => {
      const answers = await Promise.all(targets.map((target) => read(node, target)));
      return answers.map(({ cache }) => (cache.includes('; hit') ? 'hit' : 'asked'));
    };

    it('reaches all that name it, of that table alone [RFC9875 §2]', async () => {
      grouped('"news", "sport"');
      for (const target of ['/Item/g1', '/Item/g2', '/Behind/g1']) await read(node, target);
      grouped('"other"');
      await read(node, '/Item/g3');
      const answer = await node.operate({ operation: 'purge', table: 'Item', group: 'sport' });
      expect(answer).toEqual({ table: 'Item', purged: { groups: ['sport'] }, soft: false });
      const found = await again('/Item/g1', '/Item/g2', '/Item/g3', '/Behind/g1');
      expect(found).toEqual(['asked', 'asked', 'hit', 'hit']);
      const labels = { table: 'Item', kind: 'group' };
      expect(await node.metric('millrace_cache_purges_total', labels)).toBe(1);
    });

    it('reaches every cache of the node when no table is named', async () => {
      grouped('"everywhere"');
      for (const target of ['/Item/h1', '/Behind/h1']) await read(node, target);
      const answer = await node.operate({ operation: 'purge', groups: ['nowhere', 'everywhere'] });
      expect(answer).toMatchObject({ tables: ['Item', 'Behind'] });
      expect(await again('/Item/h1', '/Behind/h1')).toEqual(['asked', 'asked']);
    });

    it('means the group of a record whatever version is named', async () => {
      grouped('"Flight/AA100;v=12345"');
      await read(node, '/Item/v1');
      await node.operate({ operation: 'purge', table: 'Item', group: 'Flight/AA100;v=9' });
      expect(await again('/Item/v1')).toEqual(['asked']);
    });

    it('makes a softly purged group stale', async () => {
      grouped('"soft group"');
      await read(node, '/Behind/s1');
      await node.operate({ operation: 'purge', table: 'Behind', group: 'soft group', soft: true });
      expect((await read(node, '/Behind/s1')).cache).toContain('stale-while-revalidate');
    });
  });

  it('a purge by prefix reaches the keys that begin so', async () => {
    for (const id of ['p-1', 'p-2', 'q-1']) await read(node, `/Item/${id}`);
    await node.operate({ operation: 'purge', table: 'Item', prefix: 'p-' });
    const found = await Promise.all(['p-1', 'p-2', 'q-1'].map((id) => read(node, `/Item/${id}`)));
    expect(found.map(({ cache }) => cache.includes('; hit'))).toEqual([false, false, true]);
  });

  it('purges are remembered: when, by whom, what, and whether softly', async () => {
    await node.operate({ operation: 'purge', table: 'Item', key: 'remembered', soft: true });
    const log = await node.operate({ operation: 'purge_log', limit: 1 });
    expect(log).toEqual({
      purges: [
        {
          ...{ at: expect.stringMatching(/^\d{4}-.*Z$/), by: expect.stringMatching(/./) },
          ...{ table: 'Item', purged: ['remembered'], soft: true },
          ...{ kind: 'key', via: 'operation' },
        },
      ],
    });
  });

  it('a fetch whose reply comes after a purge leaves nothing behind [SPEC R6]', async () => {
    let release = (): void => undefined;
    const reply = behave.json({ id: 'alone', n: -1 });
    origin.script = () => (socket, request) => {
      release = () => reply(socket, request);
    };
    const early = read(node, '/Item/alone');
    await until('the fetch', () => origin.requests.length === 1);
    await purge('Item');
    release();
    expect((await early).status).toBe(200);
    expect((await read(node, '/Item/alone', 'only-if-cached')).status).toBe(504);
  });

  it('a purge sends nobody who waits already to the origin again', async () => {
    let release = (): void => undefined;
    origin.script = (request) => {
      n += 1;
      const reply = behave.json({ id: 'herd', n });
      return (socket) => {
        release = () => reply(socket, request);
      };
    };
    const first = read(node, '/Item/herd');
    await until('the fetch', () => origin.requests.length === 1);
    // Something unrelated is written, so that those who wait came after the fetch began.
    expect((await node.put('/Item/unrelated', { n: 1 })).ok).toBe(true);
    const before = await node.metric('millrace_collapsed_requests_total', { table: 'Item' });
    const waiting = Array.from({ length: 50 }, () => read(node, '/Item/herd'));
    await until('the herd', async () => {
      const collapsed = { table: 'Item' };
      return (await node.metric('millrace_collapsed_requests_total', collapsed)) >= before + 49;
    });
    await purge('Item', ['herd']);
    release();
    const answers = await Promise.all([first, ...waiting]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(origin.requests.filter(({ path }) => path === '/Item/herd')).toHaveLength(1);
  });

  it('what was purged is not served even while the origin is down', async () => {
    await read(node, '/Item/hard');
    await purge('Item', ['hard']);
    origin.script = () => behave.reset();
    const answer = await read(node, '/Item/hard');
    expect(answer.status).toBe(502);
    expect((await read(node, '/Item/hard', 'max-stale, stale-if-error=999')).status).toBe(502);
  });

  it('what was purged softly is stale: covered when the origin fails, refreshed behind', async () => {
    const plain = await read(node, '/Item/soft');
    await purge('Item', ['soft'], true);
    origin.script = () => behave.reset();
    const covered = await read(node, '/Item/soft');
    expect([covered.text, covered.cache.includes('stale-if-error')]).toEqual([plain.text, true]);
    origin.script = (request) => {
      n += 1;
      return behave.json({ id: request.path.split('/').pop(), n });
    };
    const behind = await read(node, '/Behind/soft');
    await purge('Behind', ['soft'], true);
    const stale = await read(node, '/Behind/soft');
    expect(stale.cache).toContain('stale-while-revalidate');
    expect(stale.text).toBe(behind.text);
    await until('the refresh', async () => {
      const now = await read(node, '/Behind/soft');
      return now.text !== behind.text && /hit; ttl=\d+$/.test(now.cache);
    });
  });

  it('after the answer to a purge no connection is ever answered with the old entry', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 24 });
    let current = 0;
    origin.script = () => behave.json({ id: 'hot', n: current });
    let stop = false;
    const violations: string[] = [];
    let hits = 0;
    const hammer = async () => {
      while (!stop) {
        const floor = current;
        const { text, cache } = await readOn(agent, `${node.http}/Item/hot`);
        if (cache.includes('hit')) hits += 1;
        if (numberIn(text) < floor) violations.push(`${text} ${cache}, expected ${floor}`);
      }
    };
    const running = Array.from({ length: 24 }, hammer);
    for (let round = 1; round <= 30; round += 1) {
      // What the origin tells from now on; readers may not expect it before the purge is answered.
      const next = round;
      origin.script = () => behave.json({ id: 'hot', n: next });
      await purge('Item', ['hot']);
      current = next;
      // Readers have met the new entry as a hit before it is purged in its turn.
      const before = hits;
      await until('hits', () => hits >= before + 5);
    }
    stop = true;
    await Promise.all(running);
    agent.destroy();
    expect(violations).toEqual([]);
  });

  it('tells those who follow of a refill that brought other bytes, and of no other', async () => {
    let brought = 1;
    origin.script = () => behave.json({ id: 'told', n: brought });
    await read(node, '/Item/told');
    const follower = new SocketClient(`${node.ws}/Item/told`, {});
    await follower.count(1);
    for (const n of [1, 2]) {
      brought = n;
      await node.operate({ operation: 'purge', table: 'Item', keys: ['told'] });
      await read(node, '/Item/told');
    }
    await follower.count(4);
    const told = follower.events.map(({ type, value }) => [type, value]);
    expect(told).toEqual([
      ['put', { id: 'told', n: 1 }],
      ['invalidate', undefined],
      ['invalidate', undefined],
      ['put', { id: 'told', n: 2 }],
    ]);
    follower.terminate();
  });
});

describe.each([1, 2])('purges and the end of the process, %i thread(s)', (threads) => {
  it('a purge survives kill -9 and a restart', async () => {
    const origin = await HttpOrigin.start((request) =>
      behave.json({ id: request.path.split('/').pop(), n: 1 }),
    );
    let node = await startCache({ tables, url: origin.url, threads });
    try {
      for (const id of ['purged', 'kept']) await read(node, `/Item/${id}`);
      await read(node, '/Behind/all');
      await node.operate({ operation: 'purge', table: 'Item', keys: ['purged'] });
      await node.operate({ operation: 'purge', table: 'Behind' });
      await node.stop('SIGKILL');
      node = await startCache({ tables, url: origin.url, threads, folder: node.folder });
      await origin.close();
      expect((await read(node, '/Item/purged')).status).toBe(502);
      expect((await read(node, '/Behind/all')).status).toBe(502);
      // Fills never wait for the disk, but kill -9 does not lose what was committed.
      expect((await read(node, '/Item/kept')).cache).toMatch(/hit/);
    } finally {
      await node.dispose();
    }
  });
});

function readOn(agent: Agent, url: string): Promise<{ text: string; cache: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ text, cache: String(response.headers['cache-status'] ?? '') }),
      );
    }).on('error', reject);
  });
}
