/**
 * A transaction shows whole on other nodes, or not at all: who reads there while large ones come,
 * directly and by way of another node, never sees some rows of one beside those of the one before.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

/** Together more than one batch between nodes has. */
const ROWS = 500;
const NAME = 'x'.repeat(700);
const TIMES = 6;
const PATIENCE_MS = 60_000;
/** The first row that is written and the last; a short list is read at one instant. */
const ENDS = '/Item/?select(id,count)&limit(2)';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files: CLUSTER_APP, names: ['n1', 'n2', 'n3'] });
  await cluster.live(['n1', 'n2', 'n3']);
});
afterAll(() => cluster.dispose());

async function writeAll(node: NodeProcess, count: number): Promise<void> {
  const between = Array.from({ length: ROWS - 2 }, (_, n) => `b${n}`);
  const rows = ['a0', ...between, 'a1'].map((id) => ({ id, name: NAME, count }));
  const response = await node.fetch('/Item/', {
    method: 'PUT',
    body: JSON.stringify(rows),
    headers: { 'content-type': 'application/json' },
  });
  expect(response.ok, await response.text()).toBe(true);
}

/** Everything that is seen at a node until the last transaction is; what of it was in part. */
async function halvesSeen(node: NodeProcess, last: number): Promise<readonly string[]> {
  const halves: string[] = [];
  const look = async () => {
    const rows = (await (await node.fetch(ENDS)).json()) as { count: number }[];
    const counts = new Set(rows.map(({ count }) => count));
    if (counts.size > 1 || rows.length === 1) {
      halves.push(`${rows.length} rows of ${[...counts].join(' and ')}`);
    }
    return counts.has(last);
  };
  await until('the last transaction', look, PATIENCE_MS);
  return halves;
}

it('is never seen in part, neither at once nor by way of another node', async () => {
  cluster.network.cut('n1', 'n3');
  const readers = ['n1', 'n2', 'n3'].map((name) => halvesSeen(cluster.node(name), TIMES));
  for (let count = 1; count <= TIMES; count += 1) await writeAll(cluster.node('n1'), count);
  expect(await Promise.all(readers)).toEqual([[], [], []]);
  cluster.network.heal('n1', 'n3');
}, 120_000);

it('is whole when several come at once behind an outage', async () => {
  cluster.network.cut('n1', 'n2');
  cluster.network.cut('n2', 'n3');
  const last = 2 * TIMES;
  for (let count = TIMES + 1; count <= last; count += 1) {
    await writeAll(cluster.node('n1'), count);
  }
  const seen = halvesSeen(cluster.node('n2'), last);
  cluster.network.heal('n1', 'n2');
  expect(await seen).toEqual([]);
}, 120_000);
