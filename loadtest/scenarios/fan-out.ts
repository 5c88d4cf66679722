/**
 * One record that changes 100 times a second, to 1,000 subscribers by MQTT and by event streams,
 * to 5,000 by WebSocket, and to 1,000 of whom one in ten never reads: beside the brokers that
 * are installed and the engine's own publish.
 *
 * Estimate: a delivery is one write to a socket, 7 to 8 us of CPU. Where more changes come than can
 * be written, those of a turn leave together: 5,000 subscribers cost less each than 1,000.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import {
  LIVE_HEAD,
  type LiveRound,
  liveRound,
  liveRow,
  type RoundOptions,
} from '../harness/live-round.ts';
import type { Section } from '../harness/report.ts';
import { median } from '../harness/statistics.ts';
import {
  barePublish,
  type Closing,
  mosquitto,
  natsServer,
  nodeBy,
  nodeByMqtt,
} from '../peers/brokers.ts';

type Rounds = ReadonlyMap<string, readonly LiveRound[]>;

/** Servers in turn, so that what else runs on the machine meets all of them. */
async function compare(
  bench: Bench,
  servers: readonly (Closing | undefined)[],
  options: Omit<RoundOptions, 'seconds'>,
): Promise<Rounds> {
  const rounds = new Map<string, LiveRound[]>();
  for (let count = 0; count < bench.settings.repeats; count += 1) {
    for (const server of servers) {
      if (server === undefined) continue;
      const round = await liveRound(server, { ...options, seconds: bench.settings.seconds });
      rounds.set(server.name, [...(rounds.get(server.name) ?? []), round]);
    }
  }
  for (const server of servers) await server?.stop();
  return rounds;
}

const rowsOf = (rounds: Rounds) => [
  LIVE_HEAD,
  ...[...rounds].map(([name, list]) => liveRow(name, list)),
];

const cpuOf = (rounds: Rounds, name: string): number =>
  median((rounds.get(name) ?? []).map((one) => one.cpuPerDelivery));
const p99Of = (rounds: Rounds, name: string): number =>
  median((rounds.get(name) ?? []).map((one) => one.p99Ms));
const wrongOf = (rounds: Rounds, name: string): number =>
  (rounds.get(name) ?? []).reduce((sum, one) => sum + one.outOfOrder + one.behind, 0);

const RATE = 100;

async function runMqtt(bench: Bench): Promise<Section> {
  const servers = [await nodeByMqtt(bench), await mosquitto(), await natsServer()];
  const rounds = await compare(bench, servers, { subscribers: 1_000, changesPerSecond: RATE });
  const ratio = cpuOf(rounds, 'Millrace, mqtt') / cpuOf(rounds, 'mosquitto');
  return {
    title: 'MQTT fan-out: 1,000 subscribers, one topic, 100/s, QoS 0',
    estimate: 'mosquitto 9.9 to 13.2 us a delivery; one write each is 7 to 8.',
    table: rowsOf(rounds),
    verdicts: [
      {
        target: 'at most 0.85 x the CPU of mosquitto a delivery',
        result: ratio.toFixed(2),
        met: ratio <= 0.85,
      },
      {
        target: 'all in order, all end at the last',
        result: `${wrongOf(rounds, 'Millrace, mqtt')} wrong`,
        met: wrongOf(rounds, 'Millrace, mqtt') === 0,
      },
    ],
  };
}

async function runStreams(bench: Bench): Promise<Section> {
  const servers = [await nodeBy(bench, 'sse'), await nodeBy(bench, 'websocket')];
  const rounds = await compare(bench, servers, { subscribers: 1_000, changesPerSecond: RATE });
  const ratio = cpuOf(rounds, 'Millrace, sse') / cpuOf(rounds, 'Millrace, websocket');
  return {
    title: 'Event streams: 1,000 subscribers, one record, 100/s',
    estimate: 'as WebSocket, and the frame of a chunk.',
    table: rowsOf(rounds),
    verdicts: [
      {
        target: 'at most 1.3 x the WebSocket figure',
        result: ratio.toFixed(2),
        met: ratio <= 1.3,
      },
    ],
  };
}

async function runMany(bench: Bench): Promise<Section> {
  const servers = [await nodeBy(bench, 'websocket'), await barePublish()];
  const rounds = await compare(bench, servers, { subscribers: 5_000, changesPerSecond: RATE });
  const ratio = cpuOf(rounds, 'Millrace, websocket') / cpuOf(rounds, 'bare uWS publish');
  return {
    title: 'WebSocket fan-out: 5,000 subscribers, one record, 100/s',
    estimate: 'the engine: 497,000/s at 1.55 us, by what leaves together.',
    table: rowsOf(rounds),
    verdicts: [
      {
        target: 'beside the engine, CPU a delivery',
        result: ratio.toFixed(2),
        met: ratio <= 1.1,
      },
    ],
    notes: ['what is conflated is delivered once for several changes: the share is below 100 %'],
  };
}

async function runStalled(bench: Bench): Promise<Section> {
  const options = { subscribers: 1_000, changesPerSecond: RATE };
  const all = await compare(bench, [await nodeBy(bench, 'websocket')], options);
  const some = await compare(bench, [await nodeBy(bench, 'websocket')], {
    ...options,
    stalledPercent: 10,
  });
  const name = 'Millrace, websocket';
  const late = p99Of(some, name) / p99Of(all, name);
  const grew = median((some.get(name) ?? []).map((one) => one.grewBytes)) / 100 / 2 ** 20;
  return {
    title: 'One in ten of 1,000 subscribers never reads',
    estimate: 'a socket holds what the kernel does not take, and one turn.',
    table: [
      LIVE_HEAD,
      liveRow('all read', all.get(name) ?? []),
      liveRow('one in ten does not', some.get(name) ?? []),
    ],
    verdicts: [
      { target: 'p99 of the others at most 1.2 x', result: late.toFixed(2), met: late <= 1.2 },
      {
        target: 'at most 1 MB a socket that is not read',
        result: `${grew.toFixed(2)} MB`,
        met: grew <= 1,
      },
      {
        target: 'the slow ones end at the newest',
        result: `${wrongOf(some, name)} wrong`,
        met: wrongOf(some, name) === 0,
      },
    ],
  };
}

export const fanOut: readonly Scenario[] = [
  { name: 'fan-mqtt', run: runMqtt },
  { name: 'fan-sse', run: runStreams },
  { name: 'fan-5000', run: runMany },
  { name: 'fan-stalled', run: runStalled },
];
