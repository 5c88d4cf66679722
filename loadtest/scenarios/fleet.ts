/**
 * Three nodes that replicate to one another over loopback (TARGETS §4).
 *
 * Estimate: a purge is one commit here and one frame to each of the others, which obey before they
 * commit: the round of a socket, a millisecond or two. A change costs the writer its request, its
 * commit and two sends; a follower takes many in one frame and one commit: 5 to 10 us each, a fifth
 * of the writer's. What is missed comes in frames of some hundred changes: 10 us each, 100,000/s.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Scenario } from '../harness/context.ts';
import { GENERATOR_CORE, SERVER_CORE } from '../harness/cores.ts';
import { cpuMicros } from '../harness/cpu.ts';
import { RawClient } from '../harness/raw-client.ts';
import { bringRows } from '../harness/rows.ts';
import { SocketReceiver } from '../harness/socket-receiver.ts';
import { median, quantile, spread } from '../harness/statistics.ts';
import { Fleet } from '../peers/fleet.ts';

const NAMES = ['n1', 'n2', 'n3'];
const FOLLOWERS = ['n2', 'n3'];
const JSON_FIELD = 'content-type: application/json\r\n';
const STORED_ONLY = 'cache-control: only-if-cached\r\n';
const PURGES = 200;
const WRITES_PER_SECOND = 2_000;
const WRITERS = 32;
/** One record is written so often while the others are, and watched on the followers. */
const PROBES_PER_SECOND = 50;
const HTTP_OK = 200;

const put = (client: RawClient, path: string, record: object) =>
  client.request('PUT', path, JSON_FIELD, JSON.stringify(record));

/** Milliseconds from asking for a purge until another node does not answer from its copy. */
async function purgeSeen(fleet: Fleet, readers: readonly RawClient[], id: string) {
  await Promise.all(readers.map((reader) => reader.request('GET', `/items/${id}`)));
  const began = performance.now();
  const purging = fleet.operate('n1', { operation: 'purge', table: 'items', keys: [id] });
  const seen = readers.map(async (reader) => {
    for (;;) {
      const { status } = await reader.request('GET', `/items/${id}`, STORED_ONLY);
      if (status !== HTTP_OK) return performance.now() - began;
    }
  });
  const times = await Promise.all(seen);
  await purging;
  return { seenMs: Math.max(...times), answeredMs: performance.now() - began };
}

