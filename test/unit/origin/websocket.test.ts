/** Origin kind `websocket`, against a real server. */
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { parseOrigin } from '../../../src/config/origin-file.ts';
import type { OriginFeed } from '../../../src/origin/feed.ts';
import type { FeedEvent } from '../../../src/origin/feed-events.ts';
import { ProblemList } from '../../../src/schema/problem.ts';
import { holds } from '../../support/holds.ts';
import { binding, openTestOrigin } from '../../support/origins.ts';

const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(yaml: string, apply?: (event: FeedEvent) => Promise<void>) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => server.once('listening', resolve));
  opened.push(() => {
    // A paused socket never notices that its peer has gone, and closing waits for all of them.
    for (const socket of server.clients) socket.terminate();
    return new Promise((resolve) => server.close(resolve));
  });
  const said: string[] = [];
  const sockets: WebSocket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (text) => said.push(String(text)));
  });
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const problems = new ProblemList();
  const env = { variable: () => undefined } as never;
  const text = `kind: websocket\nurl: ${url}\n${yaml}`;
  const settings = parseOrigin({ name: 'o', text, file: 'o.yaml' }, env, problems);
  if (settings === undefined || !problems.isEmpty)
    throw new Error(JSON.stringify(problems.sorted()));
  const { kind, feed: feedSettings, options } = settings;
  const runtime = await openTestOrigin({ kind, url, feed: feedSettings, options });
  opened.push(() => runtime.stop());
  const events: FeedEvent[] = [];
  const hooks = { apply: apply ?? (async (event: FeedEvent) => void events.push(event)) };
  const feed = runtime.feed([binding], hooks) as OriginFeed;
  opened.push(() => feed.stop());
  feed.start();
  await holds(() => feed.live());
  return { server, sockets, said, events, feed };
}

const MAPPED = 'feed: { id: $.flight, value: $.state, event: put }';

describe('origin kind websocket', () => {
  it('reaches no private address that the settings do not open', async () => {
    const [kind, url] = ['websocket', 'ws://127.0.0.1:9'] as const;
    const runtime = await openTestOrigin({ kind, url, allowPrivate: false });
    opened.push(() => runtime.stop());
    const feed = runtime.feed([binding], { apply: async () => {} }) as OriginFeed;
    opened.push(() => feed.stop());
    feed.start();
    const error = () => (feed.state.kind === 'down' ? feed.state.error : undefined);
    await holds(() => error() !== undefined);
    expect(error()?.code).toBe('ADDRESS_REFUSED');
  });

  it('says what it is to say, and brings records by the places that the settings name', async () => {
    const { sockets, said, events } = await open(`send: [hello, { subscribe: all }]\n${MAPPED}`);
    await holds(() => said.length === 2);
    expect(said).toEqual(['hello', '{"subscribe":"all"}']);
    sockets[0]?.send('{"flight":"AA1","state":{"gate":"B2"}}');
    sockets[0]?.send('[{"flight":1,"state":{}},{"flight":2,"state":{}}]');
    await holds(() => events.length === 2);
    expect(events[0]).toMatchObject({ type: 'put', id: 'AA1', value: { gate: 'B2' } });
    expect(events[1]).toMatchObject({ type: 'transaction', writes: [{ id: 1 }, { id: 2 }] });
  });

  it('comes back when the server has closed the connection', async () => {
    const { sockets, events, feed } = await open(MAPPED);
    sockets[0]?.terminate();
    await holds(() => sockets.length === 2);
    await holds(() => feed.live());
    sockets[1]?.send('{"flight":"AA2","state":{}}');
    await holds(() => events.length === 1);
  });

  it('gives up a peer that answers no ping, and keeps one that does', async () => {
    const { sockets, server, feed } = await open(`idle: 1s\n${MAPPED}`);
    let pings = 0;
    sockets[0]?.on('ping', () => {
      pings += 1;
    });
    await holds(() => pings > 2);
    expect(feed.counters.sessions).toBe(1);
    for (const socket of server.clients) socket.pause();
    await holds(() => !feed.live());
  });

  it('leaves the socket unread while the store is behind, and loses nothing', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const ids: unknown[] = [];
    const { sockets } = await open(MAPPED, async (event) => {
      await held;
      if ('id' in event) ids.push(event.id);
    });
    const padding = 'x'.repeat(64 * 1024);
    for (let flight = 0; flight < 400; flight += 1) {
      sockets[0]?.send(JSON.stringify({ flight, state: { padding } }));
    }
    let before = -1;
    const isSettled = () => {
      const now = sockets[0]?.bufferedAmount ?? 0;
      const same = now === before;
      before = now;
      return same;
    };
    await vi.waitUntil(isSettled, { interval: 200, timeout: 30_000 });
    expect(before).toBeGreaterThan(0);
    release();
    await holds(() => ids.length === 400);
    expect(ids).toEqual(Array.from({ length: 400 }, (_, at) => at));
  });
});
