/** Pages of a rendering origin through a real node, on both engines. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

type Render = (request: IncomingMessage, response: ServerResponse) => void;

class Renderer {
  readonly seen: IncomingMessage[] = [];
  render: Render = (_, response) => response.end('page');
  readonly #server: Server = createServer((request, response) => {
    this.seen.push(request);
    request.resume();
    this.render(request, response);
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const POLICY = `
freshness: { default: 0, heuristic: true, jitter: 0% }
stale: { whileRevalidate: 0, ifError: 1h }
negative: {}
key: { query: { ignore: [utm_*], sort: true }, headers: [x-shop], cookies: [theme] }
client: { cacheControl: "", mayForceRevalidation: false }
rules:
  - { match: /*/account/*, pass: true }
  - { match: "*.css", freshness: { default: 1h } }
`;

/** Answers with these fields and this body, and counts. */
const page =
  (fields: Record<string, string>, body = 'a page', status = 200): Render =>
  (_, response) => {
    response.writeHead(status, fields);
    response.end(body);
  };

const NODES = [
  { engine: 'uws', threads: '1' },
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
];

describe.each(NODES)('pages on $threads threads of $engine', ({ engine, threads }) => {
  const origin = new Renderer();
  let node: NodeProcess;
  let serial = 0;
  const path = (): string => `/${engine}/${serial}`;
  const get = (headers: Record<string, string> = {}, target = path()): Promise<Response> =>
    node.fetch(target, { headers });
  const status = (response: Response): string => response.headers.get('cache-status') ?? '';

  beforeAll(async () => {
    const url = await origin.start();
    node = await startNode({
      files: {
        'schema.graphql': 'type Page @pages(origin: "web", policy: "site", path: "/*")\n',
        'origins/web.yaml':
          `kind: http\nurl: ${url}\nallowPrivate: true\n` +
          'retries: 0\nbreaker: { failures: 1000 }\n',
        'cache-policies/site.yaml': POLICY,
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origin.stop();
  });
  beforeEach(() => {
    serial += 1;
    origin.seen.length = 0;
  });

  /** Reads until the store answers: a fill is readable a moment after its answer. */
  async function stored(headers: Record<string, string> = {}): Promise<void> {
    await until('a stored page', async () => {
      const response = await get(headers);
      await response.arrayBuffer();
      return status(response).includes('; hit');
    });
    origin.seen.length = 0;
  }

  it('answers a second request from the store, with its age [RFC9111 §4]', async () => {
    origin.render = page({ 'cache-control': 'max-age=60', 'x-by': 'renderer', age: '7' });
    const first = await get();
    expect(status(first)).toContain('fwd=uri-miss');
    expect(await first.text()).toBe('a page');
    await stored();
    const second = await get();
    expect(await second.text()).toBe('a page');
    expect(second.headers.get('x-by')).toBe('renderer');
    expect(Number(second.headers.get('age'))).toBeGreaterThanOrEqual(7);
    expect(second.headers.get('via')).toBe('1.1 millrace');
    expect(origin.seen).toHaveLength(0);
  });

  it('answers 304 to a client that has the page [RFC9110 §13.1.2]', async () => {
    origin.render = page({ 'cache-control': 'max-age=60', etag: '"one"' });
    await stored();
    const response = await get({ 'if-none-match': 'W/"one"' });
    expect(response.status).toBe(304);
    expect(response.headers.get('etag')).toBe('"one"');
    expect(origin.seen).toHaveLength(0);
  });

  it('validates a stale page and keeps its bytes under the newer fields [RFC9111 §4.3]', async () => {
    origin.render = page({ 'cache-control': 'max-age=0', etag: '"one"', 'x-old': 'kept' });
    await (await get()).text();
    origin.render = page(
      { 'cache-control': 'max-age=60', etag: '"one"', 'x-new': 'told' },
      '',
      304,
    );
    await until('a validated page', async () => {
      const response = await get();
      const text = await response.text();
      return status(response).includes('fwd-status=304') && text === 'a page';
    });
    await stored();
    const response = await get();
    expect(response.headers.get('x-old')).toBe('kept');
    expect(response.headers.get('x-new')).toBe('told');
  });

  it('serves a stale page when the renderer fails [RFC5861 §4]', async () => {
    origin.render = page({ 'cache-control': 'max-age=0, stale-if-error=60', etag: '"one"' });
    await (await get()).text();
    origin.render = page({}, 'broken', 503);
    await until('a stale page', async () => {
      const response = await get();
      await response.arrayBuffer();
      return response.status === 200 && status(response).includes('detail=stale-if-error');
    });
  });

  it('never stores a body that broke off, and lets the client see it [RFC9111 §3.3]', async () => {
    origin.render = (_, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': '1000' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(get().then((response) => response.text())).rejects.toThrow();
    origin.render = page({ 'cache-control': 'max-age=60' }, 'whole');
    const again = await get();
    expect(status(again)).not.toContain('; hit');
    expect(await again.text()).toBe('whole');
  });

  it('asks the renderer once for all who wait', async () => {
    origin.render = (_, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      response.write('begun, ');
      setTimeout(() => response.end('ended'), 200);
    };
    const clients = Array.from({ length: 20 }, () => get().then((response) => response.text()));
    expect(new Set(await Promise.all(clients))).toEqual(new Set(['begun, ended']));
    expect(origin.seen).toHaveLength(1);
  });

  it('hands a page on while it arrives', async () => {
    let finish: () => void = () => undefined;
    origin.render = (_, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      response.write('begun, ');
      finish = () => response.end('ended');
    };
    const response = await get();
    finish();
    expect(await response.text()).toBe('begun, ended');
  });

  it('invalidates after a successful unsafe request only [RFC9111 §4.4]', async () => {
    origin.render = page({ 'cache-control': 'max-age=60' });
    await stored();
    origin.render = page({}, '', 500);
    await node.fetch(path(), { method: 'POST', body: 'x' });
    expect(status(await get())).toContain('; hit');
    origin.render = page({}, 'done', 200);
    const posted = await node.fetch(path(), { method: 'POST', body: 'x' });
    expect(await posted.text()).toBe('done');
    origin.render = page({ 'cache-control': 'max-age=60' }, 'newer');
    const response = await get();
    expect(status(response)).not.toContain('; hit');
    expect(await response.text()).toBe('newer');
  });

  it.each([
    { 'cache-control': 'private, max-age=60' },
    { 'cache-control': 'no-store' },
    { 'cache-control': 'max-age=60', 'set-cookie': 'session=1' },
    { 'cache-control': 'max-age=60', vary: '*' },
    { 'cache-control': 'max-age=60', vary: 'user-agent' },
  ])('does not share %o', async (fields) => {
    origin.render = page(fields);
    await (await get()).text();
    await (await get()).text();
    await (await get()).text();
    expect(origin.seen).toHaveLength(3);
  });

  it('keeps a variant for each language, whatever their order [RFC9111 §4.1]', async () => {
    origin.render = (request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', vary: 'Accept-Language' });
      response.end(request.headers['accept-language']);
    };
    await stored({ 'accept-language': 'en, de' });
    await stored({ 'accept-language': 'fr' });
    expect(await (await get({ 'accept-language': 'DE,en' })).text()).toBe('en, de');
    expect(await (await get({ 'accept-language': 'fr' })).text()).toBe('fr');
    expect(origin.seen).toHaveLength(0);
  });

  it('cuts ranges from the stored page [RFC9110 §14.2]', async () => {
    origin.render = page({ 'cache-control': 'max-age=60', etag: '"one"' }, '0123456789');
    await stored();
    const part = await get({ range: 'bytes=2-4' });
    expect([part.status, await part.text()]).toEqual([206, '234']);
    expect(part.headers.get('content-range')).toBe('bytes 2-4/10');
    const beyond = await get({ range: 'bytes=20-' });
    expect(beyond.status).toBe(416);
    const other = await get({ range: 'bytes=2-4', 'if-range': '"other"' });
    expect([other.status, await other.text()]).toEqual([200, '0123456789']);
    expect(origin.seen).toHaveLength(0);
  });

  it('asks with the listed fields only, and says for whom [RFC9110 §7.6]', async () => {
    origin.render = page({ 'cache-control': 'max-age=60' });
    const headers = {
      'x-shop': 'de',
      'x-secret': 'unkeyed',
      cookie: 'session=1; theme=dark',
      'x-forwarded-host': 'evil.example',
    };
    await (await get(headers, `${path()}?utm_source=x&b=2&a=1`)).text();
    const [request] = origin.seen;
    expect(request?.url).toBe(`${path()}?a=1&b=2`);
    expect(request?.headers).toMatchObject({ 'x-shop': 'de', cookie: 'theme=dark' });
    expect(request?.headers['x-secret']).toBeUndefined();
    expect(request?.headers['x-forwarded-host']).toBe(new URL(node.http).host);
    expect(request?.headers['x-forwarded-for']).toBe('127.0.0.1');
  });

  it('passes what a rule says, with all its fields, however it is spelled', async () => {
    origin.render = page({ 'cache-control': 'max-age=60' });
    const headers = { cookie: 'session=1', authorization: 'Basic eDp5', range: 'bytes=0-1' };
    for (const target of ['account/style.css?b=1&a=2&utm_source=x', '%61ccount/style.css']) {
      origin.seen.length = 0;
      for (const _ of [1, 2]) {
        const response = await get(headers, `/${engine}/${target}`);
        expect(status(response)).toContain('fwd=bypass');
        await response.text();
      }
      expect(origin.seen.map(({ url }) => url)).toEqual(Array(2).fill(`/${engine}/${target}`));
      expect(origin.seen[0]?.headers).toMatchObject(headers);
    }
  });

  it('keeps a page for as long as the rule of its path says', async () => {
    origin.render = page({});
    const target = `${path()}.css`;
    await until('a stored style', async () =>
      status(await get({}, target)).includes('; hit; ttl=3'),
    );
    await (await get()).text();
    expect(status(await get())).not.toContain('; hit');
  });

  it('refuses to ask when the client says so [RFC9111 §5.2.1.7]', async () => {
    const response = await get({ 'cache-control': 'only-if-cached' });
    expect(response.status).toBe(504);
    expect(origin.seen).toHaveLength(0);
  });
});
