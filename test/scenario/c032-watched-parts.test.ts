/** Subscriptions that look at, and show, what records compute; and what they refuse to follow. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Order @table @export(public: [read, insert, update, delete, subscribe]) {
  id: ID @primaryKey
  buyerId: ID @indexed
  price: Float
  count: Int
  buyer: Buyer @relationship(from: buyerId)
  total: Float @computed(from: "price * count")
}
type Buyer @table @export(public: [read, insert]) { id: ID @primaryKey, name: String }
`;

interface Event {
  readonly type: string;
  readonly id?: string;
  readonly value?: unknown;
  readonly values?: readonly unknown[];
}

describe('a subscription', () => {
  let node: NodeProcess;
  const sockets: WebSocket[] = [];
  beforeAll(async () => {
    node = await startNode({ files: { 'schema.graphql': SCHEMA } });
    await node.put('/Order/a', { price: 60, count: 2, buyerId: 'x' });
    await node.put('/Order/b', { price: 1, count: 2 });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.terminate();
    await node.dispose();
  });

  async function follow(target: string): Promise<Event[]> {
    const events: Event[] = [];
    const socket = new WebSocket(`${node.ws}${target}`);
    sockets.push(socket);
    socket.on('message', (bytes: Buffer) => events.push(JSON.parse(bytes.toString())));
    await until(`the snapshot of ${target}`, () => events.some((one) => one.type === 'snapshot'));
    return events;
  }
  const told = (events: readonly Event[]) =>
    events.map(({ type, id, value, values }) => [type, id ?? undefined, value ?? values]);

  it('holds conditions on what is computed against each change, and shows what it selects', async () => {
    const events = await follow('/Order/?total=gt=100&select(id,total)');
    await node.put('/Order/b', { price: 101, count: 1 });
    await node.put('/Order/b', { price: 102, count: 1 });
    await node.put('/Order/b', { price: 1, count: 1 });
    await node.fetch('/Order/a', { method: 'DELETE' });
    await until('the delete', () => events.at(-1)?.type === 'delete');
    expect(told(events)).toEqual([
      ['snapshot', undefined, [{ id: 'a', total: 120 }]],
      ['enter', 'b', { id: 'b', total: 101 }],
      ['put', 'b', { id: 'b', total: 102 }],
      ['leave', 'b', undefined],
      ['delete', 'a', undefined],
    ]);
  });

  it('shows a part of every row where there are no conditions', async () => {
    const [parts, whole] = await Promise.all([
      follow('/Order/?select(total)'),
      follow('/Order/?price=7'),
    ]);
    await node.put('/Order/c', { price: 7, count: 3 });
    await until('both', () => parts.length === 2 && whole.length === 2);
    expect(told(parts).at(-1)).toEqual(['put', 'c', 21]);
    expect(told(whole).at(-1)).toEqual(['enter', 'c', { id: 'c', price: 7, count: 3 }]);
  });

  it('refuses to follow relationships, and says where', async () => {
    for (const [query, position] of [
      ['buyer.name=Ada', 0],
      ['price=1&select(id,buyer{name})', 18],
      ['sort(price)', 0],
      ['select($updatedtime)', 0],
    ] as const) {
      const headers = { accept: 'text/event-stream' };
      const response = await node.fetch(`/Order/?${query}`, { headers });
      const { detail } = (await response.json()) as { detail: string };
      expect([query, response.status, detail]).toEqual([
        query,
        400,
        expect.stringContaining(`position ${position}`),
      ]);
    }
  });
});
