/**
 * Fresh hits on pages of 1, 10 and 100 KB, chosen at random among a thousand (two hundred of the
 * largest): what a site sends most.
 *
 * Estimate: as a record hit for 1 KB, with the field lines of the renderer to be written as well
 * (ten lines, 2 us). Above that the kernel's copy of the body decides for every server: 10 KB cost
 * 2 us more, 100 KB some 15 us more, and what is added to the bare engine weighs the less.
 */
import { type Contender, compare } from '../harness/compare.ts';
import { answerOf, type Bench, type Scenario, startFixed } from '../harness/context.ts';
import { sendAll } from '../harness/raw-client.ts';
import { comparisonTable, type Verdict } from '../harness/report.ts';
import type { Server } from '../harness/server.ts';
import { judge } from './record-hit.ts';

const SIZES = [
  { kilobytes: 1, pages: 1_000, ofBare: 0.55 },
  { kilobytes: 10, pages: 1_000, ofBare: 0.6 },
  { kilobytes: 100, pages: 200, ofBare: 0.85 },
];
const BARE = 'bare uWS';

async function fill(cache: Server, path: string, pages: number): Promise<void> {
  // Twice: the second time says that all is there.
  for (let round = 0; round < 2; round += 1) {
    await sendAll({
      url: cache.url,
      clients: 16,
      count: pages,
      request: (client, index) => client.request('GET', path + index),
    });
  }
}

async function run(bench: Bench) {
  await bench.origin.control({});
  const node = await bench.millrace();
  const peers = await Promise.all([bench.nginx(), bench.varnish()]);
  const caches = [node, ...peers].filter((one): one is Server => one !== undefined);
  const table: (readonly string[])[] = [];
  const verdicts: Verdict[] = [];
  for (const { kilobytes, pages, ofBare } of SIZES) {
    const path = `/pages/${kilobytes}/`;
    for (const cache of caches) await fill(cache, path, pages);
    const answer = await answerOf(node.url, `${path}7`);
    const floor = await startFixed(BARE, './bare-uws.ts', { body: answer.body });
    const load = {
      connections: 32,
      setup: 'local headers = { ["accept"] = "text/html", ["user-agent"] = "wrk" }',
      request: `return wrk.format("GET", "${path}" .. random(0, ${pages - 1}), headers)`,
    };
    const contenders: Contender[] = [floor, ...caches].map((server) => ({ server, load }));
    const measured = await compare(contenders, bench.settings);
    await floor.stop();
    const ours = measured.find((one) => one.name === node.name);
    if (ours === undefined) throw new Error('nothing was measured');
    const [head = [], ...rows] = comparisonTable(measured, ours);
    if (table.length === 0) table.push(['page', ...head]);
    table.push(...rows.map((row) => [`${kilobytes} KB`, ...row]));
    const found = judge(ours, measured, { [BARE]: ofBare, 'nginx proxy_cache': 1, Varnish: 1 });
    verdicts.push(...found.map((one) => ({ ...one, target: `${kilobytes} KB: ${one.target}` })));
  }
  return {
    title: 'Page hit, 1, 10 and 100 KB, random over 1,000 pages',
    estimate: '15 us of CPU at 1 KB, 17 us at 10 KB, 30 us at 100 KB; nginx 16, 16 and 27 us.',
    table,
    verdicts,
    notes: [],
  };
}

export const pageHit: Scenario = { name: 'page-hit', run };
