/** Subscriptions over WebSocket and event streams: what they begin with, go on with, and resume. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { stream } from '../support/event-stream.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  color: String @indexed
  n: Int
}
type Closed @table @export(public: [read]) { id: ID @primaryKey }
`;

const start = (threads: number, folder?: string, yaml = ''): Promise<NodeProcess> =>
  startNode({
    files: { 'schema.graphql': SCHEMA, 'millrace.yaml': yaml },
    flags: ['--threads', String(threads)],
    ...(folder === undefined ? {} : { folder }),
  });

interface Event {
  readonly type: string;
  readonly id?: string | null;
  readonly value?: { readonly n?: number; readonly color?: string };
  readonly values?: readonly { readonly id: string }[];
  readonly position: string;
  readonly retained?: boolean;
  readonly sub?: number;
  readonly code?: string;
}

const offsetOf = (position: string): number => Number(position.split('.').at(-1));

describe.each([1, 2])('push on %i thread(s)', (threads) => {
  let node: NodeProcess;
  let id = '';
  let serial = 0;
  const clients: SocketClient[] = [];

  beforeAll(async () => {
    node = await start(threads);
  });
  afterAll(async () => {
    for (const client of clients) client.terminate();
    await node.dispose();
  });
  beforeEach(() => {
    serial += 1;
    id = `r${serial}`;
  });

  const socket = async (path: string): Promise<SocketClient> => {
    const client = new SocketClient(`${node.ws}${path}`, {});
    clients.push(client);
    return client.opened();
  };
  const events = (client: SocketClient): readonly Event[] =>
    client.events as unknown as readonly Event[];
  const put = async (record: object, key = id): Promise<void> => {
    const response = await node.put(`/Item/${key}`, record);
    expect([201, 204]).toContain(response.status);
  };

  it('a record path begins with the retained record, then tells its changes', async () => {
    await put({ n: 1 });
    const client = await socket(`/Item/${id}`);
    await client.count(1);
    await put({ n: 2 });
    await node.fetch(`/Item/${id}`, { method: 'DELETE' });
    await client.count(3);
    const [first, second, third] = events(client);
    expect(first).toMatchObject({ type: 'put', id, value: { n: 1 }, retained: true });
    expect(second).toMatchObject({ type: 'put', id, value: { n: 2 } });
    expect(second?.retained).toBeUndefined();
    expect(third).toMatchObject({ type: 'delete', id });
    // [DESIGN §7] The order of the members is part of the contract.
    expect(Object.keys(JSON.parse(client.texts[1] ?? ''))).toEqual([
      ...['type', 'table', 'id', 'value', 'position', 'at'],
    ]);
    expect(offsetOf(second?.position ?? '')).toBeLessThan(offsetOf(third?.position ?? ''));
  });

  it('a record path begins with a delete when there is none', async () => {
    const client = await socket(`/Item/${id}`);
    await client.count(1);
    expect(events(client)[0]).toMatchObject({ type: 'delete', id });
    await put({ n: 5 });
    await client.count(2);
    expect(events(client)[1]).toMatchObject({ type: 'put', value: { n: 5 } });
  });

  it('a collection path begins with a snapshot and goes on without a gap', async () => {
    await put({ n: 0 });
    const writing = (async () => {
      for (let n = 1; n <= 100; n += 1) await put({ n });
    })();
    const client = await socket('/Item/');
    await writing;
    const last = () => events(client).findLast((event) => event.id === id);
    await until('the newest value', () => last()?.value?.n === 100);
    const [first] = events(client);
    expect(first?.type).toBe('snapshot');
    expect(first?.values?.some((row) => row.id === id)).toBe(true);
    const own = events(client).filter((event) => event.id === id);
    const numbers = own.map((event) => event.value?.n ?? -1);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });

  it('a filter keeps membership: enter, put, leave', async () => {
    const color = `c${serial}-${threads}`;
    const client = await socket(`/Item/?color=${color}`);
    await client.count(1);
    await put({ color: 'other', n: 1 });
    await put({ color, n: 2 });
    await put({ color, n: 3 });
    await put({ color: 'other', n: 4 });
    await put({ color, n: 5 });
    await node.fetch(`/Item/${id}`, { method: 'DELETE' });
    await client.count(6);
    expect(events(client).map(({ type }) => type)).toEqual([
      ...['snapshot', 'enter', 'put', 'leave', 'enter', 'delete'],
    ]);
    expect(events(client)[1]?.value).toMatchObject({ n: 2 });
  });

  it('/live holds many subscriptions, each event under its name', async () => {
    await put({ n: 1 });
    const client = await socket('/live');
    client.say({ subscribe: `/Item/${id}`, as: 7 });
    client.say({ subscribe: `/Item/?color=none-${id}`, as: 'empty' });
    await client.count(2);
    await put({ n: 2 });
    await until('the change', () => events(client).some((event) => event.value?.n === 2));
    expect(client.texts.every((text) => text.startsWith('{"sub":'))).toBe(true);
    client.say({ unsubscribe: 7 });
    client.say({ subscribe: '/Nothing/', as: 8 });
    client.say({ subscribe: '/Closed/', as: 9 });
    client.say({ subscribe: `/Item/${id}`, as: 'empty' });
    client.say('not json');
    const errors = () => events(client).filter(({ type }) => type === 'error');
    await until('the errors', () => errors().length >= 4);
    expect(errors().map((event) => [event.sub, event.code])).toEqual(
      expect.arrayContaining([
        [8, 'NOT_FOUND'],
        [9, expect.stringMatching(/ACCESS_DENIED|AUTHENTICATION_REQUIRED/)],
        ['empty', expect.any(String)],
      ]),
    );
    const before = events(client).length;
    await put({ n: 3 });
    const witness = await socket(`/Item/${id}`);
    await witness.count(1);
    expect(
      events(client)
        .slice(before)
        .filter((event) => event.sub === 7),
    ).toEqual([]);
  });

  it('a subscription without the grant is refused before the handshake', async () => {
    const client = new SocketClient(`${node.ws}/Closed/`, {});
    await until('the refusal', () => client.refusedWith);
    expect([401, 403]).toContain(client.refusedWith);
  });

  it('an event stream resumes after Last-Event-ID and misses nothing', async () => {
    await put({ n: 1 });
    const [first = ''] = await stream(node, `/Item/${id}`, undefined, (all) => all.length >= 1);
    const position = /^id: (.+)$/m.exec(first)?.[1];
    expect(first).toMatch(/^event: put$/m);
    expect(JSON.parse(/^data: (.+)$/m.exec(first)?.[1] ?? '')).toMatchObject({ position });
    for (let n = 2; n <= 5; n += 1) await put({ n });
    const resumed = await stream(node, `/Item/${id}`, position, (all) =>
      (all.at(-1) ?? '').includes('"n":5'),
    );
    // No snapshot, no reset: the newest value at least, in order, each at most once.
    expect(resumed.some((block) => /"retained"|event: (snapshot|reset)/.test(block))).toBe(false);
    const numbers = resumed.map((block) => Number(/"n":(\d+)/.exec(block)?.[1]));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });

  it('an event stream says whether it goes on from the position that was named', async () => {
    await put({ n: 1 });
    const recovered = async (position?: string) => {
      const asked = position === undefined ? {} : { 'last-event-id': position };
      const headers = { accept: 'text/event-stream', ...asked };
      const response = await node.fetch(`/Item/${id}`, { headers });
      await response.body?.cancel();
      return response.headers.get('millrace-recovered');
    };
    const written = await node.put(`/Item/${id}`, { n: 2 });
    const position = written.headers.get('millrace-position') ?? '';
    expect(await recovered()).toBeNull();
    expect(await recovered(position)).toBe('true');
    expect(await recovered('another.1')).toBe('false');
  });

  it('an unknown position is told reset and given the present state', async () => {
    await put({ n: 9 });
    for (const position of ['zzz.5', 'nonsense', '1', `${'9'.repeat(30)}.1`]) {
      const blocks = await stream(node, `/Item/${id}`, position, (all) => all.length >= 2);
      expect(blocks[0]).toMatch(/^event: reset$/m);
      expect(blocks[0]).not.toMatch(/^id:/m);
      expect(blocks[1]).toMatch(/"n":9/);
    }
  });

  it('a write through any thread reaches the subscribers of every thread, in order', async () => {
    const subscribers = await Promise.all(Array.from({ length: 20 }, () => socket(`/Item/${id}`)));
    for (const each of subscribers) await each.count(1);
    for (let n = 1; n <= 50; n += 1) await put({ n });
    for (const each of subscribers) {
      await until('the newest', () => events(each).at(-1)?.value?.n === 50);
      const numbers = events(each)
        .slice(1)
        .map((event) => event.value?.n ?? 0);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    }
    expect(await node.metric('millrace_subscriptions', { protocol: 'websocket' })).toBeGreaterThan(
      19,
    );
  });
});

describe.each([1, 2])('positions and the end of the process, %i thread(s)', (threads) => {
  it('go on after a clean stop, and after kill -9 on the same machine', async () => {
    let node = await start(threads);
    try {
      await node.put('/Item/a', { n: 1 });
      const [first = ''] = await stream(node, '/Item/', undefined, (all) => all.length >= 1);
      const position = /^id: (.+)$/m.exec(first)?.[1] ?? '';
      for (const [n, signal] of [
        [2, 'SIGTERM'],
        [3, 'SIGKILL'],
      ] as const) {
        await node.put('/Item/a', { n });
        const code = await node.stop(signal);
        if (signal === 'SIGTERM') expect(code).toBe(0);
        node = await start(threads, node.folder);
        const blocks = await stream(node, '/Item/', position, (all) => all.length >= 1);
        expect(blocks[0]).toMatch(/^event: put$/m);
        expect(blocks.join()).toContain(`"n":${n}`);
      }
    } finally {
      await node.dispose();
    }
  });

  it('below what the log still holds are told reset, and given the present state', async () => {
    const node = await start(threads, undefined, 'limits: { logEntriesMax: 100 }\n');
    try {
      await node.put('/Item/a', { n: 1 });
      const [first = ''] = await stream(node, '/Item/', undefined, (all) => all.length >= 1);
      const position = /^id: (.+)$/m.exec(first)?.[1] ?? '';
      const entries = () => node.metric('millrace_log_entries');
      for (let n = 2; n <= 600; n += 20) {
        await Promise.all(Array.from({ length: 20 }, (_, i) => node.put('/Item/a', { n: n + i })));
      }
      await until('the log to be trimmed', async () => {
        await node.put('/Item/b', { n: Date.now() % 1e6 });
        return (await entries()) < 300;
      });
      const blocks = await stream(node, '/Item/', position, (all) => all.length >= 2);
      expect(blocks[0]).toMatch(/^event: reset$/m);
      expect(blocks[1]).toMatch(/^event: snapshot$/m);
      const resets = await node.metric('millrace_subscriber_resets_total', { protocol: 'sse' });
      expect(resets).toBe(1);
    } finally {
      await node.dispose();
    }
  });

  it('a socket is told to come back when the node stops', async () => {
    const node = await start(threads);
    const client = new WebSocket(`${node.ws}/Item/`);
    const closed = new Promise<number>((resolve) => client.once('close', resolve));
    await new Promise((resolve) => client.once('message', resolve));
    expect(await node.stop()).toBe(0);
    const code = await closed;
    // 4000 to 4499: reconnect.
    expect(code === 1001 || (code >= 4000 && code < 4500)).toBe(true);
    await node.dispose();
  });
});
