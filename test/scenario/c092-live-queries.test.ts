/** Live queries over the wire: patches, windows of `sort()` and `limit()`, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FeedEvent } from '../support/fake-sink.ts';
import { StreamReader } from '../support/live-readers.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { OrderedPicture } from '../support/ordered-picture.ts';
import { SocketClient } from '../support/push-node.ts';

const SCHEMA = `
type Team @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  league: String @indexed
  points: Int
  name: String
}
type Score @table(history: true) @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  n: Int
}
`;

const NAME = 'a name that is long enough for a patch to be shorter';

describe.each([
  ['uws', '2'],
  ['node', '1'],
])('live queries on %s, %s thread(s)', (engine, threads) => {
  let node: NodeProcess;
  const clients: SocketClient[] = [];

  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    for (const client of clients) client.terminate();
    await node.dispose();
  });

  const socket = async (path: string): Promise<SocketClient> => {
    const client = new SocketClient(`${node.ws}${path}`, {});
    clients.push(client);
    return client.opened();
  };
  const put = async (league: string, id: string, points: number): Promise<void> => {
    const response = await node.put(`/Team/${id}`, { id, league, points, name: NAME });
    expect(response.status).toBeLessThan(300);
  };
  const ordered = (client: SocketClient): readonly unknown[] => {
    const picture = new OrderedPicture();
    for (const event of client.events) picture.apply(event as FeedEvent);
    return picture.rows.map(({ id, value }) => [id, (value as { points: number }).points]);
  };

  it('keeps the first rows of a query in their order', async () => {
    for (const [at, id] of ['a', 'b', 'c', 'd'].entries()) await put('x', id, 10 - at);
    const query = '/Team/?league=x&sort(-points)&limit(3)';
    const path = await socket(query);
    const live = await socket('/live');
    live.say({ subscribe: query, as: 1, delta: 'merge-patch' });
    await Promise.all([path.count(1), live.count(1)]);
    expect(path.events[0]).toMatchObject({ type: 'snapshot', ids: ['a', 'b', 'c'] });
    await put('x', 'd', 12);
    await put('x', 'b', 11);
    await put('x', 'a', 1);
    await put('other', 'd', 50);
    const wanted = [
      ['b', 11],
      ['c', 8],
      ['a', 1],
    ];
    await until('the order', () => JSON.stringify(ordered(path)) === JSON.stringify(wanted));
    await until('the order', () => JSON.stringify(ordered(live)) === JSON.stringify(wanted));
    expect(live.events.map(({ type }) => type)).toContain('patch');
    await node.fetch('/Team/b', { method: 'DELETE' });
    await until('the next row', () => ordered(path).length === 2);
  });

  it('tells changes as patches of what was sent last, and a new row whole', async () => {
    await put('p', 'p1', 1);
    const client = await socket('/live');
    client.say({ subscribe: '/Team/?league=p', as: 'teams', delta: 'merge-patch' });
    await client.count(1);
    await put('p', 'p1', 2);
    await put('p', 'p2', 1);
    await put('elsewhere', 'p1', 2);
    await client.count(4);
    const [, patch, enter, leave] = client.events;
    expect(patch).toMatchObject({ sub: 'teams', type: 'patch', id: 'p1', value: { points: 2 } });
    expect(Object.keys(patch?.value as object)).toEqual(['points']);
    expect(enter).toMatchObject({ type: 'enter', id: 'p2', value: { name: NAME } });
    expect(leave).toMatchObject({ type: 'leave', id: 'p1' });
  });

  it('shows a window over an event stream', async () => {
    await put('s', 's1', 5);
    const told: FeedEvent[] = [];
    const reader = new StreamReader(node.http, '/Team/?league=s&sort(points)&limit(1)');
    reader.onEvent = (event) => told.push(event);
    await reader.connect();
    await put('s', 's2', 1);
    await until('the new first row', () => told.length >= 3);
    reader.drop();
    expect(told.map(({ type, id }) => [type, id ?? undefined])).toEqual([
      ['snapshot', undefined],
      ['leave', 's1'],
      ['enter', 's2'],
    ]);
  });

  it('begins with changes of the past where the table keeps them, and then as ever', async () => {
    for (let n = 1; n <= 4; n += 1) {
      await node.put('/Score/h', { id: 'h', n });
      await node.put('/Score/other', { id: 'other', n });
    }
    await node.fetch('/Score/other', { method: 'DELETE' });
    const client = await socket('/Score/h?history(3)');
    await client.count(4);
    await node.put('/Score/h', { id: 'h', n: 5 });
    await client.count(5);
    const brief = client.events.map(({ type, value, ...event }) => {
      const { history, retained } = event as { history?: boolean; retained?: boolean };
      return [type, (value as { n: number }).n, history ?? retained];
    });
    expect(brief).toEqual([
      ['put', 2, true],
      ['put', 3, true],
      ['put', 4, true],
      ['put', 4, true],
      ['put', 5, undefined],
    ]);
    const live = await socket('/live');
    live.say({ subscribe: '/Score/', as: 1, history: { since: 0 }, omitCurrent: true });
    await live.count(10);
    expect(live.events.map(({ type }) => type)).toEqual([
      ...Array<string>(8).fill('put'),
      ...['delete', 'put'],
    ]);
    const told: FeedEvent[] = [];
    const reader = new StreamReader(node.http, '/Score/?n=gt=2&history(1)');
    reader.onEvent = (event) => told.push(event);
    await reader.connect();
    await until('the snapshot', () => told.length === 2);
    expect(told).toMatchObject([{ type: 'put', value: { n: 5 } }, { type: 'snapshot' }]);
    reader.drop();
  });

  it('says what is wrong with a wish', async () => {
    const client = await socket('/live');
    client.say({ subscribe: '/Team/', as: 1, delta: 'fossil' });
    client.say({ subscribe: '/Team/?sort(points)', as: 2 });
    client.say({ subscribe: '/Team/', as: 3, history: 5 });
    client.say({ subscribe: '/Score/?history(many)', as: 4 });
    client.say({ subscribe: '/Score/', as: 5, history: { last: 0 } });
    await client.count(5);
    const codes = client.events.slice(2).map(({ code }) => code);
    expect(codes).toEqual(['QUERY_INVALID', 'QUERY_INVALID', 'REQUEST_MALFORMED']);
    expect(client.events[0]).toMatchObject({ type: 'error', sub: 1, code: 'REQUEST_MALFORMED' });
    expect(client.events[1]).toMatchObject({ type: 'error', sub: 2, code: 'QUERY_INVALID' });
  });
});
