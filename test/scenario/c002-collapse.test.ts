/** One fetch for all who ask, whatever their number and the node's threads. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, pass, problemCode, read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

const HERD = 300;
const tables = [
  { name: 'Item', cache: 'freshness: "1h"' },
  { name: 'Short', cache: 'freshness: "50ms"' },
  { name: 'Behind', cache: 'freshness: "50ms", staleWhileRevalidate: "10m"' },
  { name: 'Private', cache: 'freshness: "1h"' },
];

describe.each([1, 2])('collapsing on %i thread(s)', (threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;

  beforeAll(async () => {
    origin = await HttpOrigin.start();
    node = await startCache({ tables, url: origin.url, threads, origin: 'concurrency: 64' });
  });
  beforeEach(() => {
    origin.requests.length = 0;
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const herd = (count: number, target: string): Promise<Answer[]> =>
    Promise.all(Array.from({ length: count }, () => read(node, target)));
  const asked = (path: string): SeenRequest[] =>
    origin.requests.filter((request) => request.path === path);

  it('asks the origin once for 300 concurrent misses of a cold key [RFC9111 §4]', async () => {
    origin.script = () => behave.after(300, behave.json({ id: 'cold', n: 1 }));
    const answers = await herd(HERD, '/Item/cold');
    expect(answers.every(({ status, text }) => status === 200 && text.includes('"n":1'))).toBe(
      true,
    );
    expect(asked('/Item/cold')).toHaveLength(1);
    expect(answers.filter(({ cache }) => cache.includes('collapsed')).length).toBeGreaterThan(
      HERD / 2,
    );
    expect(
      await node.metric('millrace_collapsed_requests_total', { table: 'Item' }),
    ).toBeGreaterThan(0);
  });

  it('asks at most twice for 50 concurrent misses that fail', async () => {
    origin.script = () => behave.after(50, behave.status(500));
    const answers = await herd(50, '/Item/failing');
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502]));
    expect(problemCode(answers[0] as Answer)).toBe('ORIGIN_STATUS');
    expect(asked('/Item/failing').length).toBeLessThanOrEqual(2);
  });

  it('asks once more for a herd on an expired key', async () => {
    let n = 0;
    origin.script = () => {
      n += 1;
      return behave.after(n === 1 ? 0 : 200, behave.json({ id: 'old', n }));
    };
    await read(node, '/Short/old');
    await until('the end of its freshness', async () => {
      const now = await read(node, '/Short/old', 'only-if-cached');
      return now.status === 504;
    });
    const answers = await herd(HERD, '/Short/old');
    expect(asked('/Short/old')).toHaveLength(2);
    expect(answers.every(({ text }) => text.includes('"n":2'))).toBe(true);
  });

  it('answers stale while the origin hangs, and refreshes behind once [RFC5861 §3]', async () => {
    let release = (): void => undefined;
    let n = 0;
    origin.script = () => {
      n += 1;
      const reply = behave.json({ id: 'swr', n });
      if (n === 1) return reply;
      return (socket, request) => {
        release = () => reply(socket, request);
      };
    };
    await read(node, '/Behind/swr');
    await pass(100);
    const answers = await herd(50, '/Behind/swr');
    // All were answered though the origin has not said a word yet.
    expect(answers.every(({ text }) => text.includes('"n":1'))).toBe(true);
    expect(answers.every(({ cache }) => cache.includes('stale-while-revalidate'))).toBe(true);
    const one = await read(node, '/Behind/swr');
    console.info(`stale-while-revalidate on ${threads} thread(s): ${one.ms.toFixed(2)} ms`);
    expect(asked('/Behind/swr')).toHaveLength(2);
    release();
    await until('the refreshed record', async () => {
      const refreshed = await read(node, '/Behind/swr');
      return refreshed.text.includes('"n":2');
    });
  });

  it('does not make waiters queue one after the other for a reply not to be shared', async () => {
    const reply = behave.json({ id: 'mine' }, { 'cache-control': 'private' });
    let open = 0;
    let mostOpen = 0;
    // One shared attempt, then all the others side by side: a queue would have one open at a time.
    origin.script = () => (socket, request) => {
      open += 1;
      mostOpen = Math.max(mostOpen, open);
      setTimeout(() => {
        open -= 1;
        reply(socket, request);
      }, 300);
    };
    const before = asked('/Private/mine').length;
    const first = await herd(20, '/Private/mine');
    expect(first.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(asked('/Private/mine')).toHaveLength(before + 20);
    expect(mostOpen).toBeGreaterThan(5);
    origin.script = () => reply;
    const second = await herd(20, '/Private/mine');
    // The marker says so from the start: nobody waits for anybody.
    expect(second.every(({ cache }) => cache.includes('fwd=miss'))).toBe(true);
    expect(second.some(({ cache }) => cache.includes('collapsed'))).toBe(false);
    expect(asked('/Private/mine')).toHaveLength(before + 40);
  });

  it('goes on with the fetch when the client that began it leaves [SPEC R9]', async () => {
    origin.script = () => behave.after(300, behave.json({ id: 'left', n: 1 }));
    const leaving = new AbortController();
    const left = node.fetch('/Item/left', { signal: leaving.signal }).catch(() => 'gone');
    await until('the fetch', () => asked('/Item/left').length === 1);
    const staying = read(node, '/Item/left');
    leaving.abort();
    expect(await left).toBe('gone');
    expect((await staying).status).toBe(200);
    expect(asked('/Item/left')).toHaveLength(1);
  });
});
