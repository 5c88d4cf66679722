/**
 * A renderer that reads records through `millrace/render`, behind the page cache of the node it
 * reads from: a changed record makes the pages that showed it stale, and no other.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRender, type Render, type RenderNotice } from '../../src/render/render.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const FILES = {
  'schema.graphql': `
    type Product @table @export(public: [read, insert, update, delete]) {
      id: ID @primaryKey
      price: Int
    }
    type Page @pages(origin: "web", policy: "site", path: "/*")`,
  'cache-policies/site.yaml':
    'freshness: { default: 1h, jitter: 0% }\nstale: { whileRevalidate: 10m }\n',
};

interface Read {
  readonly text: string;
  readonly cache: string;
  readonly groups: string;
}

class Site {
  readonly notices: RenderNotice[] = [];
  readonly render: Render;
  rendered = 0;
  node = 'http://127.0.0.1:9';
  readonly #server: Server;

  constructor() {
    const ask: typeof fetch = (input, init) =>
      fetch(String(input).replace('http://node', this.node), init);
    this.render = createRender({
      node: 'http://node',
      fetch: ask,
      onNotice: (notice) => this.notices.push(notice),
    });
    this.#server = createServer(this.render.nodeHandler(this.#page));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async price(target: string): Promise<string> {
    return (await this.render.fetch(`http://node${target}`)).text();
  }

  /** `/page/7,8` shows two records, `/list` a query, `/late/7` reads behind its head. */
  readonly #page: RequestListener = async (request, response) => {
    this.rendered += 1;
    const [, kind = '', ids = ''] = (request.url ?? '').split('/');
    const read = async () => {
      const targets =
        kind === 'list' ? ['/Product/'] : ids.split(',').map((id) => `/Product/${id}`);
      return (await Promise.all(targets.map((target) => this.price(target)))).join(' ');
    };
    if (kind === 'declared') this.render.declare('Product');
    if (kind === 'late' || kind === 'declared') response.write('<p>');
    // The node is gone at the end, in the midst of a refresh.
    const text = await read().catch(() => undefined);
    if (text === undefined) {
      response.destroy();
      return;
    }
    if (!response.headersSent) response.writeHead(200, { 'cache-groups': '"shop"' });
    response.end(text);
  };
}

const NODES = [
  { engine: 'uws', threads: '1' },
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
];

describe.each(NODES)(
  'millrace/render before $threads threads of $engine',
  ({ engine, threads }) => {
    const site = new Site();
    let node: NodeProcess;

    beforeAll(async () => {
      const url = await site.start();
      const origin = `kind: http\nurl: ${url}\nallowPrivate: true\n`;
      node = await startNode({
        files: { ...FILES, 'origins/web.yaml': origin },
        flags: ['--threads', threads],
        env: { MILLRACE_HTTP_ENGINE: engine },
      });
      site.node = node.http;
    });
    afterAll(async () => {
      await node.dispose();
      site.stop();
    });

    let lastPrice = 100;
    const nextPrice = (): number => {
      lastPrice += 1;
      return lastPrice;
    };

    async function read(target: string): Promise<Read> {
      const response = await node.fetch(target);
      return {
        text: await response.text(),
        cache: response.headers.get('cache-status') ?? '',
        groups: response.headers.get('cache-groups') ?? '',
      };
    }
    const isFresh = ({ cache }: Read) => /; hit; ttl=\d+$/.test(cache);
    const fresh = (target: string) =>
      until(`${target} fresh`, async () => {
        const page = await read(target);
        return isFresh(page) && page;
      });

    it('names what a page was made from, beside what the application names itself [RFC9875 §2]', async () => {
      await node.put('/Product/1', { price: 1 });
      const { groups } = await read('/page/1,none');
      const [first, second, third] = groups.split(', ').sort();
      expect(first).toMatch(/^"Product\/1;v=\d+"$/);
      expect([second, third]).toEqual(['"Product/none;v=0"', '"shop"']);
    });

    it.each(['/page/2,3', '/list', '/declared/2'])(
      'makes %s stale on every thread with the write of a record, and refreshes it behind',
      async (page) => {
        await node.put('/Product/2', { price: nextPrice() });
        await node.put('/Product/other', { price: 1 });
        const old = await fresh(page);
        await fresh('/page/other');
        const price = nextPrice();
        expect((await node.put('/Product/2', { price })).ok).toBe(true);
        const answers = await Promise.all(Array.from({ length: 8 }, () => read(page)));
        expect(answers.filter((answer) => isFresh(answer) && answer.text === old.text)).toEqual([]);
        const now = await until('the new page', async () => {
          const answer = await read(page);
          return isFresh(answer) && answer.text.includes(String(price));
        });
        expect(now).toBe(true);
        expect(isFresh(await read('/page/other'))).toBe(true);
      },
    );

    it('makes a page stale that was made without a record, once there is one', async () => {
      await fresh('/page/new');
      await node.put('/Product/new', { price: 5 });
      await until('the page with it', async () => (await read('/page/new')).text.includes('5'));
    });

    it('says when a page read something after its head was sent, unless it was declared', async () => {
      site.notices.length = 0;
      await read('/declared/1,3');
      expect(site.notices).toEqual([]);
      await read('/late/1');
      expect(site.notices).toMatchObject([{ kind: 'late', page: '/late/1' }]);
    });

    it('names the table in place of records that are too many for a header', async () => {
      site.notices.length = 0;
      const ids = Array.from({ length: 300 }, (_, index) => `m${index}`);
      const page = `/page/${ids.join(',')}`;
      const { groups } = await read(page);
      expect(groups).toBe('"shop", "Product"');
      expect(site.notices).toMatchObject([{ kind: 'widened', tables: ['Product'] }]);
      await fresh(page);
      await node.put('/Product/m7', { price: 77 });
      await until('the page with it', async () => (await read(page)).text.includes('77'));
    });
  },
);
