/**
 * Misses on ever new keys with an origin that answers at once: what a cache costs when it does not
 * help.
 *
 * Estimate: a miss is a request in, a request out through the pool (60 to 100 us of undici), a
 * reply parsed, hashed and stored behind (20 us): about 130 us of CPU, 0.2 ms over the origin at
 * one client. nginx writes a file for each miss: 60 to 80 us.
 */

import type { Bench, Scenario } from '../harness/context.ts';
import { cpuMicros } from '../harness/cpu.ts';
import { sendAll } from '../harness/raw-client.ts';
import type { Server } from '../harness/server.ts';
import { median, quantile, spread } from '../harness/statistics.ts';

const KEYS = 4_000;
const CLIENTS = 8;

interface Round {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
}

let series = 0;

async function round(server: Server): Promise<Round> {
  series += 1;
  const prefix = `/items/miss-${process.pid}-${series}-`;
  const before = cpuMicros(server.pid);
  const latencies = await sendAll({
    url: server.url,
    clients: CLIENTS,
    count: KEYS,
    request: (client, index) => client.request('GET', prefix + index),
  });
  return {
    p50Ms: median(latencies),
    p99Ms: quantile(latencies, 0.99),
    cpuMicros: (cpuMicros(server.pid) - before) / KEYS,
  };
}

async function run(bench: Bench) {
  const node = await bench.millrace();
  const peers = [await bench.nginx(), await bench.varnish()];
  await bench.origin.control({});
  const servers = [bench.origin, node, ...peers].filter((one): one is Server => one !== undefined);
  const rounds = new Map<string, Round[]>(servers.map((one) => [one.name, []]));
  for (const server of servers) await round(server);
  for (let count = 0; count < bench.settings.repeats; count += 1) {
    for (const server of servers) rounds.get(server.name)?.push(await round(server));
  }
  const of = (name: string, value: keyof Round) =>
    (rounds.get(name) ?? []).map((one) => one[value]);
  const rows = servers.map(({ name }) => [
    name,
    spread(of(name, 'p50Ms')),
    spread(of(name, 'p99Ms')),
    name === 'origin' ? '–' : spread(of(name, 'cpuMicros'), 0),
  ]);
  const overhead = median(of(node.name, 'p50Ms')) - median(of('origin', 'p50Ms'));
  const ratio = of('nginx proxy_cache', 'cpuMicros').map(
    (cpu, index) => cpu / (of(node.name, 'cpuMicros')[index] ?? Number.NaN),
  );
  return {
    title: `Miss: ${KEYS} cold keys, ${CLIENTS} clients, origin 0 ms`,
    estimate: 'about 130 us of CPU, 0.2 to 0.5 ms over the origin at the median.',
    table: [['server', 'p50 ms', 'p99 ms', 'us CPU/request'], ...rows],
    verdicts: [
      {
        target: 'at most 1.5 ms over the origin at the median',
        result: `${overhead.toFixed(2)} ms`,
        met: overhead <= 1.5,
      },
      {
        target: 'at least nginx, requests per CPU-second',
        result: spread(ratio),
        met: ratio.length === 0 ? undefined : median(ratio) >= 1,
      },
    ],
  };
}

export const miss: Scenario = { name: 'miss', run };
