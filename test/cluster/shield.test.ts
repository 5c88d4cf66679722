/**
 * `cluster.shield`: the fleet is one cache before the origin. Real nodes over a steerable network,
 * app threads of their own on each, and an origin that counts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cachedTable, originFile, read } from '../support/cache-apps.ts';
import { Cluster } from '../support/cluster.ts';
import { type Behaviour, behave, HttpOrigin, type SeenRequest } from '../support/http-origin.ts';
import { until } from '../support/node-process.ts';

const NAMES = ['n1', 'n2', 'n3'] as const;
type Name = (typeof NAMES)[number];

let cluster: Cluster;
let origin: HttpOrigin;
let made = 0;
/** Requests that wait until the test lets them go. */
let held: (() => void)[] = [];

const record = (request: SeenRequest): Behaviour => {
  made += 1;
  return behave.json({ id: request.path.split('/').pop(), n: made });
};

beforeAll(async () => {
  origin = await HttpOrigin.start();
  const kept = cachedTable({ name: 'Kept', cache: 'freshness: "1h"' });
  const files = {
    'schema.graphql': kept,
    'origins/api.yaml': originFile(origin.url),
    'millrace.yaml': 'cluster: { shield: true }\nthreads: 2\n',
  };
  cluster = await Cluster.start({ files, names: NAMES });
  await live(NAMES);
});
afterAll(async () => {
  await cluster.dispose();
  await origin.close();
});
beforeEach(() => {
  origin.requests.length = 0;
  held = [];
  origin.script = record;
});

async function live(names: readonly Name[]): Promise<void> {
  for (const name of names) {
    await until(`the connections of ${name}`, async () => {
      const { connections } = await cluster.node(name).operate({ operation: 'cluster_status' });
      const all = connections as { state: string }[];
      return all.filter(({ state }) => state === 'live').length === names.length - 1;
    });
  }
}

const events = (name: Name, event: string): Promise<number> =>
  cluster.node(name).metric('millrace_replication_events_total', { event });
const get = (name: Name, id: string) => read(cluster.node(name), `/Kept/${id}`);
const numberAt = async (name: Name, id: string): Promise<number> =>
  (JSON.parse((await get(name, id)).text) as { n: number }).n;

/** The node that reads a record for the others. */
async function homeOf(id: string): Promise<Name> {
  const before = await Promise.all(NAMES.map((name) => events(name, 'missesServed')));
  for (const name of NAMES) await get(name, id);
  const after = await Promise.all(NAMES.map((name) => events(name, 'missesServed')));
  const served = NAMES.filter((_, at) => (after[at] ?? 0) > (before[at] ?? 0));
  expect(served).toHaveLength(1);
  return served[0] as Name;
}

const purge = (name: Name, keys: readonly string[]) =>
  cluster.node(name).operate({ operation: 'purge', table: 'Kept', keys, wait: 'all' });

