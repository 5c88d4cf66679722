/** A table fed by a real WebSocket server, which goes silent, away, and comes back. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { read } from '../support/cache-apps.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `type Flight @table @sourcedFrom(origin: "board")
  @cache(freshness: { default: "1h", jitter: "0%" }, stale: { ifError: "1h" })
  @export(public: [read, subscribe]) { id: ID @primaryKey, gate: String }\n`;

describe.each([1, 2])('a WebSocket as the origin, %i thread(s)', (threads) => {
  let server: WebSocketServer;
  let port = 0;
  let greetings: string[] = [];
  let node: NodeProcess | undefined;

  async function open(at: number): Promise<void> {
    server = new WebSocketServer({ host: '127.0.0.1', port: at });
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    greetings = [];
    server.on('connection', (socket) => {
      socket.on('error', () => socket.terminate());
      socket.on('message', (text: Buffer) => greetings.push(text.toString()));
    });
  }
  async function close(): Promise<void> {
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  }

  beforeEach(() => open(0));
  afterEach(async () => {
    await node?.dispose();
    node = undefined;
    await close();
  });

  async function start(): Promise<NodeProcess> {
    const origin = `kind: websocket
url: ws://127.0.0.1:${port}/board
allowPrivate: true
send: { subscribe: flights }
feed: { id: $.id, value: $.state, event: { from: $.what, map: { at: put, gone: delete } } }
`;
    node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'origins/board.yaml': origin },
      flags: ['--threads', String(threads)],
    });
    await isFed(node, 1);
    return node;
  }
  const isFed = (one: NodeProcess, value: 0 | 1) =>
    until(`feed_connected ${value}`, async () => {
      return (await one.metric('millrace_feed_connected', { origin: 'board' })) === value;
    });
  const say = (message: object) => {
    for (const socket of server.clients) socket.send(JSON.stringify(message));
  };
  const shows = (one: NodeProcess, id: string, text: string) =>
    until(`${id} to show ${text}`, async () =>
      (await read(one, `/Flight/${id}`)).text.includes(text),
    );

  it('fills the table, pushes each change on, and forgets what has gone', async () => {
    const one = await start();
    expect(greetings).toEqual(['{"subscribe":"flights"}']);
    say({ what: 'at', id: 'AA1', state: { gate: 'B4' } });
    await shows(one, 'AA1', '"gate":"B4"');
    expect((await read(one, '/Flight/AA1')).cache).toMatch(/^millrace; hit/);
    const events: string[] = [];
    const viewer = new WebSocket(`${one.ws}/Flight/AA1`);
    viewer.on('message', (bytes: Buffer) => events.push(bytes.toString()));
    await until('the retained record', () => events.length === 1);
    say({ what: 'at', id: 'AA1', state: { gate: 'C7' } });
    say({ what: 'gone', id: 'AA1' });
    await until('the delete', () => events.length === 3);
    viewer.terminate();
    expect(events[1]).toContain('"gate":"C7"');
    expect(events[2]).toContain('"type":"delete"');
    expect((await one.fetch('/Flight/AA1')).status).toBe(404);
  });

  it('leaves out what it cannot read, and goes on behind it', async () => {
    const one = await start();
    for (const socket of server.clients) {
      socket.send('no json {');
      socket.send(Buffer.from([0, 1, 2]));
    }
    say({ what: 'unheard of', id: 'AA1', state: {} });
    say({ what: 'at', state: { gate: 'no id' } });
    say({ what: 'at', id: 'AA2', state: { gate: 'A1' } });
    await shows(one, 'AA2', '"gate":"A1"');
    expect(await (await one.fetch('/Flight/')).json()).toEqual([{ id: 'AA2', gate: 'A1' }]);
  });

  it('serves what it holds while the server is away, and is greeted again', async () => {
    const one = await start();
    say({ what: 'at', id: 'AA1', state: { gate: 'B4' } });
    await shows(one, 'AA1', '"gate":"B4"');
    await close();
    await isFed(one, 0);
    expect((await read(one, '/Flight/AA1')).text).toContain('"gate":"B4"');
    await open(port);
    await isFed(one, 1);
    await until('the greeting', () => greetings.length === 1);
    say({ what: 'at', id: 'AA1', state: { gate: 'D9' } });
    await shows(one, 'AA1', '"gate":"D9"');
  });
});
