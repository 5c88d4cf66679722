/**
 * Nodes that die, come back late, empty, or twice: snapshots go on where they ended, rows that only
 * one side has survive, deletions too, and nobody takes the place of a node that is there.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { CLUSTER_TOKEN, Cluster } from '../support/cluster.ts';
import { CLUSTER_APP, SHORT_LOG } from '../support/cluster-app.ts';
import { type AppFiles, type NodeProcess, startNode, until } from '../support/node-process.ts';

let cluster: Cluster;
afterEach(() => cluster.dispose());

const HEAL_MS = 30_000;

async function started(names: readonly string[], files: AppFiles = CLUSTER_APP): Promise<void> {
  cluster = await Cluster.start({ files, names });
  await cluster.converged('Item');
}

async function fill(node: NodeProcess, prefix: string, count: number, bytes = 20): Promise<void> {
  const name = 'x'.repeat(bytes);
  const lines = Array.from({ length: count }, (_, n) =>
    JSON.stringify({ id: `${prefix}${n}`, name }),
  );
  const response = await node.fetch('/Item/', {
    method: 'PUT',
    body: lines.join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await response.text();
}

const idsOf = (rows: readonly unknown[]): Set<string> =>
  new Set(rows.map((row) => (row as { id: string }).id));

describe('a node', () => {
  it('that was away longer than the log reaches back merges what both sides wrote', async () => {
    await started(['n1', 'n2'], SHORT_LOG);
    await fill(cluster.node('n1'), 'before', 100);
    await cluster.converged('Item');
    cluster.network.cut('n1', 'n2');
    await fill(cluster.node('n1'), 'one', 600);
    await fill(cluster.node('n2'), 'two', 600);
    await cluster.node('n1').fetch('/Item/before1', { method: 'DELETE' });
    await cluster.node('n2').fetch('/Item/before2', { method: 'DELETE' });
    cluster.network.heal('n1', 'n2');
    const rows = await until('both sides', async () => {
      const found = (await cluster.converged('Item', HEAL_MS)).rows;
      return found.length === 1_298 && found;
    });
    const ids = idsOf(rows);
    expect(ids.has('before1') || ids.has('before2')).toBe(false);
    expect(ids.has('one599') && ids.has('two599') && ids.has('before0')).toBe(true);
  });

  it('that is killed again and again while it takes a snapshot ends with all of it', async () => {
    await started(['n1'], SHORT_LOG);
    await fill(cluster.node('n1'), 'row', 4_000, 300);
    cluster.network.delay('n1', 'n2', 20);
    await cluster.start('n2');
    const held = () => cluster.node('n2').metric('millrace_cache_entries', { table: 'Item' });
    for (let kill = 0; kill < 2; kill += 1) {
      await until('some rows', async () => (await held()) > kill * 500);
      await cluster.kill('n2');
      await cluster.start('n2');
    }
    cluster.network.delay('n1', 'n2', 0);
    const { rows } = await cluster.converged('Item', HEAL_MS);
    expect(rows).toHaveLength(4_000);
  }, 90_000);

  it('that comes back empty under its old name gets all back, its own rows too', async () => {
    await started(['n1', 'n2', 'n3']);
    await fill(cluster.node('n2'), 'own', 200);
    await fill(cluster.node('n1'), 'other', 200);
    await cluster.converged('Item');
    await cluster.kill('n2');
    await cluster.node('n3').put('/Item/meanwhile', { name: 'm' });
    await cluster.start('n2', { isEmpty: true });
    const { rows } = await cluster.converged('Item', HEAL_MS);
    expect(rows).toHaveLength(401);
    // It goes on as an author whom nobody takes for the one before.
    await cluster.node('n2').put('/Item/after', { name: 'a' });
    await cluster.node('n2').fetch('/Item/own0', { method: 'DELETE' });
    const ids = idsOf((await cluster.converged('Item', HEAL_MS)).rows);
    expect(ids.has('after')).toBe(true);
    expect(ids.has('own0')).toBe(false);
  });

  it('under a name that is there is turned away, and the other is not disturbed', async () => {
    await started(['n1', 'n2']);
    const url = await cluster.network.addressOf('n1');
    const twin = await startNode({
      files: CLUSTER_APP,
      flags: ['--node-name', 'n2', '--cluster-token', CLUSTER_TOKEN, '--peer', url],
    });
    try {
      await until('the refusal', () => twin.stderr().includes('DUPLICATE_NODE'));
      const refusal = await until('a refused write', async () => {
        const answer = await twin.put('/Item/of-the-twin', { name: 't' });
        return answer.status === 503 && answer.json();
      });
      expect(refusal).toMatchObject({ code: 'NAME_TAKEN' });
      expect(JSON.stringify(refusal)).toMatch(/n1 lets that one in.*--node-name/);
      expect((await twin.operate({ operation: 'cluster_status' })).status).toBe('name taken');
      await cluster.node('n2').put('/Item/of-the-first', { name: 'f' });
      const ids = idsOf((await cluster.converged('Item')).rows);
      // What it took before it was told is its own.
      expect([...ids]).toEqual(['of-the-first']);
      const refused = { event: 'nodesRefused' };
      const count = await cluster.node('n1').metric('millrace_replication_events_total', refused);
      expect(count).toBeGreaterThan(0);
      await cluster.kill('n2');
      const isTaken = async () => (await twin.put('/Item/taken', { name: 't' })).ok;
      await until('writes of who has the name now', isTaken, 45_000);
      const isThere = async () => (await cluster.node('n1').fetch('/Item/taken')).ok;
      await until('them at the other node', isThere, 45_000);
    } finally {
      await twin.dispose();
    }
  });

  it('that was killed loses nothing it had answered', async () => {
    await started(['n1', 'n2']);
    const answered: string[] = [];
    const writing = (async () => {
      for (let n = 0; ; n += 1) {
        const response = await cluster.node('n1').put(`/Item/k${n}`, { name: 'k' });
        if (!response.ok) return;
        answered.push(`k${n}`);
      }
    })().catch(() => undefined);
    await until('some writes', () => answered.length > 50);
    await cluster.node('n1').stop('SIGKILL');
    await writing;
    await cluster.start('n1');
    const ids = idsOf((await cluster.converged('Item', HEAL_MS)).rows);
    expect(answered.filter((id) => !ids.has(id))).toEqual([]);
  });

  it('keeps to itself what is not to be replicated', async () => {
    await started(['n1', 'n2']);
    await cluster.node('n1').put('/Local/a', {});
    await cluster.node('n1').put('/Item/a', { name: 'a' });
    await cluster.converged('Item');
    expect((await cluster.node('n2').fetch('/Local/a')).status).toBe(404);
  });
});