async function runPurges(bench: Bench) {
  const fleet = await Fleet.start(bench.origin.url, NAMES);
  await bench.origin.control({});
  const readers = await Promise.all(
    FOLLOWERS.map((name) => RawClient.connect(fleet.node(name).url)),
  );
  const times: number[] = [];
  for (let at = 0; at < PURGES; at += 1) {
    const { seenMs } = await purgeSeen(fleet, readers, `purged-${at}`);
    times.push(seenMs);
  }
  for (const reader of readers) reader.close();
  await fleet.dispose();
  const p99 = quantile(times, 0.99);
  return {
    title: 'A purge on one of three nodes, seen on the others',
    estimate: 'one commit and one frame: a few milliseconds.',
    table: [
      ['purges', 'p50 ms', 'p99 ms', 'most ms'],
      [PURGES, median(times), p99, Math.max(...times)].map((value) => String(round(value))),
    ],
    verdicts: [{ target: 'p99 < 50 ms', result: `${round(p99)} ms`, met: p99 < 50 }],
    notes: ['from asking for it until both others answer no more from their copy'],
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Writes at an even pace, each slot of time by the next of the clients. */
async function writeEvenly(url: string, seconds: number, write: Write): Promise<number> {
  const clients = await Promise.all(Array.from({ length: WRITERS }, () => RawClient.connect(url)));
  const idle = [...clients];
  const total = seconds * WRITES_PER_SECOND;
  const began = performance.now();
  let late = 0;
  const busy = new Set<Promise<void>>();
  for (let at = 0; at < total; ) {
    const due = Math.min(total, ((performance.now() - began) / 1_000) * WRITES_PER_SECOND);
    while (at < due) {
      const client = idle.pop();
      if (client === undefined) {
        late += 1;
        break;
      }
      const done = write(client, at).then(() => {
        idle.push(client);
        busy.delete(done);
      });
      busy.add(done);
      at += 1;
    }
    await sleep(1);
  }
  await Promise.all(busy);
  for (const client of clients) client.close();
  return late / total;
}

type Write = (client: RawClient, at: number) => Promise<unknown>;

interface Lag {
  readonly lags: readonly number[];
  readonly ratio: number;
  readonly writerMicros: number;
  readonly late: number;
}

async function measureLag(fleet: Fleet, seconds: number, offset: number): Promise<Lag> {
  const sentAt = new Map<number, number>();
  const lags: number[] = [];
  const receivers = await Promise.all(
    FOLLOWERS.map(async (name) => {
      const receiver = await SocketReceiver.open(fleet.node(name).url, '/Note/probe');
      receiver.onNumber = (number) => {
        const sent = sentAt.get(number);
        if (sent !== undefined) lags.push(performance.now() - sent);
      };
      return receiver;
    }),
  );
  const cpu = () => NAMES.map((name) => cpuMicros(fleet.node(name).pid));
  const before = cpu();
  const every = WRITES_PER_SECOND / PROBES_PER_SECOND;
  const late = await writeEvenly(fleet.node('n1').url, seconds, (client, at) => {
    const n = offset + at;
    if (at % every !== 0) return put(client, `/Note/w${n % 50_000}`, { kind: 'k', text: 't', n });
    sentAt.set(n, performance.now());
    return put(client, '/Note/probe', { n });
  });
  await Promise.all(FOLLOWERS.map((name) => fleet.caughtUp(name)));
  const [writer = 0, ...followers] = cpu().map((used, at) => used - (before[at] ?? 0));
  for (const receiver of receivers) receiver.close();
  const writes = seconds * WRITES_PER_SECOND;
  return { lags, late, writerMicros: writer / writes, ratio: Math.max(...followers) / writer };
}

async function runLag(bench: Bench) {
  const { repeats, seconds } = bench.settings;
  const fleet = await Fleet.start(bench.origin.url, NAMES);
  const rounds: Lag[] = [];
  await measureLag(fleet, bench.settings.warmUpSeconds, 0);
  for (let at = 1; at <= repeats; at += 1) {
    rounds.push(await measureLag(fleet, seconds, at * 1_000_000));
  }
  await fleet.dispose();
  const p99s = rounds.map(({ lags }) => quantile(lags, 0.99));
  const ratios = rounds.map(({ ratio }) => ratio);
  return {
    title: `Replication at ${WRITES_PER_SECOND} writes/s over three nodes`,
    estimate: 'a few milliseconds more than the commits of both; followers at 0.2x the writer.',
    table: [
      ['p50 lag ms', 'p99 lag ms', 'us CPU/write, writer', 'busier follower : writer', 'held up'],
      [
        spread(rounds.map(({ lags }) => median(lags))),
        spread(p99s),
        spread(rounds.map(({ writerMicros }) => writerMicros)),
        spread(ratios),
        `${round(100 * Math.max(...rounds.map(({ late }) => late)))} %`,
      ],
    ],
    verdicts: [
      { target: 'lag p99 < 100 ms', result: `${spread(p99s)} ms`, met: median(p99s) < 100 },
      {
        target: 'CPU of a follower at most 0.5x the writer',
        result: `${spread(ratios)}x`,
        met: median(ratios) <= 0.5,
      },
    ],
    notes: ['lag: from sending the write to one node until a subscriber of another has it'],
  };
}

interface CatchUp {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** The follower on the server's core; who has the changes on the generator's, which is idle. */
async function measureCatchUp(bench: Bench, changes: number): Promise<CatchUp> {
  const fleet = await Fleet.start(bench.origin.url, ['n1', 'n2']);
  await fleet.stop('n2');
  await bringRows(fleet.node('n1').url, 'Note', changes, (at) => ({
    ...{ id: `c${at}`, kind: `k${at % 100}`, text: 'x'.repeat(100) },
  }));
  await fleet.stop('n1');
  await fleet.start('n1', GENERATOR_CORE);
  await sleep(500);
  const follower = await fleet.start('n2', SERVER_CORE);
  const began = performance.now();
  const before = cpuMicros(follower.pid);
  await fleet.caughtUp('n2');
  const seconds = (performance.now() - began) / 1_000;
  const cpuSeconds = (cpuMicros(follower.pid) - before) / 1_000_000;
  await fleet.dispose();
  return { perSecond: changes / seconds, perCpuSecond: changes / cpuSeconds };
}

async function runCatchUp(bench: Bench) {
  const changes = bench.settings.large ? 1_000_000 : 200_000;
  const rounds: CatchUp[] = [];
  for (let at = 0; at < bench.settings.repeats; at += 1) {
    rounds.push(await measureCatchUp(bench, changes));
  }
  const perSecond = rounds.map((one) => one.perSecond);
  return {
    title: `Catching up with ${changes} changes`,
    estimate: '10 us a change: 100,000/s on one core.',
    table: [
      ['changes/s', 'changes per CPU-second of the follower'],
      [
        spread(perSecond, 0),
        spread(
          rounds.map((one) => one.perCpuSecond),
          0,
        ),
      ],
    ],
    verdicts: [
      {
        target: 'at least 50,000 changes/s on one core',
        result: spread(perSecond, 0),
        met: median(perSecond) >= 50_000,
      },
    ],
    notes: ['from the ready line of the follower; the sender is on the other core'],
  };
}

export const fleet: readonly Scenario[] = [
  { name: 'fleet-purge', run: runPurges },
  { name: 'fleet-lag', run: runLag },
  { name: 'fleet-catch-up', run: runCatchUp },
];
