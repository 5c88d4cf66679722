/**
 * `npm run simulate [-- --seeds N --from N --operations N --seed N --minutes N]`: runs seeded
 * schedules of the replication core on all processors, and prints a failing seed with the schedule
 * that is left when it is cut down. `--seed N` replays one. With `--minutes N` it begins no seed
 * after that time. It is bundled before it runs: what the code writes as `...{ name, other }` is
 * then a plain field, which the engine takes a third of the time for.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Schedule, scheduleOf } from './actions.ts';
import { shrink } from './shrink.ts';
import { Simulation } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    operations: { type: 'string', default: '200' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    step: { type: 'string' },
    workers: { type: 'string' },
  },
});
const operations = Number(values.operations);
const endsAt = performance.now() + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000;

const failsWith = async (schedule: Schedule) => (await new Simulation(schedule).run()).problems;

async function explain(seed: number, problems: readonly string[]): Promise<void> {
  console.log(`seed ${seed} fails: ${problems.slice(0, 5).join('\n  ')}`);
  const small = await shrink(
    scheduleOf(seed, operations),
    async (schedule) => (await failsWith(schedule)).length > 0,
    400,
  );
  console.log(`${small.nodes} nodes, ${small.troubles.join(' ') || 'no troubles'}:`);
  for (const action of small.actions) console.log(`  ${JSON.stringify(action)}`);
  console.log(`  ${(await failsWith(small)).slice(0, 5).join('\n  ')}`);
  console.log(`again: npm run simulate -- --seed ${seed} --operations ${operations}`);
}

async function runSeeds(from: number, seeds: number, step: number): Promise<number> {
  let failed = 0;
  const sums = {
    seeds: 0,
    acked: 0,
    frames: 0,
    snapshots: 0,
    repaired: 0,
    healedMs: 0,
    byBackbone: 0,
    entries: 0,
  };
  for (let seed = from; seed < from + seeds && performance.now() < endsAt; seed += step) {
    const result = await new Simulation(scheduleOf(seed, operations)).run();
    sums.seeds += 1;
    sums.acked += result.acked;
    sums.frames += result.frames;
    sums.snapshots += result.snapshots;
    sums.repaired += result.repaired;
    sums.byBackbone += result.byBackbone;
    sums.entries += result.entries;
    sums.healedMs = Math.max(sums.healedMs, result.healedMs);
    if (result.problems.length === 0) continue;
    failed += 1;
    if (failed <= 3) await explain(seed, result.problems);
    else console.log(`seed ${seed} fails: ${result.problems[0]?.slice(0, 200)}`);
  }
  console.log(JSON.stringify({ from, step, ...sums, failed }));
  return failed;
}

/** Each process takes every n-th seed. */
async function runAll(from: number, seeds: number): Promise<number> {
  const workers = Number(values.workers ?? availableParallelism());
  const self = fileURLToPath(import.meta.url);
  const codes = Array.from({ length: workers }, (_, at) => {
    const options = ['--seeds', `${seeds - at}`, '--from', `${from + at}`, '--step', `${workers}`];
    const time = values.minutes === undefined ? [] : ['--minutes', values.minutes];
    const flags = [...process.execArgv, self, ...options, ...time, '--operations', `${operations}`];
    const child = spawn(process.execPath, flags, { stdio: 'inherit' });
    return new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  });
  return (await Promise.all(codes)).reduce((sum, code) => sum + code, 0);
}

const [from, seeds] = [Number(values.from), Number(values.seeds)];
if (values.seed !== undefined) process.exitCode = (await runSeeds(Number(values.seed), 1, 1)) && 1;
else if (values.step !== undefined) {
  process.exitCode = (await runSeeds(from, seeds, Number(values.step))) && 1;
} else process.exitCode = (await runAll(from, seeds)) && 1;
