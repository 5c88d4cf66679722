/**
 * What one client sends never shows in, or spoils, the page of another: under the shipped policy of
 * pages, under a policy with keyed fields, under rules, and under `key.forward: all`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { rawStatus, sendRaw } from '../support/raw-http.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const CANARY = 'canary-51c8';
const SCHEMA = `
type Page @pages(origin: "web", policy: "ssr-page", path: "/*")
type Keyed @pages(origin: "web", policy: "keyed", path: "/keyed/*")
type Ruled @pages(origin: "web", policy: "ruled", path: "/ruled/*")
type All @pages(origin: "web", policy: "all", path: "/all/*")
`;
const HOUR = 'freshness: { default: 1h, jitter: 0% }\n';
const POLICIES = {
  'cache-policies/keyed.yaml':
    `${HOUR}key: { headers: [x-key], cookies: [a] }\n` +
    'vary: { allow: [accept-language, x-v] }\n',
  'cache-policies/ruled.yaml':
    `${HOUR}key: { forward: all }\nrules:\n` +
    '  - match: ["/ruled/account", "/ruled/account/*"]\n    pass: true\n' +
    '  - match: ["/ruled/signed/*"]\n    client: { signedUrls: true }\n',
  'cache-policies/all.yaml': `${HOUR}key: { forward: all, headers: [x-key] }\n`,
};

type Render = (request: IncomingMessage, response: ServerResponse, body: string) => void;

describe.each(ENGINES)('pages that clients try to poison over %s', (engine) => {
  const asked: IncomingMessage[] = [];
  let render: Render;
  let node: NodeProcess;
  let serial = 0;
  const origin = createServer((incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    incoming.on('end', () => {
      asked.push(incoming);
      render(incoming, response, body);
    });
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/web.yaml':
          `kind: http\nurl: ${url}\nallowPrivate: true\nretries: 0\n` +
          'breaker: { failures: 3, cooldown: 1m }\n',
        'millrace.yaml': `auth: { urlKeys: [{ name: k1, secret: ${'k'.repeat(32)} }] }\n`,
        ...POLICIES,
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
    asked.length = 0;
    render = reflect();
  });

  /** Everything that the origin was told, as the page. */
  const reflect =
    (fields: Record<string, string> = {}): Render =>
    (incoming, response, body) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', ...fields });
      response.end(`${incoming.url} ${JSON.stringify(incoming.headers)} ${body}`);
    };
  const get = (target: string, fields: readonly string[] = [], host = 'a.test') =>
    send('GET', target, fields, host);
  const send = (
    method: string,
    target: string,
    fields: readonly string[],
    host = 'a.test',
    body = '',
  ): Promise<string> => {
    const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...fields];
    return sendRaw(node.http, `${lines.join('\r\n')}\r\n`, body);
  };
  const own = (prefix = ''): string => `${prefix}/${engine}/${serial}`;
  const isHit = (answer: string): boolean => /^cache-status: millrace; hit/im.test(answer);

  it.each([
    ['a field that is keyed, twice', '/keyed', ['X-Key: a', `X-Key: ${CANARY}`], ['X-Key: a']],
    ['a cookie that is keyed, twice', '/keyed', ['Cookie: a=1', `Cookie: a=${CANARY}`], []],
    ['a cookie that is not', '/keyed', [`Cookie: a=1; ab=${CANARY}; A=${CANARY}`], ['Cookie: a=1']],
    ['a parameter of a language', '', [`Accept-Language: en;x=${CANARY}`], ['Accept-Language: en']],
    ['what is no language', '', [`Accept-Language: en, ${CANARY}-`], ['Accept-Language: en']],
    ['a word for a language', '', [`Accept-Language: ${CANARY}, en`], ['Accept-Language: en']],
    ['a dialect', '', [`Accept-Language: en-US-x-${CANARY}`], ['Accept-Language: en-US']],
    ['what is no coding', '', [`Accept-Encoding: gzip, ${CANARY}`], ['Accept-Encoding: gzip']],
    ['a second language', '/keyed', [`Accept-Language: en;${CANARY}`], ['Accept-Language: en']],
    ['a field that no Vary names', '/keyed', [`X-V: ${CANARY}`], []],
    ['another value of one', '/keyed', [`X-V: ${CANARY}`], ['X-V: clean']],
    ['what a part depends on', '', ['Range: bytes=0-3', `If-Range: "${CANARY}"`], []],
    ['a cookie, where all are sent', '/all', [`Cookie: s=${CANARY}`], []],
    ['a cookie, where all are sent, from others', '/all', [`Cookie: s=${CANARY}`], ['Cookie: s=1']],
  ] as const)('shows nobody %s of another', async (_, prefix, hostile, clean) => {
    for (const fields of [{}, { vary: 'accept-language' }] as const) {
      serial += 1;
      render = reflect({ ...fields });
      await get(own(prefix), hostile);
      expect(await get(own(prefix), clean)).not.toContain(CANARY);
    }
  });

  it('keeps the pages of those without a field apart from those with one that no Vary names', async () => {
    const clean = () => get(own('/keyed'));
    await get(own('/keyed'), [`X-V: ${CANARY}`]);
    await clean();
    await get(own('/keyed'), ['X-V: other']);
    for (const fields of [[], ['X-V: other'], [`X-V: ${CANARY}`]]) {
      expect(await get(own('/keyed'), fields)).toSatisfy(isHit);
    }
    expect(await clean()).not.toContain('x-v');
  });

  it('gives nobody who waits what was made with a field that no Vary names', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    render = async (incoming, response, body) => {
      await released;
      reflect()(incoming, response, body);
    };
    const hostile = get(own('/keyed'), [`X-V: ${CANARY}`]);
    await until('the origin to be asked', () => asked.length === 1);
    const waiting = get(own('/keyed'));
    release();
    expect(await hostile).toContain(CANARY);
    expect(await waiting).not.toContain(CANARY);
  });

  it('shares what is public with those who have cookies, where all fields are sent', async () => {
    render = (_, response) => {
      response.writeHead(200, { 'cache-control': 'public, max-age=60' }).end('for all');
    };
    await get(own('/all'), ['Cookie: s=1']);
    expect(await get(own('/all'), ['Cookie: s=2'])).toSatisfy(isHit);
  });

  it('gives coded bytes to nobody who did not ask for them, though no Vary says so', async () => {
    render = (incoming, response) => {
      const isCoded = incoming.headers['accept-encoding'] === 'gzip';
      const fields = isCoded ? { 'content-encoding': 'gzip' } : {};
      response.writeHead(200, { 'cache-control': 'max-age=60', ...fields });
      response.end(isCoded ? CANARY : 'plain');
    };
    await get(own(), ['Accept-Encoding: gzip']);
    expect(await get(own())).toContain('plain');
    expect(await get(own(), ['Accept-Encoding: gzip'])).toSatisfy(isHit);
  });

  it('stores no reply that was about one request, for one client, or cannot be read', async () => {
    const fresh = 'cache-control: max-age=60';
    const replies = [
      ...[407, 408, 412, 413, 416, 417, 425, 428, 429, 431, 511, 600].map(
        (status) => [`${status} X`, [fresh]] as const,
      ),
      ...['max-age=60; private', 'max-age=60 no-store', 'private=""', 'x="a\\", private'].map(
        (control) => ['200 OK', [`cache-control: ${control}`]] as const,
      ),
      ['200 OK', [fresh, 'transfer-encoding: xchunked']],
      ['200 OK', [fresh, 'transfer-encoding: gzip, chunked']],
    ] as const;
    for (const [status, fields] of replies) {
      serial += 1;
      render = (_, response) => {
        response.socket?.end(`HTTP/1.1 ${status}\r\n${fields.join('\r\n')}\r\n\r\n${CANARY}`);
      };
      await get(own());
      // A failure is shared for a moment.
      await until(`another answer than ${status} ${fields}`, async () => {
        render = (_, response) => response.end('clean');
        const answer = await get(own());
        expect(answer).not.toContain(CANARY);
        return answer.includes('clean');
      });
    }
  });

  it('stores no refusal but of the page itself where all fields are sent', async () => {
    for (const status of [400, 403, 405, 414]) {
      serial += 1;
      render = (_, response) =>
        response.writeHead(status, { 'cache-control': 'max-age=60' }).end(CANARY);
      await get(own('/all'), ['X-HTTP-Method-Override: POST']);
      render = reflect();
      expect(rawStatus(await get(own('/all')))).toBe(200);
    }
  });

  it('asks for a host in the spelling of the key', async () => {
    await get(own(), [], 'A.TEST');
    expect(asked[0]?.headers.host).toBe('a.test');
    expect(asked[0]?.headers['x-forwarded-host']).toBe('a.test');
  });

  // uWS hands no such request to anybody, and closes its connection.
  it.runIf(engine === 'node')(
    'knows only the host of a whole URL, whatever Host says [RFC9112 §3.2.2]',
    async () => {
      const whole = `http://B.test${own()}?q`;
      expect(rawStatus(await get(whole, [], 'a.test'))).toBe(200);
      expect(asked[0]?.headers.host).toBe('b.test');
      expect(asked[0]?.url).toBe(`${own()}?q`);
      expect(isHit(await get(`${own()}?q`, [], 'a.test'))).toBe(false);
      expect(isHit(await get(`${own()}?q`, [], 'b.test'))).toBe(true);
      await node.operate({ operation: 'purge', table: 'Page', host: 'b.test' });
      expect(isHit(await get(whole, [], 'a.test'))).toBe(false);
      expect(isHit(await get(`${own()}?q`, [], 'a.test'))).toBe(true);
    },
  );

  it('sends a keyed field on, whatever Connection says of it', async () => {
    const close = (connection: string) => get(own('/all'), ['X-Key: a', connection]);
    render = (incoming, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      response.end(`key ${incoming.headers['x-key']}`);
    };
    await close('Connection: X-Key');
    expect(await close('X-Other: 1')).toContain('key a');
  });

  it.each([400, 403, 404, 416, 431, 500])('stores no %i about the range of one', async (status) => {
    render = (incoming, response) => {
      const isRanged = incoming.headers.range !== undefined;
      response.writeHead(isRanged ? status : 200, { 'cache-control': 'max-age=60' });
      response.end(isRanged ? CANARY : 'whole');
    };
    expect(await get(own(), ['Range: bytes=90000-'])).toContain(CANARY);
    expect(await get(own())).toContain('whole');
  });

  it('asks no origin for a range that is none', async () => {
    for (const range of ['junk', `bytes=${'0-,'.repeat(40)}1-`, `bytes=${'9'.repeat(500)}-`]) {
      serial += 1;
      await get(own(), [`Range: ${range}`]);
    }
    expect(asked.map(({ headers }) => headers.range)).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    ['', 'Accept-Language'],
    ['', 'Accept-Encoding'],
    ['', 'User-Agent'],
    ['', 'Range'],
    ['/keyed', 'X-V'],
    ['/keyed', 'X-Key'],
  ])('%s spoils no page by a %s that is too long', async (prefix, name) => {
    render = (incoming, response) => {
      const isLong = Object.values(incoming.headers).some((value) => String(value).length > 3_000);
      response.writeHead(isLong ? 431 : 200, { 'cache-control': 'max-age=60' });
      response.end(isLong ? CANARY : 'well');
    };
    await get(own(prefix), [`${name}: ${'x'.repeat(5_000)}`]);
    expect(await get(own(prefix))).toContain('well');
  });

  it.each([
    ['set-cookie', `s=${CANARY}`, 'max-age=60'],
    ['x-user', CANARY, 'private, max-age=60'],
    ['x-user', CANARY, 'no-store'],
  ])('keeps %s of a 304 from others, with %s and %s', async (name, value, control) => {
    const confirming: Render = (incoming, response) => {
      const isKnown = incoming.headers['if-none-match'] === '"1"';
      const first = { etag: '"1"', 'cache-control': 'max-age=0, must-revalidate' };
      const then = { etag: '"1"', 'cache-control': control, [name]: value };
      response.writeHead(isKnown ? 304 : 200, isKnown ? then : first);
      response.end(isKnown ? undefined : 'page');
    };
    for (const prefix of ['', '/keyed']) {
      asked.length = 0;
      render = confirming;
      await get(own(prefix));
      expect(await get(own(prefix))).toContain(CANARY);
      render = (_, response) => response.writeHead(200, { etag: '"2"' }).end('page');
      expect(await get(own(prefix))).not.toContain(CANARY);
      expect(asked).toHaveLength(3);
    }
  });

  it('stores no answer to a POST that was made from fields and a body that no key has', async () => {
    render = (incoming, response, body) => {
      const fields = { 'cache-control': 'max-age=60', 'content-location': incoming.url ?? '' };
      response.writeHead(200, fields);
      response.end(JSON.stringify(incoming.headers) + body);
    };
    const length = `Content-Length: ${CANARY.length}`;
    await send('POST', own(), [length, `Cookie: s=${CANARY}`], 'a.test', CANARY);
    expect(await get(own())).not.toContain(CANARY);
  });

  it('forgets the pages of all keyed fields when a POST changed them', async () => {
    const page = own('/keyed');
    const keys = [['X-Key: a'], ['X-Key: b'], []];
    for (const fields of keys) await get(`${page}?b=1&a=2`, fields);
    render = (_, response) => response.writeHead(303, { location: `${page}?a=2&b=1` }).end();
    await send('POST', own('/keyed/form'), ['Content-Length: 0'], 'A.test');
    render = reflect();
    for (const fields of keys) expect(isHit(await get(`${page}?b=1&a=2`, fields))).toBe(false);
  });

  it.each([
    '/ruled/x/../account/me',
    '/ruled/x/%2e%2e/account/me',
    '/ruled/%2e/account/me',
    '/ruled//account/me',
    '/ruled/account%2fme',
    '/ruled/x%2f..%2faccount/me',
    '/ruled/x/..;a/account/me',
    '/ruled/x%5c..%5caccount/me',
    '/ruled/account;a/me',
    '/ruled/acc%256funt/me',
    '/ruled/account%3fa.css',
    '/ruled/account%00.css',
    '/ruled/account%0a.css',
    '/ruled/account/',
    '/ruled/ACCOUNT/me',
    '/ruled/x/../Account/me.css',
    '/ruled/%ef%bd%81ccount/me',
  ])(
    'stores nothing under %s, which an origin may take for a path that is passed',
    async (path) => {
      await get(path, [`Cookie: s=${CANARY}`]);
      expect(await get(path)).not.toContain(CANARY);
      expect(await get(path)).not.toSatisfy(isHit);
      expect(asked).toHaveLength(3);
    },
  );

  it.each([
    '/ruled/x/../signed/a',
    '/ruled//signed/a',
    '/ruled/x%2f..%2fsigned/a',
    '/ruled/SIGNED/a',
  ])('answers %s to nobody without a signature', async (path) => {
    expect(rawStatus(await get(path))).toBe(403);
    expect(asked).toHaveLength(0);
  });

  it('takes a path that leads to another table for a page of none', async () => {
    expect(rawStatus(await get('/keyed/../ruled/account/me'))).toBe(404);
    expect(rawStatus(await get('/x/%2e%2e/ruled/account/me'))).toBe(404);
    expect(rawStatus(await get('/Ruled/signed/a'))).toBe(404);
    expect(asked).toHaveLength(0);
    expect(rawStatus(await get('/x/.well-known//a/../b'))).toBe(200);
  });

  it('sends the bytes of a field on, and holds what no field may have against the client', async () => {
    for (let i = 0; i < 4; i += 1) {
      for (const text of ['\xff', '\x7f']) {
        const hostile = await get('/ruled/account/me', [`X-O: a${text}b`]);
        expect([200, 400]).toContain(rawStatus(hostile));
      }
    }
    const euro = Buffer.from('1\u20ac2').toString('latin1');
    await get('/ruled/account/me', [`X-O: ${euro}`]);
    expect(asked.at(-1)?.headers['x-o']).toBe(euro);
    expect(rawStatus(await get(own()))).toBe(200);
  });

  it('holds characters that no URL has against the client, not against the origin', async () => {
    for (let i = 0; i < 6; i += 1) {
      const status = rawStatus(await get(`${own()}/${i}\u00e9`));
      expect([0, 400]).toContain(status);
      expect([0, 400]).toContain(rawStatus(await get(`${own()}/${i}#a`)));
    }
    expect(asked).toHaveLength(0);
    expect(rawStatus(await get(own()))).toBe(200);
  });
});
