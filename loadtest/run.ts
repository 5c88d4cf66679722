/**
 * Runs the scenarios named on the command line (all by default), prints each section as it is done
 * and writes `loadtest/report.md`.
 *
 * Usage: tsx loadtest/run.ts [--repeats 3] [--seconds 5] [--large] [scenario…]
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openBench, type Scenario, type Settings } from './harness/context.ts';
import { GENERATOR_CORE, pinMyself, SERVER_CORE } from './harness/cores.ts';
import { mergeReport, type Section, sectionText } from './harness/report.ts';
import { killServers } from './harness/server.ts';
import { coldStart } from './scenarios/cold-start.ts';
import { durablePut } from './scenarios/durable-put.ts';
import { fanOut } from './scenarios/fan-out.ts';
import { fleet } from './scenarios/fleet.ts';
import { herd } from './scenarios/herd.ts';
import { conflation, idle } from './scenarios/idle.ts';
import { bulkImport } from './scenarios/import.ts';
import { manyRecords, stalledSnapshot } from './scenarios/many-records.ts';
import { miss } from './scenarios/miss.ts';
import { notModified } from './scenarios/not-modified.ts';
import { pageHit } from './scenarios/page-hit.ts';
import { purge } from './scenarios/purge.ts';
import { push } from './scenarios/push.ts';
import { query } from './scenarios/query.ts';
import { races } from './scenarios/races.ts';
import { recordHit } from './scenarios/record-hit.ts';
import { siege } from './scenarios/siege.ts';
import { smallMemory } from './scenarios/small-memory.ts';
import { staleHit } from './scenarios/stale-hit.ts';

const scenarios: readonly Scenario[] = [
  recordHit,
  notModified,
  pageHit,
  staleHit,
  herd,
  miss,
  query,
  purge,
  durablePut,
  bulkImport,
  races,
  push,
  ...fanOut,
  idle,
  conflation,
  manyRecords,
  stalledSnapshot,
  ...siege,
  smallMemory,
  ...fleet,
  coldStart,
];
const reportFile = fileURLToPath(new URL('./report.md', import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    large: { type: 'boolean', default: false },
  },
});

const settings: Settings = {
  repeats: Number(values.repeats),
  seconds: Number(values.seconds),
  warmUpSeconds: 2,
  large: values.large,
};

function chosen(): readonly Scenario[] {
  const unknown = positionals.filter((name) => !scenarios.some((one) => one.name === name));
  if (unknown.length > 0) {
    const known = scenarios.map((one) => one.name).join(', ');
    process.stderr.write(`no scenario ${unknown.join(', ')}; there are ${known}\n`);
    process.exit(2);
  }
  return positionals.length === 0
    ? scenarios
    : scenarios.filter((one) => positionals.includes(one.name));
}

function writeReport(sections: readonly Section[]): void {
  const how = [
    `server on core ${SERVER_CORE}, generator on core ${GENERATOR_CORE}; ` +
      `${settings.repeats} rounds of ${settings.seconds} s each, servers in turn; median (range)`,
  ];
  const previous = existsSync(reportFile) ? readFileSync(reportFile, 'utf8') : '';
  writeFileSync(reportFile, mergeReport(previous, sections, how));
}

async function runAll(): Promise<void> {
  const selected = chosen();
  pinMyself();
  const bench = await openBench(settings);
  const sections: Section[] = [];
  try {
    for (const scenario of selected) {
      const section = await scenario.run(bench);
      sections.push(section);
      process.stdout.write(`${sectionText(section)}\n`);
      writeReport(sections);
    }
  } finally {
    killServers();
    rmSync(dirname(bench.folder.app), { recursive: true, force: true });
  }
}

await runAll();
process.exit(0);
