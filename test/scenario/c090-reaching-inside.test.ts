/**
 * Reaching inside through an origin, over the wire: an origin that is allowed sends the node to
 * other addresses of the machine, in every way they can be written, and to other schemes; origins
 * whose own URL is private are not asked at all. A listener counts what arrives.
 */
import { writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode, writeApp } from '../support/node-process.ts';
import { ENGINES } from '../support/scenario-apps.ts';

const type = (name: string, origin: string): string =>
  `type ${name} @table @export(public: [read]) @sourcedFrom(origin: "${origin}") {
  id: ID @primaryKey
}
`;

describe.each(ENGINES)('reaching inside through an origin over %s', (engine) => {
  let reached = 0;
  const inside = createSocketServer((socket) => {
    reached += 1;
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"secret":1}\n');
  });
  let answer: (path: string, response: ServerResponse) => void = () => undefined;
  const origin = createServer((request, response) => answer(request.url ?? '', response));
  let node: NodeProcess;
  let port = 0;
  let own = 0;
  beforeAll(async () => {
    for (const server of [inside, origin]) {
      await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', () => resolve()));
    }
    port = (inside.address() as AddressInfo).port;
    own = (origin.address() as AddressInfo).port;
    const self = `127.0.0.1:${own}`;
    const allowed = `kind: http\nurl: http://${self}\nallowPrivate: ["${self}"]\n`;
    const terms = 'retries: 0\nbreaker: { failures: 1000 }\n';
    const closed = (url: string) => `kind: http\nurl: ${url}\n${terms}`;
    node = await startNode({
      files: {
        'schema.graphql':
          [type('Item', 'there'), type('Named', 'named'), type('Number', 'number')].join('') +
          'type Page @pages(origin: "there", path: "/pages/*")\n',
        'origins/there.yaml': `${allowed}${terms}`,
        'origins/named.yaml': closed(`http://localhost:${port}`),
        'origins/number.yaml': closed(`http://2130706433:${port}`),
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node?.dispose();
    inside.close();
    origin.close();
  });

  const targets = (): readonly string[] => [
    ...['127.0.0.1', '127.1', 'localhost', '0x7f000001', '2130706433', '0177.0.0.1', '0.0.0.0'].map(
      (host) => `http://${host}:${port}/x`,
    ),
    ...['[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'].map((host) => `http://${host}:${port}/x`),
    'http://169.254.169.254/latest/meta-data/',
    'http://metadata.google.internal/computeMetadata/v1/',
    `https://127.0.0.1:${port}/x`,
    'file:///etc/passwd',
    `gopher://127.0.0.1:${port}/_x`,
    `//127.0.0.1:${port}/x`,
    `http://127.0.0.1:${own}@127.0.0.1:${port}/x`,
  ];

  it('follows no redirect of an origin to where it may not go', async () => {
    let serial = 0;
    for (const target of targets()) {
      for (const status of [301, 302, 303, 307, 308]) {
        serial += 1;
        answer = (_, response) => response.writeHead(status, { location: target }).end();
        const told = await node.fetch(`/Item/${serial}`);
        expect([target, status, told.status]).toEqual([target, status, 502]);
        expect(await told.text()).not.toContain('secret');
      }
    }
    expect(reached).toBe(0);
  });

  it('hands redirects of pages on to the client, and follows none', async () => {
    for (const [index, target] of targets().entries()) {
      answer = (_, response) => response.writeHead(302, { location: target }).end();
      const told = await node.fetch(`/pages/${index}`, { redirect: 'manual' });
      expect([target, told.status]).toEqual([target, 302]);
      await told.arrayBuffer();
    }
    expect(reached).toBe(0);
  });

  it('asks no origin at a private address, whatever it is called', async () => {
    for (const table of ['Named', 'Number']) {
      expect([table, (await node.fetch(`/${table}/1`)).status]).toEqual([table, 502]);
    }
    expect(reached).toBe(0);
  });

  it('lets no path of a client choose the host that is asked', async () => {
    const asked: string[] = [];
    answer = (path, response) => {
      asked.push(path);
      response.end('{}');
    };
    const paths = [`@127.0.0.1:${port}`, `..%2f..%2f@127.0.0.1:${port}`, `%2f%2f127.0.0.1:${port}`];
    for (const path of [...paths, `http:%2f%2f127.0.0.1:${port}`]) {
      await (await node.fetch(`/Item/${path}`)).arrayBuffer();
      await (await node.fetch(`/pages/${path}`)).arrayBuffer();
    }
    expect(asked.length).toBeGreaterThan(0);
    expect(reached).toBe(0);
  });
});

const MOVING = fileURLToPath(new URL('../support/moving-name.mjs', import.meta.url));

describe('the name of an origin that moves inside', () => {
  it('is followed to the addresses only that it may have', async () => {
    const reached = new Set<string>();
    const server = createServer((request, response) => {
      reached.add(request.socket.localAddress ?? '');
      // Each request is a connection of its own, and asks the resolver again.
      response.writeHead(200, { connection: 'close', 'content-type': 'application/json' });
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', () => resolve()));
    const { port } = server.address() as AddressInfo;
    const folder = writeApp({
      'schema.graphql': type('Item', 'moving'),
      'origins/moving.yaml':
        `kind: http\nurl: http://moving.test:${port}\nallowPrivate: ["127.0.0.2:${port}"]\n` +
        'retries: 0\nbreaker: { failures: 1000 }\n',
    });
    const name = path.join(folder, 'name.txt');
    writeFileSync(name, '127.0.0.2');
    const env = { NODE_OPTIONS: `--import ${MOVING}`, MILLRACE_TEST_NAME_FILE: name };
    const node = await startNode({ files: {}, folder, env });
    try {
      expect((await node.fetch('/Item/1')).status).toBe(200);
      const inside = ['127.0.0.3', '0.0.0.0', '::ffff:127.0.0.3', '::1', '169.254.169.254'];
      for (const [index, address] of inside.entries()) {
        writeFileSync(name, address);
        const answer = await node.fetch(`/Item/moved-${index}`);
        expect([address, answer.status]).toEqual([address, 502]);
        expect(await answer.json()).toMatchObject({ code: 'ADDRESS_REFUSED' });
      }
      // Of several answers those are taken that may be.
      writeFileSync(name, '127.0.0.3 127.0.0.2');
      expect((await node.fetch('/Item/2')).status).toBe(200);
      expect([...reached]).toEqual(['127.0.0.2']);
    } finally {
      await node.dispose();
      server.close();
    }
  });
});
