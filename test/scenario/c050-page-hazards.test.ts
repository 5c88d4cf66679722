/** What must not reach the origin of pages twice, nor anybody else's page at all. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const CLIENTS = 60;
const CANARY = 'canary-7f3a';
/** Inputs by which pages of others were poisoned elsewhere. */
const UNKEYED = [
  'accept',
  'forwarded',
  'origin',
  'referer',
  'user-agent',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-host',
  'x-http-method-override',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'cookie',
  'authorization',
] as const;

describe.each(ENGINES)('pages under attack over %s', (engine) => {
  const asked: IncomingMessage[] = [];
  let render: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
  const origin = createServer((incoming, response) => {
    asked.push(incoming);
    void render(incoming, response);
  });
  let node: NodeProcess;
  let serial = 0;
  const path = (): string => `/${engine}/${serial}`;

  beforeAll(async () => {
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', () => resolve()));
    const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    node = await startNode({
      files: {
        'schema.graphql': 'type Page @pages(origin: "web", policy: "site", path: "/*")\n',
        'origins/web.yaml':
          `kind: http\nurl: ${url}\nallowPrivate: true\n` +
          'retries: 0\nbreaker: { failures: 1000 }\n',
        'cache-policies/site.yaml':
          'freshness: { default: 1h, jitter: 0% }\nnegative: { 5xx: 1m }\n',
      },
      flags: ['--threads', '1'],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origin.closeAllConnections();
    origin.close();
  });
  beforeEach(() => {
    serial += 1;
    asked.length = 0;
  });

  /** What the origin was told, as the page: whatever of it is not keyed shows up for others. */
  const reflect = (fields: Record<string, string> = {}) => {
    render = (incoming, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', ...fields });
      response.end(`${incoming.url}\n${JSON.stringify(incoming.headers)}`);
    };
  };
  const pageFor = (headers: Record<string, string>, target = path()): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request(`${node.http}${target}`, { headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve(text));
      });
      sent.once('error', reject);
      sent.end();
    });
  const herd = (): Promise<number[]> =>
    Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        const response = await node.fetch(path());
        await response.arrayBuffer();
        return response.status;
      }),
    );
  const joined = () => node.metric('millrace_collapsed_requests_total', { table: 'Page' });
  /** Answers once the whole herd has come, and waits for that answer. */
  const whenAllWait = async (answer: (response: ServerResponse) => void) => {
    const before = await joined();
    // Each has either been sent on or waits for one who was; a herd that stays away gets no page.
    const hasCome = async () => (await joined()) - before + asked.length >= CLIENTS;
    render = (_, response) =>
      until('the herd', hasCome).then(
        () => answer(response),
        () => void response.destroy(),
      );
  };
  const late = (status: number, fields: Record<string, string>) =>
    whenAllWait((response) => {
      response.writeHead(status, fields);
      response.end('late');
    });

  it('asks once for a herd at a cold page', async () => {
    await late(200, { 'cache-control': 'max-age=60' });
    expect(new Set(await herd())).toEqual(new Set([200]));
    expect(asked).toHaveLength(1);
  });

  it('asks at most twice for a herd at a page that is out of date', async () => {
    render = (_, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=0', etag: '"one"' });
      response.end('old');
    };
    await (await node.fetch(path())).text();
    await until('a page that validates', async () => {
      asked.length = 0;
      await (await node.fetch(path())).text();
      return asked[0]?.headers['if-none-match'] === '"one"';
    });
    asked.length = 0;
    await late(200, { 'cache-control': 'max-age=60', etag: '"two"' });
    expect(new Set(await herd())).toEqual(new Set([200]));
    expect(asked.length).toBeLessThanOrEqual(2);
  });

  it('asks at most twice for a herd while the origin fails, and shares the failure', async () => {
    await whenAllWait((response) => response.destroy());
    const statuses = new Set(await herd());
    expect([...statuses].every((status) => status >= 500)).toBe(true);
    expect(asked.length).toBeLessThanOrEqual(2);
  });

  it.each(UNKEYED)('lets no %s of one client into the page of another', async (name) => {
    reflect();
    await pageFor({ [name]: `a=${CANARY}` });
    const clean = await pageFor({});
    expect(clean).toContain(path());
    expect(clean).not.toContain(CANARY);
  });

  it('keeps pages of different hosts apart', async () => {
    reflect();
    expect(await pageFor({ host: `${CANARY}.example` })).toContain(CANARY);
    expect(await pageFor({})).not.toContain(CANARY);
  });

  it.each([
    { 'set-cookie': 'session=1' },
    { 'cache-control': 'private, max-age=60' },
    { 'cache-control': 'no-store' },
  ])('stores nothing private under a name that looks static, for %o', async (fields) => {
    reflect(fields);
    const target = `${path()}/account/style.css`;
    await pageFor({}, target);
    await pageFor({}, target);
    expect(asked).toHaveLength(2);
  });

  it('hands coded bytes on as they are: nothing is inflated here', async () => {
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    render = (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', vary: 'accept-encoding' });
      response.end(bomb);
    };
    for (const _ of [1, 2]) {
      const length = await new Promise<string | undefined>((resolve, reject) => {
        const headers = { 'accept-encoding': 'gzip' };
        request(`${node.http}${path()}`, { headers, agent: false }, (response) => {
          let bytes = 0;
          response.on('data', (piece: Buffer) => {
            bytes += piece.length;
          });
          response.on('end', () => resolve(String(bytes)));
        })
          .once('error', reject)
          .end();
      });
      expect(Number(length)).toBe(bomb.length);
    }
  });
});
