/**
 * What the internet and other people's pages send to a node, over the wire on both engines:
 * pages of other origins, names that lead back to this machine, objects with hidden prototypes,
 * paths that climb, fields with line ends, floods of names, clients that leave at any moment.
 */
import { encode as cbor } from 'cbor-x';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { headOf, RawConnection } from '../support/raw-connection.ts';

const FILES = {
  'schema.graphql': `
type Item @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  name: String
}
`,
  'millrace.yaml': 'http: { allowedHosts: [node.test, 127.0.0.1] }\n',
  'public/index.html': '<h1>public</h1>\n',
  'public/.secret': 'secret\n',
  'secret.txt': 'secret\n',
  'resources/polluted.js': `
import { Resource } from 'millrace';
export class Polluted extends Resource {
  static loadAsInstance = false;
  allowRead() { return true; }
  get() { return { polluted: ({}).polluted ?? null, admin: ({}).isAdmin ?? null }; }
}
`,
};

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

async function status(base: string, line: string, fields: readonly string[] = [], body = '') {
  const connection = new RawConnection(base);
  connection.send(`${[`${line} HTTP/1.1`, ...fields].join('\r\n')}\r\n\r\n${body}`);
  await until('an answer', () => connection.ended || connection.statuses.length > 0);
  connection.destroy();
  return connection.statuses[0] ?? 0;
}

