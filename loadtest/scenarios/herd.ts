/**
 * 500 clients ask for one key in the same instant: cold, expired, and failing.
 *
 * Estimate: one fetch of 200 ms, and the 500 answers written after it at 15 us each: the last comes
 * 8 ms after the fetch, plus what the generator needs to read them; p99 below 260 ms. A failing key
 * is fetched once and its failure shared, then remembered for the back-off of one second.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { RawClient } from '../harness/raw-client.ts';
import type { Verdict } from '../harness/report.ts';
import type { Server } from '../harness/server.ts';
import { median, quantile, spread } from '../harness/statistics.ts';

const CLIENTS = 500;
const ORIGIN_MS = 200;

interface Herd {
  readonly fetches: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly statuses: string;
}

/** Connects first, so that the requests leave together. */
async function stampede(bench: Bench, url: string, path: string): Promise<Herd> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(url)));
  const fetchesBefore = await bench.origin.count();
  const replies = await Promise.all(clients.map((client) => client.request('GET', path)));
  for (const client of clients) client.close();
  const latencies = replies.map((reply) => reply.ms);
  const statuses = [...new Set(replies.map((reply) => reply.status))].toSorted();
  return {
    fetches: (await bench.origin.count()) - fetchesBefore,
    p50Ms: median(latencies),
    p99Ms: quantile(latencies, 0.99),
    statuses: statuses.join(' '),
  };
}

async function repeat(bench: Bench, once: (round: number) => Promise<Herd>): Promise<Herd[]> {
  const herds: Herd[] = [];
  for (let round = 0; round < bench.settings.repeats; round += 1) herds.push(await once(round));
  return herds;
}

const row = (server: string, key: string, herds: readonly Herd[]): readonly string[] => [
  server,
  key,
  spread(
    herds.map((herd) => herd.fetches),
    0,
  ),
  spread(
    herds.map((herd) => herd.p50Ms),
    0,
  ),
  spread(
    herds.map((herd) => herd.p99Ms),
    0,
  ),
  [...new Set(herds.map((herd) => herd.statuses))].join(', '),
];

async function cold(bench: Bench, server: Server): Promise<Herd[]> {
  await bench.origin.control({ delay: ORIGIN_MS });
  const stamp = `${process.pid}-${Math.round(performance.now())}`;
  return repeat(bench, (round) => stampede(bench, server.url, `/items/cold-${stamp}-${round}`));
}

/** An entry of the table `failing` is fresh for a second and has no stale allowance. */
async function expired(bench: Bench, server: Server): Promise<Herd[]> {
  return repeat(bench, async (round) => {
    await bench.origin.control({});
    const client = await RawClient.connect(server.url);
    await client.request('GET', `/failing/expired-${round}`);
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await bench.origin.control({ delay: ORIGIN_MS });
    return stampede(bench, server.url, `/failing/expired-${round}`);
  });
}

async function failing(bench: Bench, server: Server): Promise<Herd[]> {
  await bench.origin.control({ delay: ORIGIN_MS, status: 500 });
  return repeat(bench, (round) => stampede(bench, server.url, `/failing/failing-${round}`));
}

function verdicts(herds: Readonly<Record<'cold' | 'expired' | 'failing', Herd[]>>): Verdict[] {
  const most = (list: readonly Herd[]) => Math.max(...list.map((herd) => herd.fetches));
  const p99 = median(herds.cold.map((herd) => herd.p99Ms));
  return [
    { target: 'cold key: 1 fetch', result: `${most(herds.cold)}`, met: most(herds.cold) === 1 },
    {
      target: `cold key: p99 at most ${ORIGIN_MS + 60} ms`,
      result: `${p99.toFixed(0)} ms`,
      met: p99 <= ORIGIN_MS + 60,
    },
    {
      target: 'expired key: 1 fetch',
      result: `${most(herds.expired)}`,
      met: most(herds.expired) === 1,
    },
    {
      target: 'failing key: at most 2 fetches',
      result: `${most(herds.failing)}`,
      met: most(herds.failing) <= 2,
    },
  ];
}

async function run(bench: Bench) {
  const node = await bench.millrace();
  const herds = {
    cold: await cold(bench, node),
    expired: await expired(bench, node),
    failing: await failing(bench, node),
  };
  const rows = [
    row(node.name, 'cold', herds.cold),
    row(node.name, 'expired', herds.expired),
    row(node.name, 'failing', herds.failing),
  ];
  for (const peer of [await bench.nginx(), await bench.varnish()]) {
    if (peer !== undefined) rows.push(row(peer.name, 'cold', await cold(bench, peer)));
  }
  await bench.origin.control({});
  return {
    title: `Herd: ${CLIENTS} clients ask for one key at once, origin ${ORIGIN_MS} ms`,
    estimate: 'one fetch each; p99 of the cold key within 60 ms of the origin.',
    table: [['server', 'key', 'fetches', 'p50 ms', 'p99 ms', 'statuses'], ...rows],
    verdicts: verdicts(herds),
  };
}

export const herd: Scenario = { name: 'herd', run };
