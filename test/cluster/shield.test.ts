/**
 * `cluster.shield`: the fleet is one cache before the origin. Real nodes over a steerable network,
 * app threads of their own on each, and an origin that counts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tableName } from '../../src/base/brands.ts';
import { homeNodes } from '../../src/replication/home-node.ts';
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
  await cluster.live(NAMES);
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

const events = (name: Name, event: string): Promise<number> =>
  cluster.node(name).metric('millrace_replication_events_total', { event });
const get = (name: Name, id: string) => read(cluster.node(name), `/Kept/${id}`);
const numberAt = async (name: Name, id: string): Promise<number> =>
  (JSON.parse((await get(name, id)).text) as { n: number }).n;

/** The node that reads a record for the others. */
const homeOf = (id: string): Name => homeNodes(tableName('Kept'), id, NAMES)[0] as Name;
const onAll = async (id: string) => {
  for (const name of NAMES) await get(name, id);
};

async function passedOverAll(): Promise<number> {
  const all = NAMES.flatMap((name) => [events(name, 'missesSilent'), events(name, 'missesUnsure')]);
  return (await Promise.all(all)).reduce((sum, each) => sum + each, 0);
}

/** What 300 clients of each node are answered while the origin takes its time. */
async function herd(id: string): Promise<ReadonlySet<number>> {
  held = [];
  origin.script = (request) => {
    const answer = record(request);
    return (socket, seen) => {
      held.push(() => answer(socket, seen));
    };
  };
  // A machine that has no time left has its nodes turn some away: the claim is about the others.
  const answered = (name: Name) => get(name, id).catch(() => undefined);
  const clients = NAMES.flatMap((name) => Array.from({ length: 300 }, () => answered(name)));
  await until('the fetch', async () => held.length > 0);
  // Every node has clients that wait for it.
  await until('the herd', async () => {
    const waiting = NAMES.map((name) =>
      cluster.node(name).metric('millrace_collapsed_requests_total'),
    );
    return (await Promise.all(waiting)).every((each) => each > 0);
  });
  // Whoever asks later is let go at once.
  origin.script = record;
  for (const go of held) go();
  const all = await Promise.all(clients);
  const taken = all.filter((one) => one?.status === 200);
  return new Set(taken.map((one) => (JSON.parse(one?.text ?? '') as { n: number }).n));
}

const purge = (name: Name, keys: readonly string[]) =>
  cluster.node(name).operate({ operation: 'purge', table: 'Kept', keys, wait: 'all' });

describe('a shielded cache', () => {
  it('makes one fetch for 3 x 300 clients', async () => {
    // A thread that gets no time for a second is passed over, as it must be: then once more.
    for (let round = 0; ; round += 1) {
      const passedOver = await passedOverAll();
      const numbers = await herd(`herd-${round}`);
      if ((await passedOverAll()) > passedOver && round < 5) continue;
      expect(origin.requests.filter(({ path }) => path.endsWith(`/herd-${round}`))).toHaveLength(1);
      expect(numbers.size).toBe(1);
      return;
    }
  });

  it('keeps on every node what the home handed out', async () => {
    const home = homeOf('kept');
    const served = await events(home, 'missesServed');
    await onAll('kept');
    expect(origin.requests).toHaveLength(1);
    expect(await events(home, 'missesServed')).toBe(served + 2);
    for (const name of NAMES) {
      const answer = await get(name, 'kept');
      expect(answer.cache).toContain('hit');
    }
    expect(origin.requests).toHaveLength(1);
  });

  it('asks no other node for a reader that will have none asked', async () => {
    const other = NAMES.find((name) => name !== homeOf('own')) ?? 'n1';
    const asked = await events(other, 'missesAsked');
    const headers = { 'x-replicate-from': 'none' };
    const answer = await cluster.node(other).fetch('/Kept/own', { headers });
    expect(answer.status).toBe(200);
    expect(origin.requests).toHaveLength(1);
    expect(await events(other, 'missesAsked')).toBe(asked);
  });

  it('asks none either for an operation that will have none asked', async () => {
    const other = NAMES.find((name) => name !== homeOf('operated')) ?? 'n1';
    const asked = await events(other, 'missesAsked');
    const search = { operation: 'search_by_id', table: 'Kept', ids: ['operated'] };
    const rows = await cluster.node(other).operate({ ...search, replicateFrom: false });
    expect(rows).toMatchObject([{ id: 'operated' }]);
    expect(origin.requests).toHaveLength(1);
    expect(await events(other, 'missesAsked')).toBe(asked);
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
    for (let round = 0; round < 6; round += 1) {
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
    const home = homeOf('late');
    await onAll('late');
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
    expect(await early).toBeGreaterThanOrEqual(before);
    for (const name of NAMES) expect(await numberAt(name, 'late')).toBeGreaterThan(before);
  });

  it('has the next one stand in when the home is silent', async () => {
    const home = homeOf('silent');
    await onAll('silent');
    const others = NAMES.filter((name) => name !== home);
    await purge(home, ['silent']);
    for (const other of others) cluster.network.partition(home, other);
    const numbers = await Promise.all(others.map((name) => numberAt(name, 'silent')));
    expect(Math.min(...numbers)).toBeGreaterThan(0);
    // Asked again they have it, whoever fetched it.
    origin.requests.length = 0;
    for (const name of others) await numberAt(name, 'silent');
    expect(origin.requests).toHaveLength(0);
    for (const other of others) cluster.network.heal(home, other);
    await cluster.live(NAMES);
  });

  it('has the next one stand in when the home is gone', async () => {
    const home = homeOf('gone');
    await onAll('gone');
    const others = NAMES.filter((name) => name !== home);
    await purge(home, ['gone']);
    for (const other of others) cluster.network.cut(home, other);
    for (const name of others) await cluster.connectedTo(name, 1);
    origin.requests.length = 0;
    const numbers = await Promise.all(others.map((name) => numberAt(name, 'gone')));
    expect(new Set(numbers).size).toBe(1);
    expect(origin.requests).toHaveLength(1);
    for (const other of others) cluster.network.heal(home, other);
    await cluster.live(NAMES);
  });

  it('asks those who hold a record before the origin', async () => {
    const home = homeOf('kept');
    const ids = Array.from({ length: 30 }, (_, at) => `kept-${at}`);
    const own = ids.filter((id) => homeOf(id) === home);
    for (const id of own) await onAll(id);
    await cluster.kill(home);
    await cluster.start(home, { isEmpty: true, peers: NAMES.filter((name) => name !== home) });
    await cluster.live(NAMES);
    // The others must have heard of it, and it of all their purges, before one answers.
    await until('a record of the others', async () => {
      const id = own.pop();
      if (id === undefined) throw new Error('each of its records was fetched anew');
      origin.requests.length = 0;
      expect((await get(home, id)).status).toBe(200);
      return origin.requests.length === 0;
    });
  });
});
