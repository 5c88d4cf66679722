/**
 * Durable PUTs of 1 KB by 64 clients over 5,000 keys each, with one index and the change log,
 * beside what lmdb alone does with 64 concurrent puts, each awaited until it is on the disk.
 *
 * Estimate: the disk decides: one flush serves all writes that wait for it, so both do 64 writes a
 * flush. A write of ours is four (entry, old and new index entry, log) and a request: 0.35 to 0.5.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Bench, Scenario } from '../harness/context.ts';
import { GENERATOR_CORE, pinned, SERVER_CORE } from '../harness/cores.ts';
import { cpuMicros } from '../harness/cpu.ts';
import { median, spread } from '../harness/statistics.ts';
import { runWrk } from '../harness/wrk.ts';
import { script } from '../peers/origin.ts';

interface Writes {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const put = `
  local id = "p" .. (n % 320000)
  return wrk.format("PUT", "/Note/" .. id, headers,
    '{"id":"' .. id .. '","kind":"k' .. (n % 1000) .. '","text":"' .. text .. '"}')`;

async function throughNode(bench: Bench): Promise<Writes> {
  const node = await bench.millrace();
  const before = cpuMicros(node.pid);
  const result = await runWrk({
    url: node.url,
    seconds: bench.settings.seconds,
    connections: 64,
    setup: `local text = string.rep("x", 960)
local headers = { ["content-type"] = "application/json" }`,
    request: put,
  });
  if (result.errors > 0) throw new Error(`${result.errors} writes failed`);
  return {
    perSecond: result.requests / result.seconds,
    cpuMicros: (cpuMicros(node.pid) - before) / result.requests,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
  };
}

function rawCommits(folder: string, seconds: number): Promise<Writes> {
  const args = [...script('./lmdb-commits.ts'), folder, String(seconds)];
  return new Promise((resolve, reject) => {
    const child = spawn(...pinned(SERVER_CORE, process.execPath, args), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.once('exit', () => {
      const found = /writes (\S+) (\S+) (\S+)/.exec(output);
      if (found === null) return reject(new Error(`lmdb alone: ${output}`));
      const [writes = 0, took = 1, cpu = 0] = found.slice(1).map(Number);
      const perSecond = writes / took;
      // Each of the 64 waits for one flush at a time.
      const p50Ms = 64_000 / perSecond;
      resolve({ perSecond, cpuMicros: cpu / writes, p50Ms, p99Ms: Number.NaN });
    });
  });
}

const row = (name: string, list: readonly Writes[]) => [
  name,
  spread(
    list.map((one) => one.perSecond),
    0,
  ),
  spread(
    list.map((one) => one.cpuMicros),
    0,
  ),
  spread(list.map((one) => one.p50Ms)),
  Number.isNaN(list[0]?.p99Ms) ? '–' : spread(list.map((one) => one.p99Ms)),
];

async function run(bench: Bench) {
  const ours: Writes[] = [];
  const raw: Writes[] = [];
  const folder = join(bench.folder.data, '..', 'raw-lmdb');
  await throughNode(bench);
  for (let round = 0; round < bench.settings.repeats; round += 1) {
    raw.push(await rawCommits(folder, bench.settings.seconds));
    ours.push(await throughNode(bench));
  }
  const found = ours.map((one, index) => one.perSecond / (raw[index]?.perSecond ?? Number.NaN));
  const p99 = median(ours.map((one) => one.p99Ms));
  return {
    title: 'Durable PUT, 1 KB, 64 clients, one index, change log on',
    estimate: '0.35 to 0.5 of what lmdb alone commits; p99 a few flushes of the disk.',
    table: [
      ['server', 'writes/s', 'us CPU/write', 'p50 ms', 'p99 ms'],
      row('Millrace', ours),
      row('lmdb alone', raw),
    ],
    verdicts: [
      {
        target: 'at least 0.35 of lmdb alone',
        result: spread(found),
        met: median(found) >= 0.35,
      },
      { target: 'p99 < 15 ms', result: `${p99.toFixed(1)} ms`, met: p99 < 15 },
    ],
    notes: [`the generator runs on core ${GENERATOR_CORE} beside nothing else`],
  };
}

export const durablePut: Scenario = { name: 'durable-put', run };
