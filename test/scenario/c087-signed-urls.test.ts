/**
 * Signed URLs over the wire: who has one reads the page until it ends, and nothing else; the
 * signature is neither in the key of the page nor told to its origin. Signed by operation, by the
 * command, and by hand as an application would.
 */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ADMIN, type NodeProcess, runCommand, startNode } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const SECRET = 'a secret of the publisher, long enough';
const OLDER = 'the secret of last year, long enough too';

/** As docs/pages.md says it. */
function signed(url: string, { expires = now() + 600, key = 'k1', secret = SECRET } = {}): string {
  const { host, pathname, search, origin } = new URL(url);
  const query = search.slice(1);
  const text = ['v1', host, pathname, query, expires, key].join('\n');
  const signature = createHmac('sha256', secret).update(text).digest('base64url');
  const own = `mr-expires=${expires}&mr-key=${key}&mr-signature=${signature}`;
  return `${origin}${pathname}?${query === '' ? '' : `${query}&`}${own}`;
}
const now = () => Math.floor(Date.now() / 1000);

describe.each(ENGINES)('signed URLs over %s', (engine) => {
  const asked: string[] = [];
  const origin = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(`page ${request.url}`);
  });
  let node: NodeProcess;
  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    const urlKeys = [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: configuration names secrets so
      { name: 'k1', secret: '${env.URL_SECRET}' },
      { name: 'k0', secret: OLDER },
    ];
    node = await startNode({
      files: {
        'schema.graphql':
          'type Film @pages(origin: "web", policy: "paid", path: "/*")\n' +
          '  @export(public: [subscribe])\n',
        'origins/web.yaml': `kind: http\nurl: ${url}\nallowPrivate: true\n`,
        'cache-policies/paid.yaml':
          'freshness: 1h\nclient: { signedUrls: true }\n' +
          'rules: [{ match: /free/*, client: { signedUrls: false } }]\n',
        'millrace.yaml': JSON.stringify({
          auth: { urlKeys },
          limits: { writeQueueAgeMsMax: '60s' },
        }),
      },
      env: { MILLRACE_HTTP_ENGINE: engine, URL_SECRET: SECRET },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    origin.close();
  });

  const read = async (url: string, init: RequestInit = {}) => {
    const response = await fetch(url, init);
    return [response.status, await response.text()] as const;
  };

  it('answers a page to whoever has one, and fetches it once for all', async () => {
    const page = `${node.http}/films/1?q=hd`;
    expect(await read(signed(page))).toEqual([200, 'page /films/1?q=hd']);
    expect(await read(signed(page, { expires: now() + 60 }))).toEqual([200, 'page /films/1?q=hd']);
    expect(await read(signed(page, { key: 'k0', secret: OLDER }))).toEqual([
      200,
      'page /films/1?q=hd',
    ]);
    expect(asked.filter((target) => target.startsWith('/films/1'))).toEqual(['/films/1?q=hd']);
    expect((await read(`${node.http}/free/1`))[0]).toBe(200);
  });

  it('refuses what is unsigned, changed, of another key, too old, or no read', async () => {
    const good = signed(`${node.http}/films/2?q=hd`);
    const other = good.replace('127.0.0.1', 'localhost');
    const bare = good.replace('q=hd&', '');
    const refused = [
      `${node.http}/films/2?q=hd`,
      good.replace('/films/2', '/films/3'),
      good.replace('q=hd', 'q=4k'),
      good.replace(/mr-expires=\d+/, `mr-expires=${now() + 99_999}`),
      good.replace('mr-key=k1', 'mr-key=k0'),
      good.replace('mr-key=k1', 'mr-key=k9'),
      good
        .replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
        .replace(/signature=./, 'signature=_'),
      `${good}&more=1`,
      `${good}&${good.split('?')[1]}`,
      bare,
      other,
      signed(`${node.http}/films/2?q=hd`, { expires: now() - 1 }),
      signed(`${node.http}/films/2?q=hd`, { secret: OLDER }),
    ];
    for (const url of refused) {
      const response = await fetch(url);
      expect([url, response.status, response.headers.get('cache-control')]).toEqual([
        url,
        403,
        'private, no-store',
      ]);
      await response.arrayBuffer();
    }
    expect((await read(good, { method: 'POST', body: 'x' }))[0]).toBe(403);
    expect((await read(good, { method: 'HEAD' }))[0]).toBe(200);
    expect(asked.filter((target) => !/^\/(films\/[12]\?q=hd|free\/1)$/.test(target))).toEqual([]);
  });

  it('lets nobody follow such a page without one', async () => {
    const stream = await fetch(`${node.http}/films/1`, {
      headers: { accept: 'text/event-stream' },
    });
    expect(stream.status).toBe(403);
    const socket = new WebSocket(`${node.http.replace('http', 'ws')}/films/1`);
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('open', () => resolve('open'));
    });
    expect(status).toBe(403);
  });

  it('are made by operation and by command, and counted when they are refused', async () => {
    const url = `${node.http}/films/4?a=1`;
    const made = (await node.operate({ operation: 'sign_url', url, expires_in: '10m' })) as {
      readonly url: string;
    };
    expect(await read(made.url)).toEqual([200, 'page /films/4?a=1']);
    const flags = ['--url', node.admin, '--username', ADMIN.username, '--password', ADMIN.password];
    const command = await runCommand([
      'sign-url',
      url,
      '--expires-in',
      '1d',
      '--key',
      'k0',
      ...flags,
    ]);
    expect(await read(command.stdout.trim())).toEqual([200, 'page /films/4?a=1']);
    await expect(node.operate({ operation: 'sign_url', url, key: 'k9' })).rejects.toThrow('k1, k0');
    await expect(node.operate({ operation: 'sign_url', url: '/films/4' })).rejects.toThrow('url');
    expect(
      await node.metric('millrace_auth_failures_total', { method: 'signed-url' }),
    ).toBeGreaterThan(9);
    const said = JSON.stringify([node.stderr(), await node.operate({ operation: 'describe_all' })]);
    expect(said).not.toContain(SECRET);
  });
});
