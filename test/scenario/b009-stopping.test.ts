/** How a node ends, and what of a client's work survives it. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeOptions, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { ENGINES, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, subscribe]) { id: ID @primaryKey, n: Int }
type Slow @table @sourcedFrom(origin: "slow", path: "/{id}") @export(public: [read]) {
  id: ID @primaryKey
}
`;
const WRITERS = 16;
const READERS = 10;
const SLOW_MS = 700;

const nodes: NodeProcess[] = [];
const origins: HttpOrigin[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.dispose();
  for (const origin of origins.splice(0)) await origin.close();
});

async function start(options: Partial<NodeOptions> = {}): Promise<NodeProcess> {
  const origin = await HttpOrigin.start(() => behave.after(SLOW_MS, behave.json({})));
  origins.push(origin);
  const node = await startNode({
    files: {
      'schema.graphql': SCHEMA,
      'origins/slow.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
    },
    ...options,
  });
  nodes.push(node);
  return node;
}

/** Writes until the node refuses; the numbers that were acknowledged, and every status seen. */
async function writeOn(node: NodeProcess, writer: number) {
  const acknowledged: string[] = [];
  const statuses = new Set<number>();
  for (let n = 0; ; n += 1) {
    const response = await node.put(`/Item/${writer}-${n}`, { n }).catch(() => undefined);
    if (response === undefined) return { acknowledged, statuses };
    statuses.add(response.status);
    if (response.status === 201) acknowledged.push(`${writer}-${n}`);
    else if (response.status === 503) return { acknowledged, statuses };
  }
}

const CASES = [
  ...ENGINES.map((engine) => ({ engine, threads: 1 })),
  { engine: 'uws' as const, threads: 2 },
];

describe.each(CASES)('SIGTERM on $engine with $threads threads', ({ engine, threads }) => {
  it('lets what is under way finish, tells subscribers, loses no write, and ends with 0', async () => {
    const env = { MILLRACE_HTTP_ENGINE: engine };
    const node = await start({ env, flags: ['--threads', String(threads)] });
    const socket = new WebSocket(`${node.ws}/Item/`);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('message', resolve));
    const reads = Array.from({ length: READERS }, (_, n) => node.fetch(`/Slow/${n}`));
    const writes = Array.from({ length: WRITERS }, (_, writer) => writeOn(node, writer));
    await until('all reads under way', () => origins[0]?.requests.length === READERS);
    await until('some writes', async () => (await fetchCount(node)) > WRITERS);
    const ended = node.stop();
    expect((await Promise.all(reads)).map(({ status }) => status)).toEqual(
      Array.from({ length: READERS }, () => 200),
    );
    expect(await closed).toBe(4001);
    expect(await ended).toBe(0);
    const done = await Promise.all(writes);
    for (const { statuses } of done) {
      expect([...statuses].filter((status) => status !== 201 && status !== 503)).toEqual([]);
    }
    const again = await start({ env, folder: node.folder });
    const rows = (await json(await again.fetch('/Item/?limit(10000)'))) as { id: string }[];
    const held = new Set(rows.map(({ id }) => id));
    const lost = done.flatMap(({ acknowledged }) => acknowledged).filter((id) => !held.has(id));
    expect(lost).toEqual([]);
  });
});

async function fetchCount(node: NodeProcess): Promise<number> {
  return ((await (await node.fetch('/Item/')).json()) as unknown[]).length;
}

/** The children of a process that are nodes. */
function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

const readyLines = (node: NodeProcess) =>
  node
    .stdout()
    .split('\n')
    .filter((line) => line.includes('"ready"'))
    .map((line) => JSON.parse(line) as { http: string });

describe.skipIf(process.platform !== 'linux')('a supervised node', () => {
  it('is back soon after it was killed, with everything acknowledged, and stops with its parent', async () => {
    const node = await start({ flags: ['--supervise'] });
    expect((await node.put('/Item/kept', { n: 1 })).status).toBe(201);
    const [child = 0] = childrenOf(node.process.pid ?? 0);
    process.kill(child, 'SIGKILL');
    const second = await until('a second start', () => readyLines(node)[1]);
    expect(await json(await fetch(`${second.http}/Item/kept`))).toEqual({ id: 'kept', n: 1 });
    expect(await node.stop()).toBe(0);
    await expect(fetch(`${second.http}/Item/kept`)).rejects.toThrow();
  });

  it('does not outlive its supervisor', async () => {
    const node = await start({ flags: ['--supervise'] });
    expect((await node.fetch('/Item/')).status).toBe(200);
    await node.stop('SIGKILL');
    await until('the end of the child', () =>
      node.fetch('/Item/').then(
        () => false,
        () => true,
      ),
    );
  });

  it('is not started again while its supervisor stops', async () => {
    const node = await start({ flags: ['--supervise'] });
    const [child = 0] = childrenOf(node.process.pid ?? 0);
    process.kill(child, 'SIGKILL');
    await until('the news of the crash', () => node.stderr().includes('starting it again'));
    expect(await node.stop()).toBe(0);
    expect(readyLines(node)).toHaveLength(1);
  });
});
