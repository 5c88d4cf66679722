/**
 * A node of the cluster that has gone bad: it proves who it is, keeps to the protocol, and changes
 * one thing in what it says, thousands of times, each by a seed. Whatever it is: the node it talks
 * to lives, the rows of others stay as they are, what was refused is counted, and the honest nodes
 * still hold the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LinkCounts } from '../../src/protocols/replication/counts.ts';
import { ClusterSecret } from '../../src/protocols/replication/proof.ts';
import { CLUSTER_TOKEN, Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { HostileNode } from '../support/hostile-node.ts';
import { until } from '../support/node-process.ts';
import { seededRandom } from '../support/random.ts';

const SESSIONS = process.env.MILLRACE_LONG_TESTS === '1' ? 5_000 : 60;
const SEED = 20_261;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ files: CLUSTER_APP, names: ['n1', 'n2'] });
  for (let at = 0; at < 20; at += 1) {
    await cluster.node('n1').put(`/Item/kept-${at}`, { name: 'kept', count: at });
  }
  await cluster.converged('Item');
});
afterAll(() => cluster.dispose());

/** What honest nodes wrote, as one of them answers it. */
async function keptAt(name: string): Promise<unknown[]> {
  const rows = (await (await cluster.node(name).fetch('/Item/?limit(10000)')).json()) as unknown[];
  return rows.filter((row) => (row as { name?: unknown }).name === 'kept');
}

const refusedAt = async (name: string): Promise<number> => {
  const node = cluster.node(name);
  const event = (of: string) => node.metric('millrace_replication_events_total', { event: of });
  const reason = (of: string) => node.metric('millrace_replication_refused_total', { reason: of });
  const counts = [event('framesRefused'), event('nodesRefused'), reason('frame')];
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
};

describe('a node that says what it must not', () => {
  it(`changes nothing of others in ${SESSIONS} conversations, and is counted [R6]`, async () => {
    const before = await keptAt('n1');
    const secret = await ClusterSecret.derive(CLUSTER_TOKEN);
    const watch = { counts: new LinkCounts(), onFault: () => undefined };
    const options = {
      name: 'evil',
      secret,
      tls: undefined,
      revoked: () => new Set<string>(),
      watch,
    };
    const evil = new HostileNode(cluster.node('n1').replication, options, seededRandom(SEED));
    for (let at = 0; at < SESSIONS; at += 1) await evil.converse();
    expect(evil.ended).toBeGreaterThan(SESSIONS / 4);
    await until('the counts', async () => (await refusedAt('n1')) >= evil.ended);
    expect(await keptAt('n1')).toEqual(before);
    expect(cluster.node('n1').stderr()).not.toContain('could not be obeyed');
    await cluster.node('n1').put('/Item/after-1', { name: 'kept' });
    await cluster.node('n2').put('/Item/after-2', { name: 'kept' });
    await until('both rows', async () => {
      const { rows } = await cluster.converged('Item');
      return ['after-1', 'after-2'].every((id) => JSON.stringify(rows).includes(id));
    });
    expect(await keptAt('n2')).toEqual(await keptAt('n1'));
  }, 300_000);
});
