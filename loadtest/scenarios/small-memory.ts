/**
 * A node that may have 1 GB of memory, under all of the attacks at once: it sheds and lives.
 *
 * Estimate: the store's pages are the kernel's to take back; connections, waiting misses and
 * sign-ins are bounded, so its own memory stays below 400 MB and nothing has to be shed for long.
 * `--seconds 1800` runs it for half an hour, as a release needs.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { type MemoryGroup, makeMemoryGroup } from '../harness/memory-group.ts';
import type { Section } from '../harness/report.ts';
import { bringRows } from '../harness/rows.ts';
import { besiege, SIEGE_HEAD, siegeRows } from '../harness/siege.ts';
import { startMillrace } from '../peers/millrace.ts';
import { ATTACKS } from './siege.ts';

const MEMORY_BYTES_MAX = 1024 ** 3;
const ROWS = 10_000;
/** The first half fills caches and heaps; what grows after it does not stop. */
const GROWTH_MAX = 1.15;

async function run(bench: Bench): Promise<Section> {
  const group = makeMemoryGroup(`millrace-load-${process.pid}`, MEMORY_BYTES_MAX);
  if (group === undefined) {
    return {
      title: 'All attacks at once on a node with 1 GB of memory',
      estimate: 'not run.',
      table: [],
      verdicts: [{ target: 'a control group can be made', result: 'no', met: undefined }],
    };
  }
  try {
    return await runIn(bench, group);
  } finally {
    group.remove();
  }
}

async function runIn(bench: Bench, group: MemoryGroup): Promise<Section> {
  const folder = { ...bench.folder, data: `${bench.folder.data}-small` };
  const node = await startMillrace(folder, { within: group.enter });
  await bench.origin.control({});
  await bringRows(node.url, 'Small', ROWS, (index) => ({ id: `r${index}`, kind: index % 20 }));
  const siege = await besiege(node, Object.values(ATTACKS), bench.settings.seconds);
  const { pid } = node;
  const lives = isRunning(pid);
  const kills = group.kills();
  await node.stop();
  const half = siege.megabytes.length / 2;
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(siege.megabytes.slice(half * 0.8, half * 1.2));
  const growth = mean(siege.megabytes.slice(half * 1.6)) / middle;
  return {
    title: 'All attacks at once on a node with 1 GB of memory',
    estimate: `it lives for ${bench.settings.seconds} s; own memory below 400 MB.`,
    table: [SIEGE_HEAD, ...siegeRows('all at once', [siege])],
    verdicts: [
      {
        target: 'the node lives, and the kernel kills nothing',
        result: `${lives ? 'lives' : 'has ended'}, ${kills} kills`,
        met: lives && kills === 0,
      },
      {
        target: 'memory at the end is that of the middle',
        result: `${growth.toFixed(2)} times, at most ${Math.max(...siege.megabytes).toFixed(0)} MB`,
        met: growth <= GROWTH_MAX,
      },
    ],
    notes: [`the attackers counted ${siege.counts}`],
  };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const smallMemory: Scenario = { name: 'small-memory', run };
