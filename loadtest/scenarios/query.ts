/**
 * An indexed equality with `limit(20)` over rows of 1 KB, in tables of 10,000, 100,000 and (with
 * `--large`) 1,000,000 rows, beside a hit on one record of them and the bare engine.
 *
 * Estimate: a request as such 13 us; parsing and planning 10 us; 20 entries of an index and 20 rows
 * 2 us each, which are copied once and joined: 60 to 70 us for 20 KB. That is 0.3 GB per CPU-second
 * beside 0.08 of a record hit, whatever the size of the table: the tree has one level more.
 */
import { compare, type Measured, ratios } from '../harness/compare.ts';
import { answerOf, type Bench, type Scenario, startFixed } from '../harness/context.ts';
import { comparisonTable } from '../harness/report.ts';
import { bringRows } from '../harness/rows.ts';
import { median, spread } from '../harness/statistics.ts';

const PER_KIND = 25;
const TEXT = 'x'.repeat(970);
const PIECE = 100_000;

const SIZES = [
  { table: 'Small', rows: 10_000 },
  { table: 'Medium', rows: 100_000 },
  { table: 'Big', rows: 1_000_000 },
] as const;

async function fill(url: string, table: string, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += PIECE) {
    await bringRows(url, table, Math.min(PIECE, rows - from), (index) => {
      const at = from + index;
      return { id: String(at), kind: at % (rows / PER_KIND), text: TEXT };
    });
  }
}

const load = (request: string) => ({
  connections: 64,
  setup: 'local headers = { ["accept"] = "application/json", ["user-agent"] = "wrk" }',
  request: `return wrk.format("GET", ${request}, headers)`,
});

/** In each round: bytes of answers for the same CPU, those of `one` to those of `other`. */
const byteRatios = (one: Measured, other: Measured): number[] =>
  one.samples.map((sample, round) => {
    const beside = other.samples[round];
    const bytesPerMicro = (each: typeof sample) =>
      each.bytes / each.requests / each.cpuMicrosPerRequest;
    return beside === undefined ? Number.NaN : bytesPerMicro(sample) / bytesPerMicro(beside);
  });

async function run(bench: Bench) {
  const node = await bench.millrace();
  const sizes = SIZES.filter(({ rows }) => bench.settings.large || rows <= 100_000);
  for (const { table, rows } of sizes) await fill(node.url, table, rows);
  const answer = await answerOf(node.url, '/Small/7');
  const bare = await startFixed('bare uWS, one record', './bare-uws.ts', { body: answer.body });
  const queries = sizes.map(({ table, rows }) => ({
    server: { ...node, name: `limit(20) of ${rows} rows` },
    load: load(`"/${table}/?kind=" .. random(0, ${rows / PER_KIND - 1}) .. "&limit(20)"`),
  }));
  const measured = await compare(
    [
      { server: bare, load: load('"/Small/7"') },
      { server: { ...node, name: 'record hit' }, load: load('"/Small/" .. random(0, 9999)') },
      ...queries,
    ],
    bench.settings,
  );
  await bare.stop();
  const [, hit, small] = measured;
  const largest = measured.at(-1);
  if (hit === undefined || small === undefined || largest === undefined) {
    throw new Error('nothing was measured');
  }
  const bytes = byteRatios(largest, hit);
  const flat = ratios(largest, small);
  return {
    title: 'Query: indexed equality, limit(20), rows of 1 KB',
    estimate: '60 to 70 us of CPU a query, whatever the size of the table.',
    table: comparisonTable(measured, largest),
    verdicts: [
      {
        target: `at least 0.5 of the bytes per CPU-second of a record hit (${largest.name})`,
        result: spread(bytes),
        met: median(bytes) >= 0.5,
      },
      {
        target: `flat: ${largest.name} at least 0.9 of the queries per CPU-second of ${small.name}`,
        result: spread(flat),
        met: median(flat) >= 0.9,
      },
    ],
    notes: bench.settings.large ? [] : ['without --large: no table of 1,000,000 rows'],
  };
}

export const query: Scenario = { name: 'query', run };
