/**
 * Broken connections: cut, held back in one direction or both, flapping. Both sides go on, and once
 * they can talk again they hold the same within seconds, without losing a write that was answered.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { type NodeProcess, until } from '../support/node-process.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files: CLUSTER_APP, names: ['n1', 'n2', 'n3'] });
  await cluster.converged('Item');
});
afterAll(() => cluster.dispose());
afterEach(() => {
  for (const [one, other] of cluster.pairs()) cluster.network.heal(one, other);
});

/** Under load of everything else, what is asked within 5 s on an idle machine. */
const HEAL_MS = 20_000;
let round = 0;

/** Writes rows of its own, patches one that all share, and adds to its counter. */
async function writeAt(node: NodeProcess, count: number): Promise<readonly string[]> {
  round += 1;
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const id = `r${round}-${n}`;
    const response = await node.put(`/Item/${id}`, { name: `of ${round}` });
    if (response.ok) ids.push(id);
  }
  const patch = { [`by${round}`]: round, count: { __op__: 'add', value: 1 } };
  const response = await node.fetch('/Item/shared', {
    method: 'PATCH',
    body: JSON.stringify(patch),
    headers: { 'content-type': 'application/json' },
  });
  expect(response.ok).toBe(true);
  return ids;
}

async function healed(written: readonly string[]): Promise<Record<string, unknown>> {
  const { rows } = await cluster.converged('Item', HEAL_MS);
  const ids = new Set(rows.map((row) => (row as { id: string }).id));
  expect(written.filter((id) => !ids.has(id))).toEqual([]);
  return rows.find((row) => (row as { id: string }).id === 'shared') as Record<string, unknown>;
}

const has = async (node: NodeProcess, id: string): Promise<boolean> =>
  (await node.fetch(`/Item/${id}`)).status === 200;

describe('a partition', () => {
  it('has both sides go on, and what they wrote come together when it ends', async () => {
    await cluster.node('n1').put('/Item/shared', { name: 'shared', count: 0 });
    await cluster.converged('Item');
    cluster.network.partition('n1', 'n3');
    cluster.network.partition('n2', 'n3');
    const here = await writeAt(cluster.node('n1'), 20);
    const there = await writeAt(cluster.node('n3'), 20);
    expect(await has(cluster.node('n3'), here[0] ?? '')).toBe(false);
    expect(await has(cluster.node('n1'), there[0] ?? '')).toBe(false);
    cluster.network.heal('n1', 'n3');
    cluster.network.heal('n2', 'n3');
    const shared = await healed([...here, ...there]);
    expect(shared).toMatchObject({ count: 2, by1: 1, by2: 2 });
    const conflicts = (node: NodeProcess) =>
      node.metric('millrace_replication_conflicts_total', { table: 'Item' });
    await until('the conflict, counted', async () => {
      const counts = await Promise.all(cluster.nodes.map(conflicts));
      return counts.some((count) => count > 0);
    });
  });

  it('of two nodes alone is gone round by the third', async () => {
    cluster.network.cut('n1', 'n3');
    const here = await writeAt(cluster.node('n1'), 10);
    const there = await writeAt(cluster.node('n3'), 10);
    await healed([...here, ...there]);
  });

  it('in one direction loses nothing', async () => {
    cluster.network.hold('n1', 'n2');
    cluster.network.hold('n1', 'n3');
    const here = await writeAt(cluster.node('n1'), 10);
    const there = await writeAt(cluster.node('n2'), 10);
    expect(await has(cluster.node('n3'), here[0] ?? '')).toBe(false);
    cluster.network.heal('n1', 'n2');
    cluster.network.heal('n1', 'n3');
    await healed([...here, ...there]);
  });

  it('that comes and goes lets everything through in the end', async () => {
    const written: string[] = [];
    for (let flap = 0; flap < 6; flap += 1) {
      for (const [one, other] of cluster.pairs()) cluster.network.cut(one, other);
      written.push(...(await writeAt(cluster.node('n1'), 3)));
      for (const [one, other] of cluster.pairs()) cluster.network.heal(one, other);
      written.push(...(await writeAt(cluster.node('n2'), 3)));
    }
    await healed(written);
  });

  it('with the last word on both sides has one winner everywhere', async () => {
    cluster.network.partition('n1', 'n2');
    cluster.network.partition('n1', 'n3');
    await cluster.node('n1').put('/Item/fought', { name: 'one' });
    await cluster.node('n2').put('/Item/fought', { name: 'two' });
    await cluster.node('n3').put('/Item/gone', { name: 'kept?' });
    cluster.network.heal('n1', 'n2');
    cluster.network.heal('n1', 'n3');
    await healed(['fought']);
    const answers = await Promise.all(
      cluster.nodes.map(async (node) => (await node.fetch('/Item/fought')).text()),
    );
    expect(new Set(answers).size).toBe(1);
    expect(JSON.parse(answers[0] ?? '{}')).toEqual({ id: 'fought', name: 'two' });
  });

  it('does not stop a slow link', async () => {
    for (const [one, other] of cluster.pairs()) cluster.network.delay(one, other, 150);
    const here = await writeAt(cluster.node('n2'), 10);
    await healed(here);
    for (const [one, other] of cluster.pairs()) cluster.network.delay(one, other, 0);
  });
});
