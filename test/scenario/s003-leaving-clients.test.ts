/** Clients that leave at random moments: the node lives, and forgets every one of them. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { cachedTable, originFile, pass } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const CLIENTS = 100;
const OWN =
  'type Own @table @export(public: [read, insert, update, subscribe]) ' +
  '{ id: ID @primaryKey, text: String }\n';

describe.each([
  [1, 'uws'],
  [1, 'node'],
  [2, 'uws'],
] as const)('clients that leave, %i thread(s), %s', (threads, engine) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.hang());
    node = await startNode({
      files: {
        'schema.graphql': cachedTable({ name: 'Slow' }) + OWN,
        'origins/api.yaml': originFile(origin.url, 'timeout: 400ms\nretries: 0'),
      },
      flags: ['--threads', String(threads)],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
    const text = 'x'.repeat(20_000);
    for (let i = 0; i < 100; i += 1) await node.put(`/Own/r${i}`, { text });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  /** Sends `text` on a connection and resets it after a random time. */
  const leaveRaw = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(node.http);
      const socket = connect(Number(port), hostname, () => {
        socket.write(text);
        setTimeout(() => socket.resetAndDestroy(), Math.random() * 60);
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });

  const leaveSocket = async (path: string): Promise<void> => {
    const socket = new WebSocket(`${node.ws}${path}`);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await pass(Math.random() * 60);
    if (path === '/live' && socket.readyState === WebSocket.OPEN) {
      for (let i = 0; i < 5; i += 1) socket.send(JSON.stringify({ subscribe: '/Own/', as: i }));
      await pass(Math.random() * 20);
    }
    socket.terminate();
    await closed;
  };

  const HOST = 'Host: x\r\n';
  const ways: readonly ((i: number) => Promise<void>)[] = [
    () => leaveRaw('GET /Own/r1 HTT'),
    () => leaveRaw(`PUT /Own/cut HTTP/1.1\r\n${HOST}Content-Length: 5000\r\n\r\n{"text":"`),
    (i) => leaveRaw(`GET /Slow/s${i} HTTP/1.1\r\n${HOST}\r\n`),
    () => leaveRaw(`GET /Slow/same HTTP/1.1\r\n${HOST}\r\n`),
    () => leaveRaw(`GET /Own/ HTTP/1.1\r\n${HOST}\r\n`),
    () => leaveRaw(`GET /Own/ HTTP/1.1\r\n${HOST}Accept: text/event-stream\r\n\r\n`),
    () => leaveRaw(`GET /Slow/r HTTP/1.1\r\n${HOST}Accept: text/event-stream\r\n\r\n`),
    () => leaveSocket('/Own/'),
    () => leaveSocket('/Slow/w'),
    () => leaveSocket('/live'),
  ];

  it('are forgotten, every one', async () => {
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i += 1) await node.put('/Own/r0', { text: 'y'.repeat(i % 50_000) });
    })();
    for (let round = 0; round < 3; round += 1) {
      const leaving = Array.from({ length: CLIENTS }, (_, i) => ways[i % ways.length]?.(i));
      await Promise.all(leaving);
    }
    writing = false;
    await writer;
    const protocols = ['websocket', 'sse'] as const;
    for (const protocol of protocols) {
      await until(`no ${protocol} subscription`, async () => {
        return (await node.metric('millrace_subscriptions', { protocol })) === 0;
      });
      await until(`no ${protocol} connection`, async () => {
        return (await node.metric('millrace_connections', { protocol })) === 0;
      });
    }
    await until('nothing in flight', async () => {
      return (await node.metric('millrace_origin_in_flight', { origin: 'api' })) === 0;
    });
    expect((await node.fetch('/Own/r1')).status).toBe(200);
    expect((await node.fetch('/Own/cut')).status).toBe(404);
    expect(node.process.exitCode).toBe(null);
    expect(node.stdout()).not.toContain('broke one of our own assumptions');
    // What `fetch` of this test keeps alive is not counted: a thread's own connections end too.
    expect(await node.stop()).toBe(0);
  });
});
