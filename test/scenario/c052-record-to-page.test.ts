/** What an origin made from records becomes stale when one of them changes, on every thread. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cachedTable, originFile, read } from '../support/cache-apps.ts';
import { behave, HttpOrigin } from '../support/http-origin.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const OPEN = '@export(public: [read, insert, update, delete])';
const schema = `
type Flight @table ${OPEN} { id: ID @primaryKey, gate: String }
${cachedTable({ name: 'Card', cache: 'freshness: "1h", staleWhileRevalidate: "10m"' })}
`;

describe.each([1, 2])('from record to page on %i thread(s)', (threads) => {
  let origin: HttpOrigin;
  let node: NodeProcess;
  let rendered = 0;
  let groups = '';

  beforeAll(async () => {
    origin = await HttpOrigin.start((request) => {
      rendered += 1;
      const body = { id: request.path.split('/').pop(), n: rendered };
      return behave.json(body, { 'cache-groups': groups });
    });
    node = await startNode({
      files: { 'schema.graphql': schema, 'origins/api.yaml': originFile(origin.url) },
      flags: ['--threads', String(threads)],
    });
  });
  afterAll(async () => {
    await node.dispose();
    await origin.close();
  });

  const groupsOf = async (target: string) => {
    const response = await node.fetch(target, { headers: { 'millrace-groups': '1' } });
    await response.text();
    return response.headers.get('cache-groups') ?? '';
  };

  it.each([
    ['the record', '/Flight/AA100'],
    ['a query of its table', '/Flight/'],
  ])('refreshes behind what was made from %s, and nothing else', async (what, target) => {
    const name = what.replaceAll(' ', '-');
    await node.put('/Flight/AA100', { gate: `before ${name}` });
    groups = await groupsOf(target);
    const old = await read(node, `/Card/${name}`);
    groups = '"Flight/other;v=0"';
    await read(node, `/Card/not-${name}`);
    expect((await read(node, `/Card/${name}`)).cache).toMatch(/; hit; ttl=\d+$/);
    groups = await groupsOf(target);
    expect((await node.put('/Flight/AA100', { gate: `after ${name}` })).ok).toBe(true);
    // Every thread knows it by the time that the write is answered.
    const answers = await Promise.all(Array.from({ length: 8 }, () => read(node, `/Card/${name}`)));
    const believed = answers.filter(
      ({ text, cache }) => text === old.text && /; hit; ttl=\d+$/.test(cache),
    );
    expect(believed).toEqual([]);
    expect((await read(node, `/Card/not-${name}`)).cache).toMatch(/; hit; ttl=\d+$/);
    await until('the refresh', async () => (await read(node, `/Card/${name}`)).text !== old.text);
  });
});
