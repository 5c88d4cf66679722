/**
 * An honest client beside attacks: what it waits without them and with them, and what memory the
 * node has meanwhile. Attackers and honest clients are processes of their own on the generator's
 * core; the attackers give way, so that what is measured is the node and not the core.
 */
import type { HonestReport, Seen } from '../peers/honest-process.ts';
import { listeningUrl, script } from '../peers/origin.ts';
import { GENERATOR_CORE } from './cores.ts';
import { ownBytes } from './cpu.ts';
import type { Verdict } from './report.ts';
import { type Server, startServer } from './server.ts';
import { median } from './statistics.ts';

export interface Attack {
  readonly attack: 'slow' | 'churn' | 'sign-ins' | 'cold-keys';
  readonly clients?: number | undefined;
  readonly perSecond?: number | undefined;
}

export interface Siege {
  readonly alone: HonestReport;
  readonly attacked: HonestReport;
  /** Megabytes of the node's own memory, once a second of the attack. */
  readonly megabytes: readonly number[];
  /** What the attackers counted, as they wrote it. */
  readonly counts: string;
}

const ATTACKERS_NICE = '10';

const nicely = (file: string, order: object): readonly string[] => [
  '-n',
  ATTACKERS_NICE,
  process.execPath,
  ...script(file),
  JSON.stringify(order),
];

async function startAttack(url: string, attack: Attack): Promise<Server> {
  return startServer({
    name: attack.attack,
    command: 'nice',
    args: nicely('./hostile-process.ts', { url, clients: 0, perSecond: 0, ...attack }),
    core: GENERATOR_CORE,
    readyUrl: listeningUrl,
  });
}

async function honest(url: string, seconds: number): Promise<HonestReport> {
  const server = await startServer({
    name: 'honest clients',
    command: process.execPath,
    args: [...script('./honest-process.ts'), JSON.stringify({ url, seconds })],
    core: GENERATOR_CORE,
    readyUrl: (output) => /^report (.*)$/m.exec(output)?.[1],
    seconds: seconds + 120,
  });
  await server.stop();
  return JSON.parse(server.url);
}

/** Longest time without attacks: what they are compared with needs no half hour. */
const ALONE_SECONDS_MAX = 30;

/** One round: alone, then under all of the attacks together. */
export async function besiege(
  node: Server,
  attacks: readonly Attack[],
  seconds: number,
): Promise<Siege> {
  const alone = await honest(node.url, Math.min(seconds, ALONE_SECONDS_MAX));
  const attackers = await Promise.all(attacks.map((attack) => startAttack(node.url, attack)));
  const megabytes: number[] = [];
  const sampling = setInterval(() => megabytes.push(ownBytes(node.pid) / 2 ** 20), 1_000);
  try {
    const attacked = await honest(node.url, seconds);
    await Promise.all(attackers.map((one) => one.stop()));
    const counts = attackers.map((one) => /^counts (.*)$/m.exec(one.output())?.[1] ?? '').join(' ');
    return { alone, attacked, megabytes, counts };
  } finally {
    clearInterval(sampling);
    await Promise.all(attackers.map((one) => one.stop()));
  }
}

const KINDS = ['hit', 'miss', 'query'] as const;

/** A line for each kind of request, the median of the rounds. */
export function siegeRows(name: string, sieges: readonly Siege[]): readonly (readonly string[])[] {
  return KINDS.map((kind) => {
    const of = (when: 'alone' | 'attacked', what: keyof Seen) =>
      median(sieges.map((one) => one[when][kind][what]));
    return [
      name,
      kind,
      of('alone', 'p50Ms').toFixed(2),
      of('alone', 'p99Ms').toFixed(2),
      of('attacked', 'p50Ms').toFixed(2),
      of('attacked', 'p99Ms').toFixed(2),
      worse(sieges, kind).toFixed(1),
      String(of('attacked', 'failed')),
      memoryLine(sieges.at(-1)?.megabytes ?? []),
    ];
  });
}

export const SIEGE_HEAD = [
  'attack',
  'request',
  'p50 ms alone',
  'p99 ms alone',
  'p50 ms attacked',
  'p99 ms attacked',
  'p99 ratio',
  'failed',
  'own MB over time',
];

/** How often its p99 without the attack a request takes with it: the median of the rounds. */
const worse = (sieges: readonly Siege[], kind: (typeof KINDS)[number]): number =>
  median(sieges.map((one) => one.attacked[kind].p99Ms / one.alone[kind].p99Ms));

const MEMORY_POINTS = 6;

function memoryLine(megabytes: readonly number[]): string {
  const every = Math.max(1, Math.floor(megabytes.length / MEMORY_POINTS));
  return megabytes
    .filter((_, index) => index % every === 0)
    .map((value) => value.toFixed(0))
    .join(' ');
}

export function siegeVerdicts(name: string, sieges: readonly Siege[]): readonly Verdict[] {
  const most = Math.max(...KINDS.map((kind) => worse(sieges, kind)));
  return [
    {
      target: `${name}: an honest client waits at most twice as long at p99`,
      result: `${most.toFixed(1)} times`,
      met: most <= 2,
    },
  ];
}
