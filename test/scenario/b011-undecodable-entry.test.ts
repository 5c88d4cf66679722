/** Bytes in the store that are no entry: said with their key, fetched anew, never served. */
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Key } from '../../src/store/engine.ts';
import { LmdbEngine } from '../../src/store/lmdb/engine.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { ENGINES, expectProblem, json } from '../support/scenario-apps.ts';

const SCHEMA = `
type Plain @table @export(public: [read, insert, update, delete]) {
  id: ID @primaryKey
  note: String @indexed
}
type Cached @table @sourcedFrom(origin: "shop", path: "/{id}") @export(public: [read]) {
  id: ID @primaryKey
  note: String
}
`;
const SECRET = 'bytes that nobody may see';

const nodes: NodeProcess[] = [];
const origins: HttpOrigin[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.dispose();
  for (const origin of origins.splice(0)) await origin.close();
});

/** Overwrites entries of a folder that no node holds. */
async function corrupt(folder: string, entries: readonly (readonly [string, Key])[]) {
  const engine = new LmdbEngine({ path: path.join(folder, 'data', 'store'), treesMax: 16 });
  const trees = entries.map(([table, key]) => ({ tree: engine.tree(`table/${table}`), key }));
  await engine.transact(() => {
    for (const { tree, key } of trees) tree.put(key, Buffer.from(`\xff\xff ${SECRET}`, 'latin1'));
  });
  await engine.close();
}

describe.each([
  ...ENGINES.map((engine) => ({ engine, threads: '1' })),
  { engine: 'uws' as const, threads: '2' },
])('an undecodable entry on $engine with $threads threads', ({ engine, threads }) => {
  it('is reported by its key, fetched anew from an origin, and otherwise not there', async () => {
    const origin = await HttpOrigin.start(() => behave.json({ note: 'from the shop' }));
    origins.push(origin);
    const options = {
      files: {
        'schema.graphql': SCHEMA,
        'origins/shop.yaml': `kind: http\nurl: ${origin.url}\nallowPrivate: true\n`,
      },
      env: { MILLRACE_HTTP_ENGINE: engine },
      flags: ['--threads', threads],
    };
    const first = await startNode(options);
    nodes.push(first);
    for (const key of ['bad', 'good']) await first.put(`/Plain/${key}`, { note: 'x' });
    expect(await json(await first.fetch('/Cached/bad'))).toMatchObject({ note: 'from the shop' });
    expect(await first.stop()).toBe(0);
    await corrupt(first.folder, [
      ['Plain', 'bad'],
      ['Cached', 'bad'],
    ]);

    const node = await startNode({ ...options, folder: first.folder });
    nodes.push(node);
    const cached = await node.fetch('/Cached/bad');
    expect(cached.headers.get('cache-status')).not.toMatch(/; hit/);
    expect(await json(cached)).toEqual({ id: 'bad', note: 'from the shop' });
    expect((await node.fetch('/Cached/bad')).headers.get('cache-status')).toMatch(/; hit/);
    expect(origin.requests).toHaveLength(2);

    await expectProblem(await node.fetch('/Plain/bad'), 404, 'NOT_FOUND');
    for (const target of ['/Plain/', '/Plain/?note=x']) {
      expect(await json(await node.fetch(target))).toEqual([{ id: 'good', note: 'x' }]);
    }
    const lines = node.stderr().split('\n');
    for (const table of ['Plain', 'Cached']) {
      const said = lines.find(
        (line) => line.includes(`"table":"${table}"`) && line.includes('"bad"'),
      );
      expect(said).toMatch(/decode/);
    }
    expect(node.stderr()).not.toContain(SECRET);
    // Writing over it mends it.
    expect((await node.put('/Plain/bad', { note: 'y' })).status).toBe(201);
    expect(await json(await node.fetch('/Plain/?note=y'))).toEqual([{ id: 'bad', note: 'y' }]);
  });
});
