/** A disk that fills up: what is held stays readable, and nothing more is taken in. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type AppFiles, type NodeProcess, startNode } from '../support/node-process.ts';
import { expectProblem, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Plain @table @export(public: [read, insert, update, delete]) { id: ID @primaryKey, n: Int }
type Cached @table @sourcedFrom(origin: "shop", path: "/{id}") @export(public: [read]) {
  id: ID @primaryKey
}
`;
/** More than any disk has free: the node sees one that is short. */
const NEVER_FREE = 2 ** 52;

describe.each([1, 2])('a disk that is short, with %i threads', (threads) => {
  const flags = ['--threads', String(threads)];
  let origin: HttpOrigin;
  let files: AppFiles;
  let folder: string;
  let node: NodeProcess;

  /** What is held when the disk becomes short. */
  beforeAll(async () => {
    origin = await HttpOrigin.start(() => behave.json({}));
    files = {
      'schema.graphql': SCHEMA,
      'origins/shop.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
    };
    node = await startNode({ files, flags });
    folder = node.folder;
    expect((await node.put('/Plain/held', { n: 1 })).status).toBe(201);
    expect((await node.fetch('/Cached/held')).status).toBe(200);
    expect(await node.stop()).toBe(0);
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  async function startShort(limits: string): Promise<void> {
    const yaml = `limits: { ${limits} }\n`;
    node = await startNode({ files: { ...files, 'millrace.yaml': yaml }, flags, folder });
    origin.requests.length = 0;
  }

  it('below the hard mark takes no writes, and answers reads and misses', async () => {
    const marks = `diskSoftFreeBytes: ${NEVER_FREE}, diskHardFreeBytes: ${NEVER_FREE}`;
    await startShort(marks);
    expect(await json(await node.fetch('/Plain/held'))).toEqual({ id: 'held', n: 1 });
    expect(await json(await node.fetch('/Plain/'))).toHaveLength(1);
    const refused = await node.put('/Plain/new', { n: 2 });
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await expectProblem(refused, 507, 'STORE_FULL');
    await expectProblem(await node.put('/Plain/held', { n: 2 }), 507, 'STORE_FULL');
    expect(await json(await node.fetch('/Plain/held'))).toEqual({ id: 'held', n: 1 });
    for (const asked of [1, 2]) {
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
    expect(await node.stop()).toBe(0);
  });

  it('below the soft mark stops filling the cache, and takes the writes of clients', async () => {
    await startShort(`diskSoftFreeBytes: ${NEVER_FREE}`);
    expect((await node.put('/Plain/new', { n: 2 })).status).toBe(201);
    const missed = await node.fetch('/Cached/missed');
    expect(missed.headers.get('cache-status')).not.toMatch(/stored/);
    const again = await node.fetch('/Cached/missed');
    expect(again.headers.get('cache-status')).not.toMatch(/; hit/);
  });
});
