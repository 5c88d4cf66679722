/**
 * Every form of a purge: by key, URL, prefix, host, group, query and table, over the admin port and
 * by requests; each in force for the very next read on every thread, and each in the log. And the
 * groups that an origin itself says have changed [RFC9875 §3].
 */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { expectProblem } from '../support/scenario-apps.ts';

const CREDENTIALS = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
const AS_ADMIN = { authorization: `Basic ${CREDENTIALS}` };
const NODES = [
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
] as const;

describe.each(NODES)('purges on $threads threads of $engine', ({ engine, threads }) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let rendered = 0;
  let invalidated = '';

  beforeAll(async () => {
    origin = await HttpOrigin.start(({ method, path, headers }) => {
      rendered += 1;
      const group = path.includes('news') ? '"news", "all"' : '"all"';
      const more = method === 'POST' ? { 'cache-group-invalidation': invalidated } : {};
      const body = { id: path.split('/').at(-1), n: rendered, host: headers.get('host') };
      return behave.json(body, { 'cache-control': 'max-age=600', 'cache-groups': group, ...more });
    });
    node = await startNode({
      files: {
        'schema.graphql': `
type Page @pages(origin: "web", path: "/p/*") @export(public: [read])
type Item @table @sourcedFrom(origin: "web", path: "/items/{id}") @export(public: [read])
  { id: ID @primaryKey, n: Int }
`,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/default.yaml': 'freshness: { default: 1h, jitter: 0% }\n',
        'roles.yaml':
          'anonymous: { tables: { Page: { purge: true, keys: ["a.example/p/pub"] } } }\n',
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  /** On a connection of its own, so that any thread may take it. */
  const send = (method: string, target: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; isHit: boolean; text: string }>((resolve, reject) => {
      const options = { method, agent: false, headers } as const;
      const asked = httpRequest(`${node.http}${target}`, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const isHit = String(response.headers['cache-status']).includes('; hit');
          resolve({ status: response.statusCode ?? 0, isHit, text });
        });
      });
      asked.on('error', reject).end();
    });
  const isHit = async (host: string, target: string) => (await send('GET', target, { host })).isHit;
  const stored = (host: string, target: string) =>
    until(`${host}${target} to be stored`, () => isHit(host, target));
  const purge = (args: object) => node.operate({ operation: 'purge', ...args });

  const PAGES = [
    ['a.example', '/p/news'],
    ['a.example', '/p/deep/one?x=1'],
    ['b.example', '/p/news'],
  ] as const;

  it.each([
    ['a URL', { url: 'https://a.example/p/deep/one?x=1&utm_source=y' }, [false, true, false]],
    ['URLs', { urls: ['a.example/p/news', 'http://b.example/p/news'] }, [true, false, true]],
    ['a prefix', { table: 'Page', prefix: 'https://a.example/p/deep/' }, [false, true, false]],
    ['a host', { host: 'B.example' }, [false, false, true]],
    ['a group', { group: 'news' }, [true, false, true]],
    ['a query', { table: 'Page', query: 'groups=news&host=a.example' }, [true, false, false]],
    ['a table', { table: 'Page' }, [true, true, true]],
  ])('reach what is named by %s, and nothing else', async (_what, args, reached) => {
    for (const [host, target] of PAGES) await stored(host, target);
    await purge(args);
    const seen = [];
    for (const [host, target] of PAGES) seen.push(!(await isHit(host, target)));
    expect(seen).toEqual(reached);
    const { purges } = (await node.operate({ operation: 'purge_log', limit: 1 })) as {
      purges: object[];
    };
    expect(purges).toMatchObject([{ by: ADMIN.username, via: 'operation', soft: false }]);
  });

  it.each([
    ['a prefix', '/p/deep/', { 'x-purge-prefix': '1' }, [false, true, false], 'prefix'],
    ['groups', '/p/', { 'x-purge-group': '"news", other' }, [true, false, true], 'group'],
    ['a URL', '/p/news', {}, [true, false, false], 'url'],
  ])(
    'do so by requests for %s, and stand in the log',
    async (_what, at, headers, reached, kind) => {
      for (const [host, target] of PAGES) await stored(host, target);
      const own = { host: 'a.example', 'x-method-override': 'PURGE', ...AS_ADMIN, ...headers };
      expect((await send('POST', at, own as Record<string, string>)).status).toBe(200);
      const seen = [];
      for (const [host, target] of PAGES) seen.push(!(await isHit(host, target)));
      expect(seen).toEqual(reached);
      await until('the log', async () => {
        const log = (await node.operate({ operation: 'purge_log', limit: 1 })) as {
          purges: { via: string; kind: string; by: string }[];
        };
        const [newest] = log.purges;
        return newest?.via === 'request' && newest.kind === kind && newest.by === ADMIN.username;
      });
      expect(
        await node.metric('millrace_cache_purges_total', { table: 'Page', kind }),
      ).toBeGreaterThan(0);
    },
  );

  it('of many pages need the grant of the whole table', async () => {
    const own = { host: 'a.example', 'x-method-override': 'PURGE' };
    expect((await send('POST', '/p/pub', own)).status).toBe(200);
    for (const more of [{ 'x-purge-prefix': '1' }, { 'x-purge-group': 'news' }]) {
      const refused = await send('POST', '/p/pub', { ...own, ...more } as Record<string, string>);
      expect(refused.status).toBe(401);
    }
  });

  it('find records by a query, softly', async () => {
    for (const id of ['q1', 'q2']) await send('GET', `/Item/${id}`);
    await until('the rows', async () => {
      const rows = await (await node.fetch('/Item/?id==q*')).json();
      return (rows as unknown[]).length === 2;
    });
    const said = await purge({ table: 'Item', query: 'id==q*', soft: true });
    expect(said).toMatchObject({ purged: { count: 2 }, soft: true });
    const inspected = await node.operate({ operation: 'cache_inspect', table: 'Item', key: 'q1' });
    expect(inspected).toMatchObject({
      state: 'stale',
      invalidatedBy: [{ scope: 'key', name: 'q1', kind: 'soft' }],
      decision: { rule: 11, coversFailure: true },
    });
  });

  it('are refused with what is wrong', async () => {
    for (const args of [
      { url: '/p/news' },
      { url: 'https://a.example/elsewhere' },
      { host: 'a.example/p' },
      { table: 'Page', query: 'limit(1)' },
      { table: 'Page', query: 'status=200&count()' },
      { group: 'a', host: 'b' },
    ]) {
      const response = await fetch(node.admin, {
        method: 'POST',
        headers: { ...AS_ADMIN, 'content-type': 'application/json' },
        body: JSON.stringify({ operation: 'purge', ...args }),
      });
      await expectProblem(response, 400, 'USAGE');
    }
  });

  it('happen by the origin for groups of the same host [RFC9875 §3]', async () => {
    invalidated = '"news", "unheard-of"';
    for (const [host, target] of PAGES) await stored(host, target);
    await send('POST', '/p/edit', { host: 'a.example' });
    const seen = [];
    for (const [host, target] of PAGES) seen.push(!(await isHit(host, target)));
    expect(seen).toEqual([true, false, false]);
  });
});
