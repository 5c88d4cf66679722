/**
 * Behind a proxy that ends TLS the origin of pages is told what the client speaks, and pages of one
 * scheme are never shown to clients of the other; whoever is no trusted proxy changes nothing.
 */
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const SCHEMA = `
type Page @pages(origin: "web", policy: "site", path: "/*") @export(public: [read, subscribe])
type Keyed @pages(origin: "web", policy: "keyed", path: "/keyed/*")
type All @pages(origin: "web", policy: "all", path: "/all/*")
`;
const HOUR = 'freshness: { default: 1h, jitter: 0% }\n';
const FILES = {
  'schema.graphql': SCHEMA,
  'cache-policies/site.yaml': HOUR,
  'cache-policies/keyed.yaml': `${HOUR}key: { headers: [scheme] }\n`,
  'cache-policies/all.yaml': `${HOUR}key: { forward: all }\n`,
  'millrace.yaml': 'http: { trustedProxies: [127.0.0.1] }\n',
};
const HTTPS = { 'x-forwarded-proto': 'https' };
const PROXY = '127.0.0.1';
const STRANGER = '127.0.0.2';
const PURGE = {
  'x-method-override': 'PURGE',
  authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`,
};

describe.each(ENGINES)('the scheme of a client that a proxy tells of, over %s', (engine) => {
  let node: NodeProcess;
  let serial = 0;
  let upgrade: IncomingHttpHeaders = {};
  const origin = createServer((incoming, response) => {
    incoming.resume().on('end', () => {
      const { 'x-forwarded-proto': proto = '', forwarded } = incoming.headers;
      if (incoming.url?.startsWith('/secure') === true && proto !== 'https') {
        response.writeHead(301, { location: `https://a.test${incoming.url}` }).end();
        return;
      }
      if (incoming.method === 'POST')
        response.setHeader('location', `https://a.test${incoming.url}`);
      response.setHeader('cache-control', 'max-age=60');
      response.end(`${proto} ${/proto=(\w+)[^,]*$/.exec(String(forwarded))?.[1]}`);
    });
  });
  origin.on('upgrade', (incoming, socket) => {
    upgrade = incoming.headers;
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    node = await startNode({
      files: {
        ...FILES,
        'origins/web.yaml': `kind: http\nurl: ${url}\nallowPrivate: true\nretries: 0\n`,
      },
      flags: ['--threads', '1'],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    origin.closeAllConnections();
    origin.close();
  });
  beforeEach(() => {
    serial += 1;
  });

  const own = (under = '/page'): string => `${under}/${engine}-${serial}`;
  const isHit = ({ cached }: { readonly cached: string }): boolean => / hit/.test(cached);

  const ask = (
    target: string,
    fields: Record<string, string | string[]> = {},
    { from = PROXY, method = 'GET' } = {},
  ) =>
    new Promise<{ status: number; body: string; cached: string }>((resolve, reject) => {
      const headers = { host: 'a.test', ...fields };
      const options = { agent: false, localAddress: from, method, headers, path: target };
      const asked = httpRequest(node.http, options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
          // An event stream does not end by itself.
          if (body.includes('event: put')) asked.destroy();
        });
        response.on('close', () => {
          const cached = String(response.headers['cache-status']);
          resolve({ status: response.statusCode ?? 0, body, cached });
        });
      });
      asked.on('error', reject).end();
    });

  const stored = async (...asked: Parameters<typeof ask>) => {
    await until('a stored page', async () => isHit(await ask(...asked)));
    return ask(...asked);
  };

  it('is told to the origin, and is in the key', async () => {
    expect(await ask(own(), HTTPS)).toMatchObject({ body: 'https https' });
    expect(await ask(own())).toMatchObject({ body: 'http http' });
    const explicit = await stored(own(), { 'x-forwarded-proto': 'http' });
    expect(explicit.body).toBe('http http');
    const again = await stored(own(), { forwarded: 'for=192.0.2.1;proto=https' });
    expect(again.body).toBe('https https');
  });

  it('ends no client in a loop of redirects', async () => {
    const target = own('/secure');
    expect(await ask(target)).toMatchObject({ status: 301 });
    expect(await ask(target, HTTPS)).toMatchObject({ status: 200, body: 'https https' });
    expect(await ask(target)).toMatchObject({ status: 301 });
  });

  it.each(['/page', '/keyed', '/all'])('is not what a stranger says (%s)', async (under) => {
    const fields = {
      ...HTTPS,
      forwarded: 'proto=https',
      scheme: 'https',
      'x-forwarded-for': PROXY,
    };
    await stored(own(under), fields, { from: STRANGER });
    const honest = await ask(own(under));
    if (under !== '/keyed') expect(honest).toSatisfy(isHit);
    expect(honest.body).toBe('http http');
    expect(await ask(own(under), HTTPS)).toMatchObject({ body: 'https https' });
  });

  it('is not what a client writes in front of the proxies', async () => {
    const hostile = [
      { 'x-forwarded-proto': 'https, http', 'x-forwarded-for': '203.0.113.9' },
      { 'x-forwarded-proto': ['https', 'http'], 'x-forwarded-for': '127.0.0.1, 203.0.113.9' },
      { 'x-forwarded-proto': 'https;' },
      { forwarded: 'for=";proto=https, for=203.0.113.9;proto=http' },
      { forwarded: 'for=127.0.0.1;proto=https, for=203.0.113.9;proto=http' },
    ];
    for (const fields of hostile) expect((await ask(own(), fields)).body).toBe('http http');
    const spelled = `${own()}%0A:scheme=https`;
    expect((await ask(spelled)).body).toBe('http http');
    expect((await ask(own(), HTTPS)).body).toBe('https https');
  });

  it.each([
    ['a request', (target: string) => ask(target, PURGE, { method: 'POST' })],
    [
      'an operation',
      (t: string) => node.operate({ operation: 'purge', url: `https://a.test${t}` }),
    ],
    ['what a client changed', (target: string) => ask(target, {}, { method: 'POST' })],
  ] as const)('hides no page from %s', async (_, purge) => {
    const both = () => Promise.all([ask(own()), ask(own(), HTTPS)]);
    await until('both to be stored', async () => (await both()).every(isHit));
    await purge(own());
    expect((await both()).map(isHit)).toEqual([false, false]);
  });

  it('tells which page is followed at its own address', async () => {
    await stored(own(), HTTPS);
    const stream = await ask(own(), { ...HTTPS, accept: 'text/event-stream' });
    expect(stream.body).toContain(':scheme=https');
  });

  it('is told with the handshake of a WebSocket', async () => {
    const handshake = {
      ...{ ...HTTPS, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
    };
    expect(await ask(own('/all'), handshake)).toMatchObject({ status: 403 });
    expect(upgrade['x-forwarded-proto']).toBe('https');
    expect(await ask(own('/all'), handshake, { from: STRANGER })).toMatchObject({ status: 403 });
    expect(upgrade['x-forwarded-proto']).toBe('http');
  });
});