describe('a shielded cache', () => {
  it('makes one fetch for 3 x 300 clients', async () => {
    const numbers = new Set<number>();
    origin.script = (request) => (socket, seen) => {
      held.push(() => record(request)(socket, seen));
    };
    const clients = NAMES.flatMap((name) => Array.from({ length: 300 }, () => numberAt(name, 'herd')));
    await until('the fetch', async () => held.length > 0);
    // Every node has clients that wait for it.
    await until('the herd', async () => {
      const waiting = await Promise.all(
        NAMES.map((name) => cluster.node(name).metric('millrace_collapsed_requests_total')),
      );
      return waiting.every((each) => each > 0);
    });
    for (const go of held) go();
    for (const number of await Promise.all(clients)) numbers.add(number);
    expect(origin.requests).toHaveLength(1);
    expect(numbers.size).toBe(1);
  });

  it('carries age and freshness on, and keeps what it was handed', async () => {
    const home = await homeOf('aged');
    expect(origin.requests).toHaveLength(1);
    for (const name of NAMES) {
      const answer = await get(name, 'aged');
      expect(answer.cache).toContain('hit');
      expect(answer.age).toBeGreaterThanOrEqual(0);
    }
    expect(home).toBeDefined();
    expect(origin.requests).toHaveLength(1);
  });

  it('shares the word that there is no record', async () => {
    origin.script = () => behave.status(404);
    for (const name of NAMES) expect((await get(name, 'nowhere')).status).toBe(404);
    expect(origin.requests).toHaveLength(1);
  });

  it('keeps what is for nobody else from others', async () => {
    origin.script = () => behave.json({ id: 'mine', n: 1 }, { 'cache-control': 'private' });
    for (const name of NAMES) await get(name, 'mine');
    for (const name of NAMES) await get(name, 'mine');
    const asked = await Promise.all(NAMES.map((name) => events(name, 'missesAnswered')));
    origin.requests.length = 0;
    for (const name of NAMES) await get(name, 'mine');
    expect(origin.requests).toHaveLength(3);
    expect(await Promise.all(NAMES.map((name) => events(name, 'missesAnswered')))).toEqual(asked);
  });

  it('never gives back what was purged, whoever was filling meanwhile', async () => {
    for (let round = 0; round < 12; round += 1) {
      const id = `purged-${round % 3}`;
      let isOver = false;
      const seen: { n: number; began: number }[] = [];
      const readers = NAMES.flatMap((name) =>
        Array.from({ length: 3 }, async () => {
          while (!isOver) {
            const began = performance.now();
            seen.push({ n: await numberAt(name, id), began });
          }
        }),
      );
      await until('readers', async () => seen.length > 30);
      // What the origin makes from here on is newer than what was purged.
      const before = made;
      const { unconfirmed } = await purge(NAMES[round % 3] ?? 'n1', [id]);
      const answered = performance.now();
      expect(unconfirmed).toEqual([]);
      await until('readers after it', async () => {
        return seen.filter(({ began }) => began > answered).length > 30;
      });
      isOver = true;
      await Promise.all(readers);
      const after = seen.filter(({ began }) => began > answered);
      expect(Math.min(...after.map(({ n }) => n))).toBeGreaterThan(before);
    }
  });

  it('stores nothing that was fetched before a purge and came after it', async () => {
    const home = await homeOf('late');
    const other = NAMES.find((name) => name !== home) ?? 'n1';
    const third = NAMES.find((name) => name !== home && name !== other) ?? 'n1';
    await purge(third, ['late']);
    origin.script = (request) => {
      const answer = record(request);
      return (socket, seen) => {
        held.push(() => answer(socket, seen));
      };
    };
    const early = numberAt(other, 'late');
    await until('the fetch', async () => held.length === 1);
    const before = made;
    await purge(third, ['late']);
    origin.script = record;
    for (const go of held) go();
    expect(await early).toBe(before);
    for (const name of NAMES) expect(await numberAt(name, 'late')).toBeGreaterThan(before);
  });

  it('goes to the next one when the home is silent, and to the origin in the end', async () => {
    const home = await homeOf('slow');
    const others = NAMES.filter((name) => name !== home);
    await purge(home, ['slow']);
    origin.requests.length = 0;
    for (const other of others) cluster.network.cut(home, other);
    const numbers = await Promise.all(others.map((name) => numberAt(name, 'slow')));
    // They agree on who stands in.
    expect(new Set(numbers).size).toBe(1);
    expect(origin.requests).toHaveLength(1);
    for (const other of others) cluster.network.heal(home, other);
    await live(NAMES);
  });

  it('asks those who hold a record before the origin', async () => {
    const home = await homeOf('kept');
    origin.requests.length = 0;
    await cluster.kill(home);
    await cluster.start(home, { isEmpty: true, peers: NAMES.filter((name) => name !== home) });
    await live(NAMES);
    expect((await get(home, 'kept')).status).toBe(200);
    expect(origin.requests).toHaveLength(0);
  });
});
