/**
 * A request that comes after a change is never given a page that was begun before it, though the
 * rendering is still under way: who heard of the change and asks sees it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Product @table @export(public: [read, insert, update]) { id: ID @primaryKey, price: Int }
type Page @pages(origin: "web", policy: "site", path: "/shop/*")
type News @pages(origin: "web", policy: "site", path: "/news/*")
`;
const POLICY = `
freshness: { default: 1h, jitter: 0% }
stale: { whileRevalidate: 0s }
`;

const NODES = [
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
] as const;

describe.each(NODES)('readers of a page in the making, $threads of $engine', (setting) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  const asked: string[] = [];
  /** What the renderer answers first: it has a cache, or joins renderings, itself. */
  const older: { text: string; groups: string }[] = [];
  /** Set: the next renderings look at the records, and answer once this is called. */
  let release: (() => void)[] | undefined;

  /** What a renderer does: reads, says what it read, and takes its time. */
  const read = async (path: string) => {
    const wanted = path.includes('list') ? '/Product/' : '/Product/1';
    const response = await node.fetch(wanted, { headers: { 'millrace-groups': '1' } });
    return { text: await response.text(), groups: response.headers.get('cache-groups') ?? '' };
  };

  beforeAll(async () => {
    origin = await HttpOrigin.start(({ path }) => (socket, request) => {
      asked.push(path);
      const held = release;
      const issue = { text: `issue ${asked.length}`, groups: '"news"' };
      const made = path.startsWith('/news') ? issue : (older.pop() ?? read(path));
      Promise.resolve(made).then(({ text, groups }) => {
        const send = () => behave.answer(200, { 'cache-groups': groups }, text)(socket, request);
        if (held === undefined) send();
        else held.push(send);
      });
    });
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/site.yaml': POLICY,
      },
      flags: ['--threads', setting.threads],
      env: { MILLRACE_HTTP_ENGINE: setting.engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const page = async (path: string) => (await node.fetch(path)).text();

  const waiting = (path: string) => {
    const table = path.startsWith('/news') ? 'News' : 'Page';
    return node.metric('millrace_collapsed_requests_total', { table });
  };

  /** Asks for a page, changes what it shows while it is made, asks again, and lets it be made. */
  async function overtaken(path: string, change: () => Promise<unknown>) {
    const gate: (() => void)[] = [];
    release = gate;
    const before = await waiting(path);
    const early = page(path);
    await until('the rendering', () => gate.length === 1);
    release = undefined;
    await change();
    const late = Array.from({ length: 20 }, () => page(path));
    // Before its end they are there, most of them waiting for it.
    await until('the requests', async () => (await waiting(path)) >= before + late.length / 2);
    gate[0]?.();
    return { early: await early, late: await Promise.all(late) };
  }

  it.each(['/shop/one', '/shop/list', '/shop/another?of=1'])(
    'are shown the record as it was when they came at %s',
    async (path) => {
      await node.put('/Product/1', { price: 1 });
      const { early, late } = await overtaken(path, () => node.put('/Product/1', { price: 2 }));
      expect(early).toContain('"price":1');
      for (const text of late) expect(text).toContain('"price":2');
      // Together they cost one more rendering a thread, not one each.
      expect(asked.filter((one) => one === path).length).toBeLessThanOrEqual(
        1 + 2 * Number(setting.threads),
      );
    },
  );

  it('are not given what was purged by its group while it was made', async () => {
    const { early, late } = await overtaken('/news/today', () =>
      node.operate({ operation: 'purge', table: 'News', group: 'news' }),
    );
    for (const text of late) expect(text).not.toBe(early);
  });

  it('are not given what the renderer itself had made before', async () => {
    await node.put('/Product/1', { price: 3 });
    older.push(await read('/shop/kept'));
    await node.put('/Product/1', { price: 4 });
    expect(await page('/shop/kept')).toContain('"price":4');
    expect(asked.filter((path) => path === '/shop/kept')).toHaveLength(2);
  });

  it('are given it when the renderer has nothing newer, after it was asked twice', async () => {
    await node.put('/Product/1', { price: 5 });
    const old = await read('/shop/behind');
    await node.put('/Product/1', { price: 6 });
    older.push(old, old);
    expect(await page('/shop/behind')).toContain('"price":5');
    expect(asked.filter((path) => path === '/shop/behind')).toHaveLength(2);
  });
});
