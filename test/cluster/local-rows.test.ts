/**
 * `LOCAL_ONLY`: rows that one node alone shows, written by requests, operations and code, while the
 * nodes hold the same rows beneath. Real nodes, over the wire; one is emptied and starts from the
 * others.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cachedTable, originFile, read } from '../support/cache-apps.ts';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_APP } from '../support/cluster-app.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { until } from '../support/node-process.ts';

const RESOURCES = `
import { Resource, tables } from 'millrace';
const LOCAL = { metadata: { LOCAL_ONLY: true } };
export class Seen extends Resource {
  static allowCreate() { return true; }
  static async post(target, data, context) {
    await tables.Item.put({ id: 'whole', name: 'code' }, LOCAL);
    await tables.Item.put('three', { name: 'code' }, LOCAL);
    await tables.Item.patch('patched', { name: 'code' }, LOCAL);
    context.replicateTo = 'none';
    await tables.Item.put('context', { name: 'code' });
    return {};
  }
}
export class Plain extends Resource {
  static allowCreate() { return true; }
  static async post(target, data) {
    await tables.Item.put(data.id, { name: 'class' });
    return {};
  }
}`;
const NAMES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NAMES)[number];
const ALONE = { 'x-replicate-to': 'none' };

let cluster: Cluster;
let origin: HttpOrigin;
beforeAll(async () => {
  origin = await HttpOrigin.start();
  origin.script = (request) => behave.json({ id: request.path.split('/').pop(), n: 1 });
  const caches = [
    cachedTable({ name: 'Shared', cache: 'freshness: "1h"', replicate: 'entries' }),
    cachedTable({ name: 'Through', cache: 'freshness: "1h"', write: 'through' }),
  ];
  const files = {
    'schema.graphql': `${CLUSTER_APP['schema.graphql']}${caches.join('')}`,
    'resources.js': RESOURCES,
    'origins/api.yaml': originFile(origin.url),
  };
  cluster = await Cluster.start({ files, names: NAMES });
  await cluster.live(NAMES);
});
afterAll(async () => {
  await cluster.dispose();
  await origin.close();
});

const write = (name: Name, id: string, to: string, fields = {}): Promise<Response> =>
  cluster.node(name).put(`/Item/${id}`, { name: to }, fields);

async function nameOf(node: Name, id: string): Promise<string | undefined> {
  const response = await cluster.node(node).fetch(`/Item/${id}`);
  if (response.status === 404) return undefined;
  return ((await response.json()) as { name: string }).name;
}
const seen = (id: string) => Promise.all(NAMES.map((name) => nameOf(name, id)));

/** What every node has got, and all that came before it from that node. */
async function passed(from: Name): Promise<void> {
  const answer = await write(from, `mark-${from}`, String(Date.now()), {
    'x-replicate-to': '2;confirm=2',
  });
  expect(answer.status).toBeLessThan(300);
}
async function equalDigests(): Promise<void> {
  await until('equal digests', async () => {
    const all = NAMES.map((name) => cluster.node(name).operate({ operation: 'cluster_digests' }));
    const [first, ...others] = (await Promise.all(all)).map(({ tables }) => JSON.stringify(tables));
    return others.every((each) => each === first);
  });
}

