/**
 * `@table(replicate: entries)`: what one node fetched is there for all, until somebody invalidates
 * it. Real nodes, over a steerable network, before an origin that counts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, cachedTable, originFile, read } from '../support/cache-apps.ts';
import { Cluster } from '../support/cluster.ts';
import { behave, HttpOrigin, type Script } from '../support/http-origin.ts';
import { until } from '../support/node-process.ts';

const NAMES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NAMES)[number];

let cluster: Cluster;
let origin: HttpOrigin;
/** What the origin holds of every record. */
let worth = 0;

const tells: Script = (request) => behave.json({ id: request.path.split('/').pop(), n: worth });

beforeAll(async () => {
  origin = await HttpOrigin.start();
  const shared = { cache: 'freshness: "1h"', replicate: 'entries' };
  const files = {
    'schema.graphql': [
      cachedTable({ name: 'Shared', ...shared }),
      cachedTable({ name: 'Own', cache: 'freshness: "1h"' }),
    ].join(''),
    'origins/api.yaml': originFile(origin.url),
  };
  cluster = await Cluster.start({ files, names: NAMES });
  await cluster.live(NAMES);
});
afterAll(async () => {
  await cluster.dispose();
  await origin.close();
});
beforeEach(() => {
  origin.requests.length = 0;
  origin.script = tells;
});

const get = (name: Name, id: string): Promise<Answer> => read(cluster.node(name), `/Shared/${id}`);
const held = (name: Name, target: string): Promise<Answer> =>
  read(cluster.node(name), target, 'only-if-cached');
const numberOf = ({ text }: Answer): number => (JSON.parse(text) as { n: number }).n;

/** Until every node answers without the origin, and with this number. */
async function heldEverywhere(id: string, number: number): Promise<void> {
  await until(`the entry ${id} on all nodes`, async () => {
    const answers = await Promise.all(NAMES.map((name) => held(name, `/Shared/${id}`)));
    return answers.every((answer) => answer.status === 200 && numberOf(answer) === number);
  });
}

const purge = (name: Name, keys: readonly string[]) =>
  cluster.node(name).operate({ operation: 'purge', table: 'Shared', keys, wait: 'all' });

describe('a cache whose entries replicate', () => {
  it('is filled everywhere by one fetch, and answers while the origin is down [R14]', async () => {
    worth = 1;
    const first = await get('n1', 'one');
    expect(first.status).toBe(200);
    await heldEverywhere('one', 1);
    origin.script = () => behave.reset();
    for (const name of ['n2', 'n3'] as const) {
      const answer = await get(name, 'one');
      expect(answer.cache).toContain('hit');
      expect(answer.text).toBe(first.text);
      expect(answer.headers.get('etag')).toBe(first.headers.get('etag'));
    }
    expect(origin.requests).toHaveLength(1);
  });

  it('forgets a record that is purged on any node, and shares what is fetched then', async () => {
    worth = 10;
    await get('n1', 'two');
    await heldEverywhere('two', 10);
    worth = 11;
    await purge('n2', ['two']);
    for (const name of NAMES) expect((await held(name, '/Shared/two')).status).toBe(504);
    await get('n3', 'two');
    await heldEverywhere('two', 11);
    expect(origin.requests).toHaveLength(2);
  });

  it('never answers as fresh what was purged, while all nodes fetch and share it [R14]', async () => {
    const ids = ['a', 'b', 'c'];
    let isOver = false;
    const readers = NAMES.map(async (name) => {
      for (let at = 0; !isOver; at += 1) await get(name, ids[at % ids.length] ?? 'a');
    });
    try {
      for (let round = 0; round < 8; round += 1) {
        worth = 100 + round;
        await purge(NAMES[round % NAMES.length] ?? 'n1', ids);
        const answers = await Promise.all(NAMES.flatMap((name) => ids.map((id) => get(name, id))));
        for (const answer of answers) expect(numberOf(answer)).toBeGreaterThanOrEqual(worth);
      }
    } finally {
      isOver = true;
      await Promise.all(readers);
    }
  });

  it('shares what a client wrote at one node', async () => {
    worth = 20;
    await get('n1', 'written');
    await heldEverywhere('written', 20);
    const { status } = await cluster.node('n2').put('/Shared/written', { id: 'written', n: 21 });
    expect(status).toBe(204);
    await heldEverywhere('written', 21);
    expect(origin.requests.filter(({ method }) => method === 'GET')).toHaveLength(1);
  });

  it('is filled by way of a third node where there is no direct one', async () => {
    cluster.network.cut('n1', 'n3');
    try {
      worth = 30;
      await get('n1', 'relayed');
      await heldEverywhere('relayed', 30);
      expect(origin.requests).toHaveLength(1);
    } finally {
      cluster.network.heal('n1', 'n3');
    }
  });

  it('leaves other caches as they are', async () => {
    worth = 40;
    await read(cluster.node('n1'), '/Own/x');
    await get('n1', 'after');
    await heldEverywhere('after', 40);
    expect((await held('n2', '/Own/x')).status).toBe(504);
  });
});
