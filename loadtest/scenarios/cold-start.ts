/**
 * From the command to the ready line, on an empty store and on a full one, and the memory of a node
 * that then does nothing.
 *
 * Estimate: Node itself starts in 40 ms; loading our modules, lmdb and the engine takes 100 to 150
 * ms; opening the map reads a few pages whatever its size: below 300 ms for both. Idle memory is
 * Node's 45 MB, the modules' 20 MB and the pages of the map that were touched: 80 to 90 MB.
 */
import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench, Scenario } from '../harness/context.ts';
import { residentBytes } from '../harness/cpu.ts';
import { sendAll } from '../harness/raw-client.ts';
import { median, spread } from '../harness/statistics.ts';
import { type AppFolder, startMillrace } from '../peers/millrace.ts';

interface Start {
  readonly readyMs: number;
  readonly firstAnswerMs: number;
  readonly idleMegabytes: number;
}

async function startOnce(folder: AppFolder, path: string): Promise<Start> {
  const server = await startMillrace(folder);
  const began = performance.now();
  await (await fetch(server.url + path)).arrayBuffer();
  const firstAnswerMs = server.startedInMs + performance.now() - began;
  // Start-up garbage has settled by then.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const idleMegabytes = residentBytes(server.pid) / 1e6;
  await server.stop();
  return { readyMs: server.startedInMs, firstAnswerMs, idleMegabytes };
}

async function starts(bench: Bench, folder: AppFolder, path: string): Promise<Start[]> {
  const list: Start[] = [];
  for (let round = 0; round < bench.settings.repeats; round += 1) {
    list.push(await startOnce(folder, path));
  }
  return list;
}

/** Fills a store of its own through the front door, then stops the node. */
async function prepare(folder: AppFolder, records: number): Promise<void> {
  const server = await startMillrace(folder);
  const text = 'x'.repeat(960);
  await sendAll({
    url: server.url,
    clients: 64,
    count: records,
    request: (client, index) =>
      client.request(
        'PUT',
        `/Note/${index}`,
        'content-type: application/json\r\n',
        JSON.stringify({ id: String(index), kind: `k${index % 1000}`, text }),
      ),
  });
  await server.stop();
}

const row = (name: string, list: readonly Start[]) => [
  name,
  spread(
    list.map((one) => one.readyMs),
    0,
  ),
  spread(
    list.map((one) => one.firstAnswerMs),
    0,
  ),
  spread(
    list.map((one) => one.idleMegabytes),
    0,
  ),
];

async function run(bench: Bench) {
  const records = bench.settings.large ? 1_000_000 : 50_000;
  const beside = join(dirname(bench.folder.app), 'cold');
  const app = join(beside, 'app');
  cpSync(bench.folder.app, app, { recursive: true });
  const empty = { app, data: join(beside, 'empty') };
  const full = { app, data: join(beside, 'full') };
  const emptyStarts = await starts(bench, empty, '/Note/1');
  await prepare(full, records);
  const fullStarts = await starts(bench, full, '/Note/1');
  rmSync(beside, { recursive: true, force: true });
  const emptyMs = median(emptyStarts.map((one) => one.readyMs));
  const fullMs = median(fullStarts.map((one) => one.firstAnswerMs));
  const idle = median(emptyStarts.map((one) => one.idleMegabytes));
  return {
    title: 'Cold start and idle memory',
    estimate: 'ready within 300 ms whatever the store holds; 80 to 90 MB idle.',
    table: [
      ['store', 'ready ms', 'first answer ms', 'idle RSS MB, whole tree'],
      row('empty', emptyStarts),
      row(`${records} records of 1 KB`, fullStarts),
    ],
    verdicts: [
      { target: 'ready < 500 ms, empty', result: `${emptyMs.toFixed(0)} ms`, met: emptyMs < 500 },
      {
        target: 'first answer < 1 s with 1,000,000 records',
        result: `${fullMs.toFixed(0)} ms with ${records}`,
        met: records >= 1_000_000 ? fullMs < 1_000 : undefined,
      },
      { target: 'idle memory < 120 MB', result: `${idle.toFixed(0)} MB`, met: idle < 120 },
    ],
    notes: ['starts are pinned to one core, as the server is in the other scenarios'],
  };
}

export const coldStart: Scenario = { name: 'cold-start', run };
