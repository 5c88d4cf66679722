/**
 * Bulk import: rows of about 300 bytes into a table with two indexes, by one streamed request.
 *
 * Estimate: a row is four writes of the engine (row, two index entries, log), 6 us; parsing,
 * checking and encoding it 6 us; making and collecting its objects 5 us; a share of the commit and
 * its flush 5 us: 22 us, 45,000 rows/s on one core. The change log's ring holds 32 MB of rows, and
 * nothing else grows.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { cpuMicros, ownBytes } from '../harness/cpu.ts';
import { bringRows } from '../harness/rows.ts';
import type { Server } from '../harness/server.ts';
import { median, spread } from '../harness/statistics.ts';

const NOTE = 'n'.repeat(190);

interface Import {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly grownMegabytes: number;
}

async function bring(node: Server, rows: number, round: number): Promise<Import> {
  const before = ownBytes(node.pid);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, ownBytes(node.pid));
  }, 50);
  const cpu = cpuMicros(node.pid);
  const began = performance.now();
  await bringRows(node.url, 'Reading', rows, (index) => ({
    id: `r${round}-${String(index).padStart(8, '0')}`,
    sensor: `s${index % 1000}`,
    at: 1_700_000_000_000 + index * 1000,
    value: index / 7,
    note: NOTE,
  }));
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watch);
  return {
    perSecond: rows / seconds,
    cpuMicros: (cpuMicros(node.pid) - cpu) / rows,
    grownMegabytes: (most - before) / 2 ** 20,
  };
}

async function run(bench: Bench) {
  const node = await bench.millrace();
  const { large, repeats } = bench.settings;
  const rows = large ? 1_000_000 : 100_000;
  // The ring of changes fills once, and then is written over.
  await bring(node, 100_000, 0);
  const imports: Import[] = [];
  for (let round = 1; round <= repeats; round += 1) imports.push(await bring(node, rows, round));
  const of = (value: (one: Import) => number): number[] => imports.map(value);
  const perSecond = of((one) => one.perSecond);
  const perCpuSecond = of((one) => 1_000_000 / one.cpuMicros);
  const grown = of((one) => one.grownMegabytes);
  return {
    title: `Import of ${rows} rows of 300 B, two indexes`,
    estimate: '22 us of CPU a row, 45,000 rows/s on one core; memory flat.',
    table: [
      ['rows/s', 'us CPU/row', 'rows per CPU-second', 'memory grown, MB'],
      [
        spread(perSecond, 0),
        spread(of((one) => one.cpuMicros)),
        spread(perCpuSecond, 0),
        spread(grown, 0),
      ],
    ],
    verdicts: [
      {
        target: 'at least 40,000 rows/s',
        result: spread(perSecond, 0),
        met: median(perSecond) >= 40_000,
      },
      {
        target: 'memory flat (own memory grows by less than 64 MB)',
        result: `${spread(grown, 0)} MB`,
        met: median(grown) < 64,
      },
    ],
    notes: ['rows of a second import are new ones: the table grows from round to round'],
  };
}

export const bulkImport: Scenario = { name: 'import', run };
