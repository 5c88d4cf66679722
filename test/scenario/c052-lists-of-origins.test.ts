/** An origin that lists what the collection is: queries over its cache are answered from it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { read, startCache } from '../support/cache-apps.ts';
import { behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

const tables = [
  { name: 'Item', cache: 'freshness: "1h"', attributes: 'n: Int, kind: String @indexed' },
];

const idsIn = (text: string): unknown => (JSON.parse(text) as { id: string }[]).map((r) => r.id);

describe.each([1, 2])('a cache whose origin lists, on %s threads', (threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let rows = [
    { id: 'a', n: 1, kind: 'k' },
    { id: 'b', n: 2, kind: 'j' },
    { id: 'c', n: 3, kind: 'k' },
  ];
  const lists = () => origin.requests.filter(({ path }) => path.startsWith('/all'));
  const answer = ({ path }: SeenRequest) =>
    path.startsWith('/all')
      ? behave.json({ data: { rows } })
      : behave.json(rows.find(({ id }) => path.endsWith(id)) ?? { id: 'x' });

  beforeAll(async () => {
    origin = await HttpOrigin.start();
    origin.script = answer;
    const more = 'retries: 0\nlist: /all\nitems: $.data.rows\nbreaker: { failures: 100000 }';
    node = await startCache({
      tables,
      url: origin.url,
      origin: more,
      threads,
    });
  });
  afterAll(async () => {
    await node?.dispose();
    await origin?.close();
  });

  it('must not be asked under only-if-cached', async () => {
    const { status } = await read(node, '/Item/?kind=k', 'only-if-cached');
    expect(status).toBe(504);
    expect(lists()).toHaveLength(0);
  });

  it('asks once for all who wait, and answers each by its own conditions', async () => {
    const queries = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? 'k' : 'j'));
    const answers = await Promise.all(queries.map((kind) => read(node, `/Item/?kind=${kind}`)));
    for (const [index, { status, text }] of answers.entries()) {
      expect(status).toBe(200);
      expect(idsIn(text)).toEqual(index % 2 === 0 ? ['a', 'c'] : ['b']);
    }
    expect(lists()).toHaveLength(1);
  });

  it('serves rows that were listed without asking for them, one by one as well', async () => {
    const { cache, text } = await read(node, '/Item/b');
    expect(cache).toMatch(/^millrace; hit/);
    expect(JSON.parse(text)).toEqual({ id: 'b', n: 2, kind: 'j' });
    expect((await read(node, '/Item/?kind=k')).cache).toMatch(/^millrace; hit/);
    expect(lists()).toHaveLength(1);
  });

  it('asks again after a purge of the table, and forgets what is listed no more', async () => {
    rows = [
      { id: 'c', n: 4, kind: 'k' },
      { id: 'd', n: 5, kind: 'k' },
    ];
    await node.operate({ operation: 'purge', table: 'Item' });
    const { text, cache } = await read(node, '/Item/?kind=k');
    expect(JSON.parse(text)).toEqual(rows);
    expect(cache).toContain('fwd=');
    expect(idsIn((await read(node, '/Item/')).text)).toEqual(['c', 'd']);
    expect(lists()).toHaveLength(2);
  });

  it('answers with what it holds while the origin fails', async () => {
    origin.script = () => behave.status(503);
    const { status, text } = await read(node, '/Item/?kind=k', 'no-cache');
    expect(status).toBe(200);
    expect(idsIn(text)).toEqual(['c', 'd']);
    origin.script = answer;
  });

  it('fails where nothing is held, and says what the origin did', async () => {
    // The failure of the test before is remembered for its back-off window.
    await until('the list is fetched again', async () => {
      const { cache } = await read(node, '/Item/?kind=k', 'no-cache');
      return cache.includes('stored');
    });
    await node.operate({ operation: 'purge', table: 'Item' });
    origin.script = ({ path }) =>
      path.startsWith('/all') ? behave.json({ data: 1 }) : behave.status(500);
    // Each thread remembers the failure before for a while.
    await until('the answer says what the origin did wrong', async () => {
      const { status, text } = await read(node, '/Item/?kind=k');
      expect(status).toBe(502);
      return text.includes('items');
    });
    origin.script = answer;
    await until('the origin is asked again', async () => {
      const { status: again } = await read(node, '/Item/?kind=k');
      return again === 200;
    });
  });
});

describe('a cache whose origin lists by attributes', () => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let rows = [
    { id: 'a', n: 1, kind: 'k' },
    { id: 'b', n: 2, kind: 'j' },
    { id: 'c', n: 3, kind: 'k' },
  ];
  const asked = () => origin.requests.map(({ path }) => path);

  beforeAll(async () => {
    origin = await HttpOrigin.start();
    origin.script = ({ path }) => {
      const [place = '', query = ''] = path.split('?');
      const kind = new URLSearchParams(query).get('kind');
      if (place === '/all')
        return behave.json(rows.filter((row) => kind === null || row.kind === kind));
      const row = rows.find(({ id }) => place.endsWith(`/${id}`));
      return row === undefined ? behave.status(404) : behave.json(row);
    };
    const more = 'retries: 0\nlist: /all\nlistBy: [kind]\nbreaker: { failures: 100000 }';
    node = await startCache({ tables, url: origin.url, origin: more });
  });
  afterAll(async () => {
    await node?.dispose();
    await origin?.close();
  });

  it('is asked for the part that a query is about, once a part', async () => {
    expect(idsIn((await read(node, '/Item/?kind=k&n=gt=1')).text)).toEqual(['c']);
    expect(idsIn((await read(node, '/Item/?n=1&kind=k')).text)).toEqual(['a']);
    expect(idsIn((await read(node, '/Item/?kind=j')).text)).toEqual(['b']);
    expect(asked()).toEqual(['/all?kind=k', '/all?kind=j']);
    expect((await read(node, '/Item/?kind=j')).cache).toMatch(/^millrace; hit/);
  });

  it('is asked for all where the conditions name no part', async () => {
    origin.requests.length = 0;
    for (const query of ['kind=k|kind=j', 'n=gt=0', 'kind!=j', '']) {
      expect((await read(node, `/Item/?${query}`)).status).toBe(200);
    }
    expect(asked()).toEqual(['/all']);
  });

  it('is asked anew for a row that has left its part, which may be elsewhere', async () => {
    rows = [
      { id: 'a', n: 1, kind: 'j' },
      { id: 'c', n: 3, kind: 'k' },
    ];
    origin.requests.length = 0;
    expect(idsIn((await read(node, '/Item/?kind=k', 'no-cache')).text)).toEqual(['c']);
    expect(JSON.parse((await read(node, '/Item/a')).text)).toEqual(rows[0]);
  });
});
