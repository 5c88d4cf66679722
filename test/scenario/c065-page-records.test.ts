/**
 * Stored pages are records: they are listed and searched without their bodies, looked into one by
 * one, and followed by whoever shows one; what others are granted holds for them as for any table.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { sendRaw } from '../support/raw-http.ts';
import { expectProblem, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Product @table @export(public: [read, insert, update]) { id: ID @primaryKey, price: Int }
type Page @pages(origin: "web", policy: "site", path: "/shop/*") @export(public: [read, subscribe])
type Hidden @pages(origin: "web", policy: "site", path: "/hidden/*") @export
type Origins @pages(origin: "web", policy: "site", path: "/own/*")
`;

const NODES = [
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
] as const;

interface Event {
  readonly type: string;
  readonly id: string | null;
  readonly retained?: boolean;
  readonly value?: Record<string, unknown>;
}

describe.each(NODES)('pages as records on $threads threads of $engine', ({ engine, threads }) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let host: string;
  let rendered = 0;
  const groups = new Map<string, string>();
  const sockets: WebSocket[] = [];

  const render = ({ path }: SeenRequest) => {
    rendered += 1;
    const [plain = ''] = path.split('?');
    return behave.answer(
      plain.endsWith('/gone') ? 404 : 200,
      {
        'content-type': 'text/html',
        'cache-control': 'max-age=600, stale-while-revalidate=600',
        'cache-groups': groups.get(plain) ?? '"all"',
        ...(plain.endsWith('/varies') ? { vary: 'accept-language' } : {}),
      },
      `<h1>${rendered}</h1>`,
    );
  };

  beforeAll(async () => {
    origin = await HttpOrigin.start(render);
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/web.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\nretries: 0\n`,
        'cache-policies/site.yaml': 'freshness: { default: 1h, jitter: 0% }\n',
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    host = new URL(node.http).host;
  });
  afterAll(async () => {
    for (const socket of sockets) socket.terminate();
    await node.dispose();
    await origin.close();
  });

  const visit = async (target: string, headers: Record<string, string> = {}) => {
    const response = await node.fetch(target, { headers });
    return { text: await response.text(), cache: response.headers.get('cache-status') ?? '' };
  };
  const stored = (target: string) =>
    until(`${target} to be stored`, async () => (await visit(target)).cache.includes('; hit'));
  const list = async (query: string) => json(await node.fetch(`/Page/${query}`));
  const keyOf = (target: string) => encodeURIComponent(host + target);

  const follow = (target: string) => {
    const events: Event[] = [];
    const socket = new WebSocket(`${node.ws}${target}`);
    sockets.push(socket);
    // One that was refused says so when it is ended.
    socket.on('error', () => undefined);
    socket.on('message', (text) => events.push(JSON.parse(String(text)) as Event));
    const heard = (type: string) =>
      until(`${type} at ${target}`, () => events.some((event) => event.type === type));
    return { events, heard, socket };
  };

  it('lists and searches them', async () => {
    groups.set('/shop/news', '"news", "all"');
    for (const page of ['/shop/a', '/shop/b?x=1', '/shop/news', '/shop/gone']) {
      await visit(page);
      await until(
        `${page} to be listed`,
        async () => ((await list(`?path=${page.split('?')[0]}`)) as unknown[]).length === 1,
      );
    }
    expect(await list('?groups=news&select(path)')).toEqual(['/shop/news']);
    expect(await list('?path==/shop/b*')).toMatchObject([
      {
        ...{ id: `${host}/shop/b?x=1`, url: `${host}/shop/b?x=1`, host, path: '/shop/b' },
        ...{ query: 'x=1', status: 200, state: 'fresh', contentType: 'text/html' },
        ...{ groups: ['all'], storedAt: expect.stringMatching(/^\d{4}-/), variant: null },
      },
    ]);
    expect(await list('?status=404&select(path)')).toEqual(['/shop/gone']);
    expect(await list(`${host}/shop/?sort(-path)&limit(2)&select(path)`)).toEqual([
      '/shop/news',
      '/shop/gone',
    ]);
    expect(await list('?storedAt=gt=2020-01-01T00:00:00Z&count()')).toEqual({ count: 4 });
    expect(await list('?host=elsewhere.example')).toEqual([]);
  });

  it('goes on by a cursor, and speaks NDJSON', async () => {
    const first = await node.fetch('/Page/?after()&limit(3)&select(path)');
    expect(await first.json()).toHaveLength(3);
    const next = /<([^>]+)>/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    expect(await list(next)).toHaveLength(1);
    const lines = await node.fetch('/Page/', { headers: { accept: 'application/x-ndjson' } });
    const rows = (await lines.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Event);
    expect(rows).toHaveLength(4);
  });

  it('tells of one page why it would be reused, and of none that there is none', async () => {
    const page = (await json(await node.fetch(`/Page/${keyOf('/shop/a')}`))) as {
      decision: object;
      entries: object[];
    };
    expect(page).toMatchObject({
      decision: { action: 'serve', rule: 7 },
      entries: [{ state: 'fresh', invalidatedBy: [] }],
      policy: { values: { 'freshness.default': { value: 3_600_000, from: 'policy site' } } },
    });
    await expectProblem(await node.fetch(`/Page/${keyOf('/shop/none')}`), 404, 'NOT_FOUND');
  });

  it('lists the variants of a page', async () => {
    await visit('/shop/varies', { 'accept-language': 'de' });
    await visit('/shop/varies', { 'accept-language': 'fr' });
    const rows = await until('both variants', async () => {
      const found = await list('?path=/shop/varies&select(variant)');
      return (found as string[]).length === 2 && (found as string[]);
    });
    expect(rows.sort()).toEqual(['accept-language=de', 'accept-language=fr']);
    const byKey = (await list(`?id=${keyOf('/shop/varies')}`)) as unknown[];
    expect(byKey).toHaveLength(2);
    const page = await json(await node.fetch(`/Page/${keyOf('/shop/varies')}`));
    expect(page).toMatchObject({ varies: ['accept-language'], entries: [{}, {}] });
  });

  it('takes no writes, and shows nothing to those without a grant', async () => {
    await expectProblem(await node.put('/Page/a', {}), 405, 'METHOD_NOT_ALLOWED');
    await expectProblem(await node.fetch('/Hidden/'), 401, 'AUTHENTICATION_REQUIRED');
    await visit('/hidden/a');
    const refused = follow('/hidden/a');
    const [response] = await new Promise<[{ statusCode?: number | undefined }]>((resolve) => {
      refused.socket.on('unexpected-response', (_request, answer) => resolve([answer]));
    });
    expect(response.statusCode).toBe(401);
  });

  it.each([
    ['its key', (target: string) => `/Page/${keyOf(target)}`],
    ['its own address', (target: string) => target],
  ])('tells who follows a page by %s when it changed', async (_what, placeOf) => {
    const target = `/shop/followed-${rendered}`;
    groups.set(target, '"followed"');
    await visit(target);
    await stored(target);
    const { events, heard } = follow(placeOf(target));
    await heard('put');
    expect(events).toMatchObject([{ type: 'put', id: host + target, retained: true }]);

    // What concerns others is not told; so the next event is that of this page's group.
    await node.operate({ operation: 'purge', table: 'Page', group: 'news' });
    await node.operate({ operation: 'purge', table: 'Page', group: 'followed', soft: true });
    await heard('invalidate');
    await visit(target);
    const newPage = await until('the new page', () =>
      events.find(({ type, retained }) => type === 'put' && retained === undefined),
    );
    expect(newPage).toMatchObject({ value: { status: 200, groups: ['followed'] } });
    expect(newPage.value?.etag).not.toBe(events[0]?.value?.etag);
    // A purge is in force before it is told of: one that is told of then may say the same.
    const between = events.slice(1, events.indexOf(newPage));
    expect(between.length).toBeGreaterThanOrEqual(1);
    for (const event of [...between, newPage]) expect(event.id).toBe(host + target);
    for (const { type } of between) expect(type).toBe('invalidate');
  });

  it('tells who follows a page when a record in it changed, before anybody asks', async () => {
    await node.put('/Product/p1', { price: 1 });
    const response = await node.fetch('/Product/p1', { headers: { 'millrace-groups': '1' } });
    groups.set('/shop/product', response.headers.get('cache-groups') ?? '');
    await visit('/shop/product');
    await stored('/shop/product');
    const { events, heard } = follow('/shop/product');
    await heard('put');
    await node.put('/Product/p1', { price: 2 });
    await heard('invalidate');
    expect(events.at(-1)?.id).toBe(`${host}/shop/product`);
  });

  it('streams the same as events, and resumes', async () => {
    const target = '/shop/streamed';
    await visit(target);
    await stored(target);
    const leaving = new AbortController();
    const response = await node.fetch(target, {
      headers: { accept: 'text/event-stream' },
      signal: leaving.signal,
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await until('the page', () => text.includes('event: put'));
    leaving.abort();
    await reading;
    const position = /^id: (.+)$/m.exec(text)?.[1] ?? '';
    await node.operate({ operation: 'purge', table: 'Page', keys: [host + target] });
    const again = follow(`${target}?lastEventId=${encodeURIComponent(position)}`);
    await again.heard('invalidate');
    expect(again.events[0]?.type).toBe('invalidate');
  });

  it('leaves event streams of pages that are not exported to their origin', async () => {
    const response = await node.fetch('/own/a', { headers: { accept: 'text/event-stream' } });
    expect(response.headers.get('content-type')).toBe('text/html');
  });

  it('looks only where keys begin so, for a host, a URL or a path', async () => {
    // The key of the other host begins with that of this one.
    const [one, at] = ['shop.test', 'shop.test.example'];
    const other = ['/shop/a', '/shop/ab?x=1', '/shop/c'];
    for (const [name, page] of [[one, '/shop/a'], ...other.map((path) => [at, path])]) {
      await until(`${page} of ${name}`, async () => {
        const answer = await sendRaw(node.http, `GET ${page} HTTP/1.1\r\nHost: ${name}\r\n`);
        return answer.includes('millrace; hit');
      });
    }
    const search = async (query: string) => {
      const rows = await list(`?${query}&select(url)`);
      const { access } = (await list(`?${query}&explain()`)) as { access: object };
      // A prefix is not taken at its word: every row is looked at besides.
      const all = (await list('?size=ge=0&select(url)')) as string[];
      return { rows, access, all };
    };
    const byHost = await search(`host=${at}`);
    expect(byHost.access).toEqual({ kind: 'scan', prefix: at, rows: 3 });
    expect(byHost.rows).toEqual(other.map((page) => at + page));
    expect((await search(`host=${one}`)).rows).toEqual([`${one}/shop/a`]);
    const own = await search(`host=${host}`);
    expect(own.rows).toEqual(own.all.filter((url) => url.startsWith(`${host}/`)));
    const byPath = await search(`host=${at}&path==/shop/a*`);
    expect(byPath.access).toEqual({ kind: 'scan', prefix: `${at}/shop/a`, rows: 2 });
    expect(byPath.rows).toEqual([`${at}/shop/a`, `${at}/shop/ab?x=1`]);
    const whole = await search(`host=${at}&path=/shop/a`);
    expect(whole.rows).toEqual([`${at}/shop/a`]);
    const byUrl = await search(`url==${at}/shop/c*`);
    expect(byUrl).toMatchObject({ access: { rows: 1 }, rows: [`${at}/shop/c`] });
    expect((await search(`url=${at}/shop/ab%3Fx=1`)).rows).toEqual([`${at}/shop/ab?x=1`]);
    expect((await search('path=/shop/c')).access).toMatchObject({ kind: 'scan' });
  });
});
