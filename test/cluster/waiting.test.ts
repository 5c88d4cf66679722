/**
 * Writes and purges that wait for other nodes: who has confirmed is said, and who has not; a purge
 * that was awaited is never answered with the older entry elsewhere.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cachedTable, originFile, read } from '../support/cache-apps.ts';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { until } from '../support/node-process.ts';

const RESOURCES = `
import { Resource, tables } from 'millrace';
export class Kept extends Resource {
  static allowCreate() { return true; }
  static async post(target, data, context) {
    await tables.Item.put({ id: data.id, name: 'kept' });
    context.replicateTo = data.on;
    context.replicatedConfirmation = data.on?.length;
    return { id: data.id };
  }
}`;
let cluster: Cluster;
let origin: HttpOrigin;
let made = 0;
beforeAll(async () => {
  origin = await HttpOrigin.start();
  origin.script = (request) => {
    made += 1;
    return behave.json({ id: request.path.split('/').pop(), n: made });
  };
  const cached = cachedTable({ name: 'Cached', cache: 'freshness: "1h"' });
  const files = {
    'schema.graphql': `${CLUSTER_APP['schema.graphql']}${cached}`,
    'resources.js': RESOURCES,
    'origins/api.yaml': originFile(origin.url),
  };
  cluster = await Cluster.start({ files, names: ['n1', 'n2', 'n3'] });
  await until('all connections', async () => {
    const { connections } = await cluster.node('n1').operate({ operation: 'cluster_status' });
    const live = (connections as { state: string }[]).filter(({ state }) => state === 'live');
    return live.length === 2;
  });
});
afterAll(async () => {
  await cluster.dispose();
  await origin.close();
});

const write = (id: string, to: string): Promise<Response> =>
  cluster.node('n1').put(`/Item/${id}`, { name: id }, { 'x-replicate-to': to });

describe('a write that waits', () => {
  it('is held by so many others when it is answered', async () => {
    expect((await write('both', '2;confirm=2')).status).toBe(201);
    for (const name of ['n2', 'n3']) {
      expect((await cluster.node(name).fetch('/Item/both')).status).toBe(200);
    }
    expect((await write('named', 'n3;confirm=1')).status).toBe(201);
    expect((await cluster.node('n3').fetch('/Item/named')).status).toBe(200);
  });

  it('does not wait unless it says for how many', async () => {
    expect((await write('none', '2')).status).toBe(201);
  });

  it('is refused before it is done when what it asks for cannot be read', async () => {
    expect((await write('wrong', '1;confirm=many')).status).toBe(400);
    expect((await cluster.node('n1').fetch('/Item/wrong')).status).toBe(404);
  });

  it('may be an operation, which is told whom to wait for', async () => {
    const operate = async (more: object): Promise<Record<string, unknown>> => {
      const records = [{ id: 'operated', name: 'pot' }];
      const document = { operation: 'upsert', table: 'Item', records, ...more };
      return cluster.node('n1').operate(document);
    };
    await operate({ replicateTo: ['n2', 'n3'], replicatedConfirmation: 2 });
    for (const name of ['n2', 'n3']) {
      expect((await cluster.node(name).fetch('/Item/operated')).status).toBe(200);
    }
    await expect(operate({ replicatedConfirmation: 'all' })).rejects.toThrow(/a number of nodes/);
    const more = { replicateTo: ['n2'], replicatedConfirmation: 2 };
    await expect(operate(more)).rejects.toThrow(/2 is more than the nodes/);
    await expect(operate({ replicateTo: 'n2' })).rejects.toThrow(/replicateTo: /);
    const drop = { operation: 'delete', table: 'Item', ids: ['operated'] };
    await cluster.node('n1').operate({ ...drop, replicateTo: 2, replicatedConfirmation: 2 });
    for (const name of ['n2', 'n3']) {
      expect((await cluster.node(name).fetch('/Item/operated')).status).toBe(404);
    }
  });

  it('may be one of code, which says itself whom to wait for, or whose client does', async () => {
    const post = (body: object, headers: Record<string, string> = {}): Promise<Response> =>
      cluster.node('n1').fetch('/Kept', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    expect((await post({ id: 'by-code', on: ['n2', 'n3'] })).status).toBeLessThan(300);
    expect((await post({ id: 'by-field' }, { 'x-replicate-to': '2;confirm=2' })).ok).toBe(true);
    for (const name of ['n2', 'n3']) {
      for (const id of ['by-code', 'by-field']) {
        expect((await cluster.node(name).fetch(`/Item/${id}`)).status).toBe(200);
      }
    }
    expect((await post({ id: 'odd', on: [1] })).status).toBe(500);
    expect((await post({ id: 'odd' }, { 'x-replicate-to': '1;confirm=many' })).status).toBe(400);
    expect((await cluster.node('n2').fetch('/Item/odd')).status).toBe(404);
    const absent = await post({ id: 'asked', on: ['n9'] });
    expect([absent.status, await absent.json()]).toMatchObject([
      504,
      { code: 'PEERS_UNCONFIRMED' },
    ]);
  }, 60_000);

  it('names who did not confirm in time, and reaches them later', async () => {
    cluster.network.partition('n1', 'n3');
    cluster.network.partition('n2', 'n3');
    const answer = await write('late', '2;confirm=2');
    expect(answer.status).toBe(504);
    const problem = (await answer.json()) as { code: string; detail: string };
    expect(problem.code).toBe('PEERS_UNCONFIRMED');
    expect(problem.detail).toContain('not confirmed: n3');
    cluster.network.heal('n1', 'n3');
    cluster.network.heal('n2', 'n3');
    await until('the write', async () => (await cluster.node('n3').fetch('/Item/late')).ok, 30_000);
  }, 60_000);
});

describe('a purge', () => {
  const numberAt = async (name: string): Promise<number> =>
    (JSON.parse((await read(cluster.node(name), '/Cached/a')).text) as { n: number }).n;

  it('that was awaited is never answered with what was held before', async () => {
    for (let round = 0; round < 10; round += 1) {
      const before = await Promise.all(['n1', 'n2', 'n3'].map(numberAt));
      const purge = { operation: 'purge', table: 'Cached', keys: ['a'], wait: 'all' };
      const { confirmed, unconfirmed } = await cluster.node('n1').operate(purge);
      expect({ confirmed, unconfirmed }).toEqual({ confirmed: ['n2', 'n3'], unconfirmed: [] });
      const after = await Promise.all(['n1', 'n2', 'n3'].map(numberAt));
      expect(Math.min(...after)).toBeGreaterThan(Math.max(...before));
    }
  });

  it('says who could not be told, and reaches them when they are back', async () => {
    const before = await numberAt('n3');
    cluster.network.cut('n1', 'n3');
    cluster.network.cut('n2', 'n3');
    const purge = { operation: 'purge', table: 'Cached', keys: ['a'], wait: 'all' };
    const { confirmed, unconfirmed } = await cluster.node('n1').operate(purge);
    expect({ confirmed, unconfirmed }).toEqual({ confirmed: ['n2'], unconfirmed: ['n3'] });
    expect(await numberAt('n3')).toBe(before);
    cluster.network.heal('n1', 'n3');
    cluster.network.heal('n2', 'n3');
    await until('the purge', async () => (await numberAt('n3')) > before, 30_000);
  }, 60_000);
});
