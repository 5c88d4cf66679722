/**
 * One round of a real-time scenario: subscribers are opened, numbered changes are sent at their
 * rate whatever the server does, and what arrived is counted beside the server's CPU and memory.
 */
import { cpuMicros, ownBytes } from './cpu.ts';
import { type Greeting, LiveReceiver } from './live-receiver.ts';
import { median, quantile, spread } from './statistics.ts';

export interface LiveServer {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  /** Of one more subscriber. */
  readonly greeting: () => Greeting;
  /** Sends one change, which is not waited for; false: it cannot at the moment. */
  readonly publish: (json: string, path?: string) => boolean;
}

export interface RoundOptions {
  readonly subscribers: number;
  readonly changesPerSecond: number;
  readonly seconds: number;
  /** So many of a hundred subscribers never read until the end. */
  readonly stalledPercent?: number | undefined;
}

export interface LiveRound {
  readonly cpuPerDelivery: number;
  readonly deliveriesPerSecond: number;
  readonly deliveredShare: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outOfOrder: number;
  /** Subscribers whose last number was not the last one sent. */
  readonly behind: number;
  /** Own memory of the server: what it grew by during the round, bytes. */
  readonly grewBytes: number;
}

const BATCH = 50;
let number = 0;

export async function openReceivers(server: LiveServer, count: number): Promise<LiveReceiver[]> {
  const receivers: LiveReceiver[] = [];
  while (receivers.length < count) {
    const size = Math.min(BATCH, count - receivers.length);
    const batch = Array.from({ length: size }, () =>
      LiveReceiver.open(server.port, server.greeting()),
    );
    receivers.push(...(await Promise.all(batch)));
  }
  return receivers;
}

export async function liveRound(server: LiveServer, options: RoundOptions): Promise<LiveRound> {
  const receivers = await openReceivers(server, options.subscribers);
  const stalled = receivers.filter((_, at) => at % 100 < (options.stalledPercent ?? 0));
  const reading = receivers.filter((one) => !stalled.includes(one));
  for (const receiver of stalled) receiver.stall();
  const sentAt = new Map<number, number>();
  const delays: number[] = [];
  for (const receiver of reading) {
    receiver.onNumber = (of) => {
      const at = sentAt.get(of);
      if (at !== undefined) delays.push(performance.now() - at);
    };
  }
  const [cpuBefore, memoryBefore] = [cpuMicros(server.pid), ownBytes(server.pid)];
  const began = performance.now();
  const first = number + 1;
  await send(server, options, sentAt);
  // A figure of nothing sent would be read as changes that were lost.
  if (number < first) throw new Error(`${server.name} took no change: nothing was measured`);
  await settled(reading, number);
  const took = (performance.now() - began) / 1000;
  const cpu = cpuMicros(server.pid) - cpuBefore;
  const grewBytes = ownBytes(server.pid) - memoryBefore;
  for (const receiver of stalled) receiver.resume();
  await settled(receivers, number);
  for (const receiver of receivers) receiver.close();
  return {
    cpuPerDelivery: cpu / delays.length,
    deliveriesPerSecond: delays.length / took,
    deliveredShare: delays.length / ((number - first + 1) * reading.length),
    p50Ms: median(delays),
    p99Ms: quantile(delays, 0.99),
    outOfOrder: receivers.reduce((sum, one) => sum + one.outOfOrder, 0),
    behind: receivers.filter((one) => one.last < number).length,
    grewBytes,
  };
}

async function send(
  server: LiveServer,
  { changesPerSecond, seconds }: RoundOptions,
  sentAt: Map<number, number>,
): Promise<void> {
  const began = performance.now();
  for (let sent = 0; sent < seconds * changesPerSecond; sent += 1) {
    const wait = began + (sent * 1000) / changesPerSecond - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const next = number + 1;
    const json = JSON.stringify({ id: 'live', n: next, text: 'x'.repeat(220) });
    sentAt.set(next, performance.now());
    if (server.publish(json)) number = next;
  }
}

async function settled(receivers: readonly LiveReceiver[], last: number): Promise<void> {
  const end = performance.now() + 5_000;
  while (performance.now() < end && receivers.some((one) => one.last < last)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const LIVE_HEAD = [
  ...['server', 'us CPU/delivery', 'deliveries/s', 'delivered %', 'p50 ms', 'p99 ms'],
  ...['out of order', 'behind', 'grew by MB'],
];

export const liveRow = (name: string, rounds: readonly LiveRound[]): string[] => [
  name,
  spread(rounds.map((one) => one.cpuPerDelivery)),
  spread(
    rounds.map((one) => one.deliveriesPerSecond),
    0,
  ),
  spread(
    rounds.map((one) => one.deliveredShare * 100),
    1,
  ),
  spread(
    rounds.map((one) => one.p50Ms),
    1,
  ),
  spread(
    rounds.map((one) => one.p99Ms),
    1,
  ),
  String(rounds.reduce((sum, one) => sum + one.outOfOrder, 0)),
  String(rounds.reduce((sum, one) => sum + one.behind, 0)),
  spread(
    rounds.map((one) => one.grewBytes / 2 ** 20),
    1,
  ),
];
