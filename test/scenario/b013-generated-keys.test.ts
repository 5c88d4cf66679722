/** Number keys that the node makes: counted up, on every thread, over restarts and `kill -9`. */
import { afterAll, describe, expect, it } from 'vitest';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { JSON_BODY } from '../support/scenario-apps.ts';

const SCHEMA = `
type Ticket @table @export(public: [read, insert, update]) { id: Int @primaryKey, n: Int }
type Event @table @export(public: [read, insert, update]) { id: Long @primaryKey, n: Int }
`;
const POSTS = 200;

const nodes: NodeProcess[] = [];

async function start(threads: number, folder?: string): Promise<NodeProcess> {
  const node = await startNode({
    files: { 'schema.graphql': SCHEMA },
    flags: ['--threads', String(threads)],
    ...(folder !== undefined && { folder }),
  });
  nodes.push(node);
  return node;
}

async function post(node: NodeProcess, table: string, n: number): Promise<number> {
  const response = await node.fetch(`/${table}/`, {
    method: 'POST',
    body: JSON.stringify({ n }),
    // A connection of its own: with several threads they come to different ones.
    headers: { ...JSON_BODY, connection: 'close' },
  });
  expect(response.status).toBe(201);
  const { id } = (await response.json()) as { id: number };
  expect(response.headers.get('location')).toBe(`/${table}/${id}`);
  return id;
}

const postMany = (node: NodeProcess, table: string) =>
  Promise.all(Array.from({ length: POSTS }, (_, n) => post(node, table, n)));

describe.each([1, 2])('generated number keys with %i threads', (threads) => {
  let running: NodeProcess | undefined;
  afterAll(async () => {
    for (const node of nodes.splice(0)) await node.dispose();
  });

  it('are never given twice, whoever asks at once and however the node ended', async () => {
    const first = await start(threads);
    const before = await postMany(first, 'Ticket');
    await first.stop('SIGKILL');
    const second = await start(threads, first.folder);
    const after = await postMany(second, 'Ticket');
    const all = new Set([...before, ...after]);
    expect(all.size).toBe(2 * POSTS);
    for (const id of all) expect(Number.isInteger(id) && id > 0 && id < 2 ** 31).toBe(true);
    const rows = await (await second.fetch('/Ticket/?limit(1000)')).json();
    expect((rows as { id: number }[]).map(({ id }) => id)).toEqual([...all].sort((a, b) => a - b));
    running = second;
  });

  it('pass over the numbers that clients chose themselves', async () => {
    const node = running ?? (await start(threads));
    for (const id of [1, 2, 3, 65, 66]) await node.put(`/Event/${id}`, { n: -1 });
    const made = await Promise.all(Array.from({ length: 20 }, (_, n) => post(node, 'Event', n)));
    expect(made.filter((id) => [1, 2, 3, 65, 66].includes(id))).toEqual([]);
    expect(new Set(made).size).toBe(20);
  });
});
