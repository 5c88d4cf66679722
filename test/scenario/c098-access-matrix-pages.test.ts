/**
 * The matrix of access over page tables: their lists, what is stored of one page, what follows it,
 * and purges, for each role. What is expected is written down here cell by cell, apart from the
 * product; what no role grants is refused.
 */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { Live } from '../support/live-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';
import { JSON_BODY, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Page @pages(origin: "web", policy: "site", path: "/shop/*") @export
type Own @pages(origin: "web", policy: "site", path: "/own/*")
`;
const SEES = { read: true, subscribe: true };
const ROLES = {
  whole: { tables: { Page: { ...SEES, purge: true } } },
  every: { tables: { '*': { read: true } } },
  keyed: { tables: { Page: { ...SEES, purge: true, keys: ['+/shop/news/#'] } } },
  denied: { tables: { Page: { ...SEES, purge: true, deny: { read: ['+/shop/b'] } } } },
  filtered: { tables: { Page: { ...SEES, purge: true, filter: 'status=404' } } },
  masked: { tables: { Page: { ...SEES, purge: true, attributes: { groups: { read: false } } } } },
  follower: { tables: { Page: { subscribe: true } } },
  purger: { tables: { Page: { purge: true } } },
  nothing: { operations: ['describe_all', 'search_by_value'], tables: {} },
};
const A = '/shop/a';
const B = '/shop/b';
const GONE = '/shop/gone';
const NEWS = '/shop/news/1';
const PAGES = [A, B, GONE, NEWS];

interface Cell {
  /** Pages of the list; `undefined`: it is refused. */
  readonly listed?: readonly string[];
  readonly looksInto?: readonly string[];
  readonly follows?: readonly string[];
  /** Which pages' purges are allowed, and whether those of prefixes and groups are. */
  readonly purges?: readonly string[];
  readonly purgesMany?: boolean;
  /** Whether the groups of pages may be named. */
  readonly groups?: boolean;
}
const CELLS: readonly (readonly [string, Cell])[] = [
  ['anonymous', {}],
  [
    'role=whole',
    {
      ...{ listed: PAGES, looksInto: PAGES, follows: PAGES, purges: PAGES },
      ...{ purgesMany: true, groups: true },
    },
  ],
  ['role=every', { listed: PAGES, looksInto: PAGES, groups: true }],
  [
    'role=keyed',
    { listed: [NEWS], looksInto: [NEWS], follows: [NEWS], purges: [NEWS], groups: true },
  ],
  [
    'role=denied',
    {
      ...{ listed: [A, GONE, NEWS], looksInto: [A, GONE, NEWS], follows: PAGES, purges: PAGES },
      ...{ purgesMany: true, groups: true },
    },
  ],
  // What is told of one page is all of it, and a purge is of a page, whatever it holds: neither is
  // covered by a grant that is limited to rows. A purge shows no attribute.
  ['role=filtered', { listed: [GONE], follows: PAGES, groups: true }],
  ['role=masked', { listed: PAGES, follows: PAGES, purges: PAGES, purgesMany: true }],
  ['role=follower', { follows: PAGES }],
  ['role=purger', { purges: PAGES, purgesMany: true }],
  ['role=nothing', {}],
];

const AS_ADMIN = {
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};
const headersOf = (whom: string): Record<string, string> =>
  whom === 'anonymous' ? {} : { ...AS_ADMIN, 'millrace-impersonate': whom };

/** Who asks does not know of engines: the second has some of them. */
const SOME = ['anonymous', 'role=whole', 'role=keyed', 'role=filtered'];

describe.each([
  ['node', 2, CELLS],
  ['uws', 1, CELLS.filter(([whom]) => SOME.includes(whom))],
] as const)('the matrix of access to pages over %s with %s threads', (...parts) => {
  const [engine, threads, cells] = parts;
  let origin: HttpOrigin;
  let node: NodeProcess;
  let host = '';

  beforeAll(async () => {
    origin = await HttpOrigin.start(({ path }) =>
      behave.answer(
        path === GONE ? 404 : 200,
        { 'content-type': 'text/html', 'cache-control': 'max-age=600', 'cache-groups': '"all"' },
        'a page',
      ),
    );
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'roles.yaml': JSON.stringify(ROLES),
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/site.yaml': 'freshness: { default: 1h, jitter: 0% }\n',
      },
      flags: ['--threads', String(threads)],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    host = new URL(node.http).host;
    await visitAll();
  });
  afterAll(async () => {
    await node?.dispose();
    await origin?.close();
  });

  async function visitAll(): Promise<void> {
    for (const page of PAGES) {
      await until(`${page} to be stored`, async () => {
        const response = await node.fetch(page);
        await response.arrayBuffer();
        return response.headers.get('cache-status')?.includes('; hit') === true;
      });
    }
  }

  /** Sends any method, `PURGE` too. */
  const send = (method: string, target: string, headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const url = new URL(node.http + target);
      const asked = request(url, { method, headers }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      asked.on('error', reject);
      asked.end();
    });

  describe.each(cells)('to %s', (whom, cell) => {
    const headers = headersOf(whom);
    const refusal = whom === 'anonymous' ? 401 : 403;
    const get = async (target: string) => {
      const response = await node.fetch(target, { headers });
      const body: unknown = response.status === 200 ? await json(response) : undefined;
      if (body === undefined) await response.arrayBuffer();
      return { status: response.status, body };
    };

    it('lists, counts and searches what may be read', async () => {
      const { listed, groups = false } = cell;
      const status = listed === undefined ? refusal : 200;
      const all = await get('/Page/?select(path)');
      expect(all.status).toBe(status);
      expect((await get('/Page')).status).toBe(status);
      const counted = await get('/Page/?count()');
      expect(counted.status).toBe(status);
      const mayGroup = listed !== undefined && groups;
      expect((await get('/Page/?groups=all&select(path)')).status).toBe(mayGroup ? 200 : refusal);
      expect((await get('/Page/?select(groups)')).status).toBe(mayGroup ? 200 : refusal);
      if (listed === undefined) return;
      expect([...(all.body as string[])].sort()).toEqual([...listed].sort());
      expect(counted.body).toEqual({ count: listed.length });
      const rows = (await get('/Page/')).body as { path: string; groups?: string[] }[];
      expect(rows.map(({ path }) => path).sort()).toEqual([...listed].sort());
      for (const row of rows) expect(row.groups).toEqual(groups ? ['all'] : undefined);
      const exported = await node.fetch('/Page/?limit(5000)&after()', {
        headers: { ...headers, accept: 'application/x-ndjson' },
      });
      const lines = (await exported.text()).trim().split('\n');
      const paths = lines.map((line) => (JSON.parse(line) as { path: string }).path);
      expect(paths.sort()).toEqual([...listed].sort());
    });

    it('looks into one page only where all of it may be read', async () => {
      for (const page of PAGES) {
        const { status } = await get(`/Page/${encodeURIComponent(host + page)}`);
        const may = cell.looksInto?.includes(page) === true;
        expect([page, status]).toEqual([page, may ? 200 : refusal]);
      }
    });

    it('writes no page, whoever asks', async () => {
      for (const method of ['PUT', 'PATCH', 'POST', 'DELETE']) {
        const response = await node.fetch(`/Page/${encodeURIComponent(host + A)}`, {
          ...{ method, headers: { ...JSON_BODY, ...headers } },
          ...(method !== 'DELETE' && { body: '{"status":200}' }),
        });
        await response.arrayBuffer();
        expect([method, response.status]).toEqual([method, 405]);
      }
    });

    it('lets pages be followed at their own addresses and in their table', async () => {
      const { follows = [] } = cell;
      await Promise.all([
        ...PAGES.map((page) => expectSocket(page, follows.includes(page))),
        ...PAGES.map((page) => expectStream(page, follows.includes(page))),
        expectStream('/Page/', follows.length > 0),
        expectNothingAt('/own/a'),
      ]);
      const live = await new Live(`${node.ws}/live`, headers).opened();
      for (const page of [...PAGES, '/Page/', '/own/a']) {
        live.say({ subscribe: page, as: page });
        const told = await live.next((one) => one.sub === page);
        const may = page === '/Page/' ? follows.length > 0 : follows.includes(page);
        expect([page, told.type === 'error']).toEqual([page, !may]);
      }
      live.socket.terminate();
    });

    async function expectSocket(page: string, may: boolean): Promise<void> {
      const client = new SocketClient(node.ws + page, headers);
      await until(`an answer at ${page}`, () => {
        return client.refusedWith !== undefined || client.events.length > 0;
      });
      client.terminate();
      expect([page, client.refusedWith]).toEqual([page, may ? undefined : refusal]);
    }

    /** A table without `@export` is followed by nobody. */
    async function expectNothingAt(target: string): Promise<void> {
      const client = new SocketClient(node.ws + target, headers);
      await until('a refusal', () => client.refusedWith !== undefined);
      client.terminate();
    }

    async function expectStream(target: string, may: boolean): Promise<void> {
      const leave = new AbortController();
      const response = await node.fetch(target, {
        headers: { ...headers, accept: 'text/event-stream' },
        signal: leave.signal,
      });
      expect([target, response.status]).toEqual([target, may ? 200 : refusal]);
      leave.abort();
    }

    it('purges what may be purged, and asks for the right beforehand', async () => {
      const { purges = [], purgesMany = false } = cell;
      for (const page of PAGES) {
        const may = purges.includes(page) ? 200 : refusal;
        // uWS knows no such method, and ends the connection.
        if (engine === 'node') {
          expect([page, await send('PURGE', page, headers)]).toEqual([page, may]);
        }
        const overridden = { ...headers, 'x-method-override': 'PURGE', 'content-length': '0' };
        expect([page, await send('POST', page, overridden)]).toEqual([page, may]);
      }
      const many = purgesMany ? 200 : refusal;
      const purging = { ...headers, 'x-method-override': 'PURGE', 'content-length': '0' };
      expect(await send('POST', NEWS, { ...purging, 'x-purge-prefix': '1' })).toBe(many);
      expect(await send('POST', NEWS, { ...purging, 'x-purge-group': 'all' })).toBe(many);
      await visitAll();
    });

    it('runs no operation on pages but for administrators', async () => {
      const url = `http://${host}${A}`;
      for (const operation of [
        { operation: 'purge', url },
        { operation: 'purge', table: 'Page' },
        { operation: 'cache_inspect', url },
        { operation: 'cache_stats' },
        { operation: 'purge_log' },
      ]) {
        const response = await fetch(`${node.admin}/`, {
          ...{ method: 'POST', headers: { ...JSON_BODY, ...headers } },
          body: JSON.stringify(operation),
        });
        await response.arrayBuffer();
        expect([operation.operation, response.status]).toEqual([operation.operation, refusal]);
      }
    });
  });
});
