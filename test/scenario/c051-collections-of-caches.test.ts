/** Queries over cache tables: each row is judged like a read of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

const tables = [
  { name: 'Item', cache: 'freshness: "1h"', attributes: 'n: Int, kind: String @indexed' },
  { name: 'Short', cache: 'freshness: "50ms"', attributes: 'n: Int, kind: String @indexed' },
];

describe('a query over a cache', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let n = 0;
  let kind = 'k';

  beforeAll(async () => {
    origin = await HttpOrigin.start();
    const more = 'retries: 0\nbreaker: { failures: 100000 }';
    node = await startCache({ tables, url: origin.url, origin: more });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });
  beforeEach(async () => {
    kind = 'k';
    origin.script = (request) => {
      n += 1;
      return behave.json({ id: request.path.split('/').pop(), n, kind });
    };
    for (const id of ['a', 'b', 'c']) {
      // A failure of the test before is remembered for its back-off window.
      await until(`record ${id}`, async () => {
        const { text } = await read(node, `/Item/${id}`, 'no-cache');
        return text.includes(`"n":${n}`);
      });
    }
    origin.requests.length = 0;
  });

  const purge = (keys: readonly string[]) =>
    node.operate({ operation: 'purge', table: 'Item', keys });
  const idsIn = (text: string): unknown => (JSON.parse(text) as { id: string }[]).map((r) => r.id);

  it('is a hit with the shortest freshness of its rows, and as old as the oldest', async () => {
    const answer = await read(node, '/Item/?kind=k');
    expect(answer.cache).toMatch(/^millrace; hit; ttl=3[2-6]\d\d$/);
    expect(answer.age).toBeGreaterThanOrEqual(0);
    expect(origin.requests).toHaveLength(0);
  });

  it('has invalidated rows fetched before it answers, in their place', async () => {
    await purge(['b']);
    const before = n;
    const answer = await read(node, '/Item/?kind=k');
    const rows = JSON.parse(answer.text) as { id: string; n: number }[];
    expect(rows.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(rows[1]?.n).toBeGreaterThan(before);
    expect(answer.cache).toContain('fwd=partial');
    expect(origin.requests).toHaveLength(1);
  });

  it('leaves out a row that no longer matches once it was fetched', async () => {
    await purge(['b']);
    kind = 'other';
    const answer = await read(node, '/Item/?kind=k');
    expect(idsIn(answer.text)).toEqual(['a', 'c']);
    expect(answer.cache).not.toContain('left-out');
  });

  it('leaves out what the origin does not give, and says so', async () => {
    await purge(['b']);
    origin.script = () => behave.status(500);
    const answer = await read(node, '/Item/?kind=k');
    expect([answer.status, idsIn(answer.text)]).toEqual([200, ['a', 'c']]);
    expect(answer.cache).toContain('detail=rows-left-out');
  });

  it('never asks the origin under only-if-cached [RFC9111 §5.2.1.7]', async () => {
    await purge(['b']);
    const answer = await read(node, '/Item/?kind=k', 'only-if-cached');
    expect(idsIn(answer.text)).toEqual(['a', 'c']);
    expect(origin.requests).toHaveLength(0);
  });

  it('validates each row under no-cache, once [RFC9111 §5.2.1.4]', async () => {
    const answer = await read(node, '/Item/?kind=k', 'no-cache');
    expect(idsIn(answer.text)).toEqual(['a', 'b', 'c']);
    expect(answer.cache).not.toContain('left-out');
    expect(origin.requests).toHaveLength(3);
  });

  it('never shows what the origin says is gone', async () => {
    await purge(['b']);
    origin.script = () => behave.status(404);
    const answer = await read(node, '/Item/?kind=k');
    expect(idsIn(answer.text)).toEqual(['a', 'c']);
    expect((await read(node, '/Item/?kind=k')).cache).toMatch(/^millrace; hit/);
  });

  it('serves stale rows, says so, and refreshes them behind', async () => {
    for (const id of ['a', 'b']) await read(node, `/Short/${id}`);
    const before = n;
    const stale = await until('stale rows', async () => {
      const answer = await read(node, '/Short/?kind=k', 'only-if-cached');
      return answer.cache.includes('stale-rows') ? answer : undefined;
    });
    expect(idsIn(stale.text)).toEqual(['a', 'b']);
    expect(n).toBe(before);
    await until('both refreshed', async () => {
      // One row may have become stale before the other.
      await read(node, '/Short/?kind=k');
      const answer = await read(node, '/Short/?kind=k', 'only-if-cached');
      const rows = JSON.parse(answer.text) as { n: number }[];
      return rows.length === 2 && rows.every((row) => row.n > before);
    });
  });
});
