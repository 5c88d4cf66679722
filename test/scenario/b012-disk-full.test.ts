/** A disk that fills up: what is held stays readable, and nothing more is taken in. */
import { afterEach, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Plain @table @export(public: [read, insert, update, delete]) { id: ID @primaryKey, n: Int }
type Cached @table @sourcedFrom(origin: "shop", path: "/{id}") @export(public: [read]) {
  id: ID @primaryKey
}
`;
/** More than any disk has free: the node sees one that is short. */
const NEVER_FREE = 2 ** 52;

const nodes: NodeProcess[] = [];
const origins: HttpOrigin[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.dispose();
  for (const origin of origins.splice(0)) await origin.close();
});

/** A node with what it held before the disk became short by these limits. */
async function startShort(limits: string, threads: number) {
  const origin = await HttpOrigin.start(() => behave.json({}));
  origins.push(origin);
  const files = {
    'schema.graphql': SCHEMA,
    'origins/shop.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
  };
  const flags = ['--threads', String(threads)];
  const ample = await startNode({ files, flags });
  nodes.push(ample);
  expect((await ample.put('/Plain/held', { n: 1 })).status).toBe(201);
  expect((await ample.fetch('/Cached/held')).status).toBe(200);
  expect(await ample.stop()).toBe(0);
  const yaml = `limits: { ${limits} }\n`;
  const short = { files: { ...files, 'millrace.yaml': yaml }, flags, folder: ample.folder };
  const node = await startNode(short);
  nodes.push(node);
  return { node, origin };
}

describe.each([1, 2])('a disk that is short, with %i threads', (threads) => {
  it('below the hard mark takes no writes, and answers reads and misses', async () => {
    const marks = `diskSoftFreeBytes: ${NEVER_FREE}, diskHardFreeBytes: ${NEVER_FREE}`;
    const { node, origin } = await startShort(marks, threads);
    expect(await json(await node.fetch('/Plain/held'))).toEqual({ id: 'held', n: 1 });
    expect(await json(await node.fetch('/Plain/'))).toHaveLength(1);
    const refused = await node.put('/Plain/new', { n: 2 });
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await expectProblem(refused, 507, 'STORE_FULL');
    await expectProblem(await node.put('/Plain/held', { n: 2 }), 507, 'STORE_FULL');
    expect(await json(await node.fetch('/Plain/held'))).toEqual({ id: 'held', n: 1 });
    for (const asked of [2, 3]) {
      const missed = await node.fetch('/Cached/missed');
      expect(await json(missed)).toEqual({ id: 'missed' });
      expect(missed.headers.get('cache-status')).not.toMatch(/stored|; hit/);
      expect(origin.requests).toHaveLength(asked);
    }
    const labels = { resource: 'Plain', method: 'PUT', status: '507' };
    expect(await node.metric('millrace_http_requests_total', labels)).toBe(2);
    expect(node.stderr()).toContain('"code":"STORE_FULL"');
    expect(node.stderr()).not.toContain('assumptions');
    // What frees room is taken.
    expect((await node.fetch('/Plain/held', { method: 'DELETE' })).status).toBe(204);
  });

  it('below the soft mark stops filling the cache, and takes the writes of clients', async () => {
    const { node } = await startShort(`diskSoftFreeBytes: ${NEVER_FREE}`, threads);
    expect((await node.put('/Plain/new', { n: 2 })).status).toBe(201);
    const missed = await node.fetch('/Cached/missed');
    expect(missed.headers.get('cache-status')).not.toMatch(/stored/);
    const again = await node.fetch('/Cached/missed');
    expect(again.headers.get('cache-status')).not.toMatch(/; hit/);
  });
});
