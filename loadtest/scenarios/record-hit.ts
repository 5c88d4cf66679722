/**
 * A fresh hit on one of many records of 1 KB, chosen at random: the request most nodes mostly get.
 *
 * Estimate: the bare engine spends about 9 us on a request, nearly all of it in two system calls.
 * We add a read of the map (1 to 2.5 us, with its cache misses), eight response headers (2 us), the
 * parsing of six request headers (1 us) and the decision (under 1 us): 13 to 14 us, 0.65 of bare.
 * nginx reads its cache file from memory and spends 16 us, Varnish 27 us.
 */
import { type Contender, compare, type Measured, ratios } from '../harness/compare.ts';
import { answerOf, type Bench, type Scenario, startFixed } from '../harness/context.ts';
import { comparisonTable, type Verdict } from '../harness/report.ts';
import type { Server } from '../harness/server.ts';
import { median, spread } from '../harness/statistics.ts';

const KEYS = 100_000;
const BARE = 'bare uWS';
const BARE_WITH_HEADERS = 'bare uWS, same headers';

const randomKey = (keys: number, prefix: string) => ({
  connections: 64,
  setup: 'local headers = { ["accept"] = "application/json", ["user-agent"] = "wrk" }',
  request: `return wrk.format("GET", "${prefix}" .. random(0, ${keys - 1}), headers)`,
});

/** Our own answer, sent by engines that do nothing else. */
export async function startFloors(answer: { body: string; headers: (string | undefined)[] }) {
  const bareBody = { body: answer.body };
  return [
    await startFixed(BARE, './bare-uws.ts', bareBody),
    await startFixed(BARE_WITH_HEADERS, './bare-uws.ts', answer),
    await startFixed('node:http', './node-http.ts', answer),
  ];
}

export function judge(
  ours: Measured,
  measured: readonly Measured[],
  targets: Readonly<Record<string, number>>,
): Verdict[] {
  return Object.entries(targets).flatMap(([name, least]) => {
    const peer = measured.find((one) => one.name === name);
    if (peer === undefined) return [];
    const found = ratios(ours, peer);
    const target = `at least ${least} x ${name}, requests per CPU-second`;
    return [{ target, result: spread(found), met: median(found) >= least }];
  });
}

/** The same over ten times the keys, in turn with the fewer, on the same node. */
async function overManyKeys(bench: Bench, node: Server): Promise<Verdict[]> {
  await bench.fill(node, 10 * KEYS);
  const [few, many] = await compare(
    [
      { server: node, load: randomKey(KEYS, '/items/') },
      { server: node, load: randomKey(10 * KEYS, '/items/') },
    ],
    bench.settings,
  );
  if (few === undefined || many === undefined) throw new Error('nothing was measured');
  const found = ratios(many, few);
  const target = 'over 1,000,000 keys, at least 0.95 of the figure over 100,000';
  return [{ target, result: spread(found), met: median(found) >= 0.95 }];
}

async function present(servers: readonly (Promise<Server | undefined> | Server)[]) {
  const settled = await Promise.all(servers);
  return settled.filter((one): one is Server => one !== undefined);
}

async function run(bench: Bench) {
  const node = await bench.millrace();
  const caches = await present([node, bench.nginx(), bench.varnish()]);
  for (const cache of caches) await bench.fill(cache, KEYS);
  const answer = await answerOf(node.url, '/items/7');
  const floors = await startFloors(answer);
  const load = randomKey(KEYS, '/items/');
  const contenders: Contender[] = [...floors, ...caches].map((server) => ({ server, load }));
  const measured = await compare(contenders, bench.settings);
  for (const floor of floors) await floor.stop();
  const ours = measured.find((one) => one.name === node.name) ?? measured[0];
  if (ours === undefined) throw new Error('nothing was measured');
  return {
    title: 'Record hit, 1 KB, random over 100,000 keys',
    estimate: '13 to 14 us of CPU a request, 0.65 of the bare engine; nginx 16 us, Varnish 27 us.',
    table: comparisonTable(measured, ours),
    verdicts: [
      ...judge(ours, measured, { [BARE]: 0.62, 'nginx proxy_cache': 1, Varnish: 1.6 }),
      ...(bench.settings.large ? await overManyKeys(bench, node) : []),
    ],
    notes: [`answer: ${answer.body.length} bytes, headers ${JSON.stringify(answer.headers)}`],
  };
}

export const recordHit: Scenario = { name: 'record-hit', run };