describe('a row of one node alone [R16]', () => {
  it('is seen there only, over the row that all share, until it is written for all', async () => {
    await write('n1', 'a', 'all', { 'x-replicate-to': '2;confirm=2' });
    for (const name of NAMES) {
      expect((await write(name, 'a', `of ${name}`, ALONE)).status).toBe(204);
      expect((await write(name, 'own', `of ${name}`, ALONE)).status).toBe(201);
    }
    for (const name of NAMES) await passed(name);
    expect(await seen('a')).toEqual(['of n1', 'of n2', 'of n3']);
    expect(await seen('own')).toEqual(['of n1', 'of n2', 'of n3']);
    await equalDigests();
    await write('n2', 'a', 'for all', { 'x-replicate-to': '2;confirm=2' });
    expect(await seen('a')).toEqual(['for all', 'for all', 'for all']);
    expect(await seen('own')).toEqual(['of n1', 'of n2', 'of n3']);
  });

  it('is no news to a node that starts empty, which is told what lies beneath', async () => {
    await write('n1', 'beneath', 'all', { 'x-replicate-to': '2;confirm=2' });
    await write('n1', 'beneath', 'mine', ALONE);
    await write('n1', 'nothing-beneath', 'mine', ALONE);
    await cluster.kill('n3');
    await cluster.start('n3', { isEmpty: true });
    await cluster.live(NAMES);
    await equalDigests();
    expect(await seen('beneath')).toEqual(['mine', 'all', 'all']);
    expect(await seen('nothing-beneath')).toEqual(['mine', undefined, undefined]);
  });

  it('is taken back by a delete for the node, and patched without a trace elsewhere', async () => {
    await write('n1', 'b', 'all', { 'x-replicate-to': '2;confirm=2' });
    await write('n1', 'b', 'mine', ALONE);
    const node = cluster.node('n1');
    const remove = (fields: Record<string, string>) =>
      node.fetch('/Item/b', { method: 'DELETE', headers: fields });
    expect((await remove(ALONE)).status).toBe(204);
    expect(await nameOf('n1', 'b')).toBe('all');
    expect((await remove(ALONE)).status).toBe(404);
    await write('n1', 'b', 'mine', ALONE);
    const patched = await node.fetch('/Item/b', {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', 'x-replicate-to': '2;confirm=2' },
      body: '{"count":5}',
    });
    expect(patched.status).toBe(204);
    expect(await seen('b')).toEqual(['all', 'all', 'all']);
  });

  it('may be written by code and by operations', async () => {
    const headers = { 'content-type': 'application/json' };
    const post = (path: string, body: string, more = {}) =>
      cluster.node('n1').fetch(path, { method: 'POST', body, headers: { ...headers, ...more } });
    expect((await post('/Seen', '{}')).status).toBeLessThan(300);
    expect((await post('/Plain', '{"id":"by-field"}', ALONE)).status).toBeLessThan(300);
    const records = [{ id: 'operated', name: 'operation' }];
    const upsert = { operation: 'upsert', table: 'Item', replicateTo: 'none', records };
    await cluster.node('n1').operate(upsert);
    await passed('n1');
    for (const id of ['whole', 'three', 'patched', 'context', 'by-field', 'operated']) {
      const [first, ...others] = await seen(id);
      expect([id, first]).toEqual([id, expect.any(String)]);
      expect([id, ...others]).toEqual([id, undefined, undefined]);
    }
    await equalDigests();
  });

  it('is refused where it cannot be: with confirmations, and before an origin', async () => {
    const both = await write('n1', 'c', 'x', { 'x-replicate-to': 'none;confirm=1' });
    expect([both.status, await both.text()]).toEqual([
      400,
      expect.stringMatching(/leave out confirm/),
    ]);
    const node = cluster.node('n1');
    const through = await node.put('/Through/c', { n: 2 }, ALONE);
    expect(through.status).toBe(400);
    expect(await through.text()).toMatch(/gives each write to its origin/);
    const asked = { operation: 'upsert', table: 'Item', records: [{ id: 'c' }] };
    const wrong = { ...asked, replicateTo: 'none', replicatedConfirmation: 1 };
    await expect(node.operate(wrong)).rejects.toThrow(/nobody can confirm it/);
    expect(await nameOf('n1', 'c')).toBeUndefined();
  });

  it('is no news in a cache whose entries are shared', async () => {
    const node = cluster.node('n1');
    expect((await node.put('/Shared/own', { n: 7 }, ALONE)).status).toBe(201);
    await passed('n1');
    expect(JSON.parse((await read(node, '/Shared/own')).text)).toMatchObject({ n: 7 });
    const others = [cluster.node('n2'), cluster.node('n3')];
    for (const other of others) {
      expect((await read(other, '/Shared/own', 'only-if-cached')).status).toBe(504);
    }
    // What one of them fetches then is shared, too.
    for (const other of others) {
      expect(JSON.parse((await read(other, '/Shared/own')).text)).toMatchObject({ n: 1 });
    }
  });
});