describe.each(['uws', 'node'] as const)('abuse on the %s engine', (engine) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: FILES, env: { MILLRACE_HTTP_ENGINE: engine } });
  });
  afterAll(() => node?.dispose());

  it('answers no name that is not its own, so that none can be bound to it by DNS', async () => {
    expect(await status(node.http, 'GET /Item/', ['Host: node.test'])).toBe(200);
    expect(await status(node.http, 'GET /Item/', ['Host: NODE.test:9926'])).toBe(200);
    expect(await status(node.http, 'GET /Item/', ['Host: evil.test'])).toBe(421);
    expect(await status(node.http, 'GET /live', ['Host: evil.test', ...UPGRADE])).toBe(421);
    expect(await status(node.admin, 'GET /health', ['Host: evil.test'])).toBe(421);
    expect(await status(node.admin, 'GET /health', ['Host: localhost'])).toBe(200);
    expect(await status(node.admin, 'GET /health', ['Host: [::1]:9925'])).toBe(200);
  });

  // uWS takes paths only: it hands over nothing else, and closes such connections.
  it.runIf(engine === 'node')(
    'holds whole URLs to the same names, and OPTIONS to the server as a whole [RFC9112 §3.2]',
    async () => {
      const own = ['Host: node.test'];
      const evil = ['Host: evil.test'];
      const targets = [
        ['GET http://node.test/Item/', own, 200],
        ['GET HTTP://NODE.test:9926/Item/?limit(1)', evil, 200],
        ['GET http://evil.test/Item/', own, 421],
        ['GET https://node.test/Item/', own, 421],
        ['GET http://node.test/live', [...evil, ...UPGRADE], 101],
        ['GET http://evil.test/live', [...own, ...UPGRADE], 421],
        ['GET http://node.test/Item/', [], 400],
        ['GET http://node.test/Item/', [...own, ...own], 400],
        ['GET http://node.test/Item/', ['Host: a/b'], 400],
        ['GET http://user@node.test/Item/', own, 400],
        ['GET http://node.test:x/Item/', own, 400],
        ['GET http:///Item/', own, 400],
        ['GET http://:80/Item/', own, 400],
        ['GET http:/Item/', own, 400],
        ['GET http://node.test/Item/#a', own, 400],
        ['GET ftp://node.test/Item/', own, 400],
        ['GET node.test:80', own, 400],
        ['CONNECT node.test:80', own, 501],
        ['OPTIONS *', own, 204],
        ['OPTIONS *', evil, 421],
        ['OPTIONS http://node.test', evil, 204],
        ['GET *', own, 400],
      ] as const;
      for (const [line, fields, expected] of targets) {
        expect([line, await status(node.http, line, fields)]).toEqual([line, expected]);
      }
      const loopback = ['Host: localhost'];
      expect(await status(node.admin, 'GET http://localhost/health', evil)).toBe(200);
      expect(await status(node.admin, 'GET http://evil.test/health', loopback)).toBe(421);
      expect(await status(node.admin, 'OPTIONS *', loopback)).toBe(204);
    },
  );

  it('opens no WebSocket for a page of another origin', async () => {
    const own = ['Host: node.test', ...UPGRADE];
    expect(await status(node.http, 'GET /live', [...own, 'Origin: http://node.test'])).toBe(101);
    expect(await status(node.http, 'GET /live', [...own, 'Origin: http://evil.test'])).toBe(403);
    expect(await status(node.http, 'GET /live', [...own, 'Origin: null'])).toBe(403);
  });

  it('runs no operation that a page could send without asking first', async () => {
    const shown = Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64');
    const authorization = `Basic ${shown}`;
    const body = JSON.stringify({ operation: 'insert', table: 'Item', records: [{ id: 'csrf' }] });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const headers = { authorization, 'content-type': type };
      const response = await fetch(`${node.admin}/`, { method: 'POST', body, headers });
      expect(response.status).toBe(415);
    }
    expect((await node.fetch('/Item/csrf')).status).toBe(404);
  });

  it('gives no object a prototype that a client wrote, in any format', async () => {
    const hostile =
      '{"name":"x","__proto__":{"polluted":1,"isAdmin":true},' +
      '"constructor":{"prototype":{"polluted":1}}}';
    const object = { name: 'x', constructor: { prototype: { polluted: 1 } } };
    const bodies: readonly (readonly [string, string | Uint8Array])[] = [
      ['application/json', hostile],
      ['application/x-ndjson', `${hostile}\n`],
      ['application/cbor', cbor(object)],
      ['application/msgpack', pack(object)],
      ['text/csv', 'name,__proto__,constructor\nx,"{""polluted"":1}",y\n'],
    ];
    for (const [type, body] of bodies) {
      const bytes = typeof body === 'string' ? body : Buffer.from(body);
      const headers = { 'content-type': type };
      const response = await node.fetch('/Item/p', { method: 'PUT', body: bytes, headers });
      expect(response.status).toBeLessThan(500);
      await node.fetch('/Item/p', {
        method: 'PATCH',
        body: hostile,
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    }
    await node.fetch('/Item/?__proto__=1&constructor.prototype=2&select(__proto__,constructor)');
    await node.fetch('/Item/__proto__');
    await node.fetch('/__proto__/x');
    await node.fetch('/constructor/');
    const seen = await (await node.fetch('/Polluted/1')).json();
    expect(seen).toEqual({ polluted: null, admin: null });
  });

  it('serves no file outside of the public folder, nor a hidden one', async () => {
    const climbs = [
      '..',
      '%2e%2e',
      '.%2e',
      '%2e.',
      '..%2f..',
      '..%5c..',
      '%252e%252e',
      '....//..',
      '..;',
    ];
    const targets = ['secret.txt', 'schema.graphql', 'millrace.yaml', 'data/data.mdb', '.secret'];
    const host = ['Host: node.test'];
    for (const climb of climbs) {
      for (const target of targets) {
        for (const line of [`GET /${climb}/${target}`, `GET /x/${climb}/${climb}/${target}`]) {
          const connection = new RawConnection(node.http);
          connection.send(`${[`${line} HTTP/1.1`, ...host].join('\r\n')}\r\n\r\n`);
          await until('an answer', () => connection.ended || connection.statuses.length > 0);
          connection.destroy();
          expect(connection.statuses[0] ?? 400, line).toBeGreaterThanOrEqual(400);
          expect(connection.text).not.toContain('secret\n');
        }
      }
    }
    expect((await node.fetch('/.secret')).status).toBe(404);
    expect((await node.fetch('/')).status).toBe(200);
  });

  it('writes no line end of a client into its answers', async () => {
    const evil = '%0d%0aX-Injected:%201';
    const bodies = [
      `/Item/${evil}`,
      `/${evil}`,
      `/Item/?name=${evil}`,
      `/x?${evil}`,
      `/Item/a${evil}/b`,
    ];
    for (const target of bodies) {
      const connection = new RawConnection(node.http);
      connection.send(
        `GET ${target} HTTP/1.1\r\nHost: node.test\r\nOrigin: http://a${'%0d%0a'}b\r\n\r\n`,
      );
      await until('an answer', () => connection.ended || connection.statuses.length > 0);
      connection.destroy();
      expect(connection.text).not.toMatch(/^X-Injected/im);
    }
    const put = await node.put(`/Item/${evil}`, { name: 'x' });
    expect(put.headers.get('x-injected')).toBeNull();
  });

  it('keeps its metrics few, whatever names clients make up', async () => {
    const lines = async () =>
      (await (await fetch(`${node.admin}/metrics`)).text()).split('\n').length;
    await node.fetch('/Item/1');
    const before = await lines();
    for (let round = 0; round < 6; round += 1) {
      await Promise.all(
        Array.from({ length: 25 }, async (_, i) => {
          const name = `flood-${round}-${i}`;
          await node.fetch(`/${name}/${name}`, {
            headers: { 'user-agent': name, origin: `http://${name}` },
          });
          await node.fetch(`/Item/${name}`, { method: i % 2 === 0 ? 'GET' : 'DELETE' });
        }),
      );
    }
    expect(await lines()).toBeLessThan(before + 60);
  });

  it('lives on when an upgrade is sent ahead of the answer to what came before it', async () => {
    for (const protocol of ['h2c', 'websocket', 'x']) {
      const upgrade = UPGRADE.map((field) => field.replace(': websocket', `: ${protocol}`));
      const connection = new RawConnection(node.http);
      const waits = headOf('GET /Polluted/1', []);
      connection.send(`${waits}\r\n${headOf('GET /Item/', upgrade)}\r\n`);
      const isOver = () => connection.ended || connection.statuses.length > 0;
      await until(`an answer or an end (${protocol})`, isOver);
      connection.destroy();
      expect(await status(node.http, 'GET /Item/', ['Host: node.test'])).toBe(200);
    }
  });

  it('forgets what waits behind another answer when its client leaves', async () => {
    const follow = `${headOf('GET /Item/', ['Accept: text/event-stream'])}\r\n`;
    const connection = new RawConnection(node.http);
    connection.send(follow);
    await until('the first stream', () => connection.statuses.length > 0);
    if (engine === 'node') {
      connection.send(follow.repeat(3));
      await until('those behind it', async () => (await streams()) === 4);
    }
    connection.destroy();
    await until('no stream to be open', async () => (await streams()) === 0);
  });

  async function streams(): Promise<number> {
    const metrics = await (await fetch(`${node.admin}/metrics`)).text();
    return Number(/^millrace_subscriptions\{protocol="sse"\} (\d+)/m.exec(metrics)?.[1]);
  }

  it('lives on when clients leave at any moment', async () => {
    const requests = [
      headOf('GET /Item/', ['Accept: text/event-stream']),
      headOf('GET /live', UPGRADE),
      headOf('PUT /Item/a', ['Content-Type: application/json', 'Content-Length: 12']),
      headOf('GET /Item/?sort(name)'),
      headOf('GET /Polluted/1'),
      headOf('GET /'),
    ].map((head, i) =>
      `${head}\r\n${i === 2 ? '{"name":"a"}' : ''}`.replace('Host: node.test', 'Host: node.test'),
    );
    // Seeded: each run leaves at the same moments.
    let seed = Number(process.env.MILLRACE_FUZZ_SEED ?? 7);
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    const rounds = Number(process.env.MILLRACE_FUZZ_ROUNDS ?? 40);
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const text = requests[Math.floor(random() * requests.length)] ?? '';
          const connection = new RawConnection(node.http);
          connection.send(text.slice(0, Math.floor(random() * (text.length + 1))));
          await new Promise((resolve) => setTimeout(resolve, random() * 8));
          if (random() < 0.5) connection.socket.resetAndDestroy();
          else connection.destroy();
        }),
      );
    }
    expect((await node.fetch('/Item/1')).status).toBe(404);
    expect(node.process.exitCode).toBeNull();
    const open = () => node.metric('millrace_subscriptions', { protocol: 'sse' });
    await until('the streams to be forgotten', async () => (await open()) === 0);
  });
});
