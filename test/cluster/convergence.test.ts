/**
 * Nodes that know of each other hold the same: every kind of write travels, subscribers of one node
 * hear of what was written at another, and whoever joins by one address learns all others.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { until } from '../support/node-process.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files: CLUSTER_APP, names: ['n1', 'n2', 'n3'] });
});
afterAll(() => cluster.dispose());

interface StatusAnswer {
  readonly node_name: string;
  readonly status: string;
  readonly connections: readonly {
    readonly name: string;
    readonly connected: boolean;
    readonly state: string;
    readonly behind: number;
    readonly lagSeconds: number;
  }[];
}

const status = async (name: string): Promise<StatusAnswer> =>
  (await cluster.node(name).operate({
    operation: 'cluster_status',
  })) as unknown as StatusAnswer;

describe('nodes of a cluster', () => {
  it('learn all others from the one they were told of', async () => {
    for (const name of ['n1', 'n2', 'n3']) {
      const others = ['n1', 'n2', 'n3'].filter((each) => each !== name);
      await until(`the connections of ${name}`, async () => {
        const { connections } = await status(name);
        const live = connections.filter(({ connected, state }) => connected && state === 'live');
        return live.map((each) => each.name).join() === others.join();
      });
    }
    expect((await status('n2')).status).toBe('caught up');
  });

  it('hold the same after puts, patches, deletes and additions anywhere', async () => {
    const [one, two, three] = cluster.nodes;
    if (one === undefined || two === undefined || three === undefined) throw new Error('three');
    await one.put('/Item/a', { name: 'first', count: 1, more: { deep: [1, 2] } });
    await two.put('/Item/b', { name: 'second', count: 0 });
    await three.put('/Item/c', { name: 'third' });
    await cluster.converged('Item');
    await two.fetch('/Item/a', { method: 'PATCH', body: '{"name":"renamed"}', ...JSON_BODY });
    await three.fetch('/Item/b', { method: 'DELETE' });
    const add = JSON.stringify({ count: { __op__: 'add', value: 5 } });
    const adding = cluster.nodes.map((node) =>
      node.fetch('/Item/a', { method: 'PATCH', body: add, ...JSON_BODY }),
    );
    expect((await Promise.all(adding)).map(({ status: code }) => code)).toEqual([204, 204, 204]);
    const sum = async () => {
      const { rows } = await cluster.converged('Item');
      const item = rows.find((row) => (row as { id: string }).id === 'a') as { count: number };
      return item.count === 16 && rows;
    };
    expect(await until('all additions', sum)).toEqual([
      { id: 'a', name: 'renamed', count: 16, more: { deep: [1, 2] } },
      { id: 'c', name: 'third' },
    ]);
  });

  it('tell their subscribers of what was written elsewhere', async () => {
    const events: { type: string; id: string; value?: unknown }[] = [];
    const socket = new WebSocket(`${cluster.node('n3').ws}/Item/live`);
    socket.on('message', (data) => events.push(JSON.parse(data.toString())));
    await until('the first event', () => events.length > 0);
    await cluster.node('n1').put('/Item/live', { name: 'now' });
    await until('the write', () => events.some(({ type, value }) => type === 'put' && value));
    expect(events.at(-1)).toMatchObject({ type: 'put', value: { id: 'live', name: 'now' } });
    socket.terminate();
  });

  it('measure how far behind they are', async () => {
    const two = cluster.node('n2');
    await cluster.converged('Item');
    await until('no lag', async () => {
      const behind = await two.metric('millrace_replication_behind_changes', { peer: 'n1' });
      return (
        behind === 0 && (await two.metric('millrace_replication_lag_seconds', { peer: 'n1' })) === 0
      );
    });
    expect(await two.metric('millrace_replication_connected', { peer: 'n3' })).toBe(1);
    const bytes = { peer: 'n1', direction: 'received' };
    expect(await two.metric('millrace_replication_bytes_total', bytes)).toBeGreaterThan(0);
  });

  it('have equal digests of every table, once they have settled', async () => {
    const digests = async () => {
      const all = await Promise.all(
        cluster.nodes.map((node) => node.operate({ operation: 'cluster_digests' })),
      );
      return all.map(({ tables }) => JSON.stringify(tables));
    };
    const same = await until('equal digests', async () => {
      const all = await digests();
      return new Set(all).size === 1 && all[0];
    });
    expect(Object.keys(JSON.parse(same))).toContain('Item');
  });
});

const JSON_BODY = { headers: { 'content-type': 'application/json' } };
