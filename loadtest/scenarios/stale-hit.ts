/**
 * A stale hit under stale-while-revalidate while the origin hangs: nobody may wait for it.
 *
 * Estimate: the same work as a fresh hit plus one look at the flight of the key, which is there
 * already: within 5 % of a fresh hit in CPU and in p50. The refreshes behind hold one connection
 * each of the origin's limit and no more.
 */
import { compare, ratios } from '../harness/compare.ts';
import type { Bench, Scenario } from '../harness/context.ts';
import { sendAll } from '../harness/raw-client.ts';
import { comparisonTable } from '../harness/report.ts';
import { median, spread } from '../harness/statistics.ts';

const KEYS = 1_000;

const load = (table: string) => ({
  connections: 64,
  request: `return wrk.format("GET", "/${table}/" .. random(0, ${KEYS - 1}))`,
});

async function run(bench: Bench) {
  const node = await bench.millrace();
  await bench.fill(node, KEYS);
  await sendAll({
    url: node.url,
    clients: 16,
    count: KEYS,
    request: (client, index) => client.request('GET', `/stale/${index}`),
  });
  // The entries are fresh for one second.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await bench.origin.control({ hang: 1 });
  const fresh = { ...node, name: 'Millrace, fresh' };
  const stale = { ...node, name: 'Millrace, stale, origin hangs' };
  const measured = await compare(
    [
      { server: fresh, load: load('items') },
      { server: stale, load: load('stale') },
    ],
    bench.settings,
  );
  await bench.origin.control({});
  const [first, second] = measured;
  if (first === undefined || second === undefined) throw new Error('nothing was measured');
  const found = ratios(second, first);
  return {
    title: 'Stale hit under whileRevalidate while the origin hangs',
    estimate: 'within 5 % of a fresh hit in CPU; p50 the same.',
    table: comparisonTable(measured, second),
    verdicts: [
      {
        target: 'at least 0.95 of the requests per CPU-second of a fresh hit',
        result: spread(found),
        met: median(found) >= 0.95,
      },
      {
        target: 'no answer waits for the origin (p99 < 200 ms)',
        result: `${spread(second.samples.map((one) => one.p99Ms))} ms`,
        met: median(second.samples.map((one) => one.p99Ms)) < 200,
      },
    ],
  };
}

export const staleHit: Scenario = { name: 'stale-hit', run };
