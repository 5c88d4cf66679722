/**
 * One record that changes 100 times a second, pushed to 1,000 WebSocket subscribers; every change
 * is numbered, every receiver checks what it gets.
 *
 * Estimate: 100,000 deliveries a second are one `send` each, 7 to 8 us in the engine's own publish,
 * nearly all of it in the system call: one core holds about that many. We encode each change once
 * and send it to each socket: 1.1 of that. Where the core is full, a subscriber misses versions
 * between, never the last.
 */

import { type Bench, type Scenario, startFixed } from '../harness/context.ts';
import { cpuMicros } from '../harness/cpu.ts';
import { RawClient } from '../harness/raw-client.ts';
import type { Server } from '../harness/server.ts';
import { SocketReceiver } from '../harness/socket-receiver.ts';
import { median, quantile, spread } from '../harness/statistics.ts';

const SUBSCRIBERS = 1_000;
const CHANGES_PER_SECOND = 100;
const PATH = '/Note/push';
const JSON_TYPE = 'content-type: application/json\r\n';

interface Round {
  readonly cpuPerDelivery: number;
  readonly deliveredShare: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outOfOrder: number;
  /** Subscribers whose last number was not the last one sent. */
  readonly behind: number;
}

const body = (number: number) =>
  JSON.stringify({ id: 'push', n: number, kind: 'push', text: 'x'.repeat(200) });

async function openAll(url: string): Promise<SocketReceiver[]> {
  const receivers: SocketReceiver[] = [];
  while (receivers.length < SUBSCRIBERS) {
    const batch = Array.from({ length: 50 }, () => SocketReceiver.open(url, PATH));
    receivers.push(...(await Promise.all(batch)));
  }
  return receivers;
}

let number = 0;

/** Sends at its rate whatever the answers do, so that a slow server cannot slow its own load. */
async function sendChanges(url: string, seconds: number, sentAt: Map<number, number>) {
  const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect(url)));
  const idle = [...clients];
  const first = number + 1;
  const count = seconds * CHANGES_PER_SECOND;
  const began = performance.now();
  const writes: Promise<void>[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    const wait = began + (sent * 1000) / CHANGES_PER_SECOND - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const client = idle.shift();
    if (client === undefined) continue;
    number += 1;
    sentAt.set(number, performance.now());
    writes.push(
      client.request('PUT', PATH, JSON_TYPE, body(number)).then(() => void idle.push(client)),
    );
  }
  await Promise.all(writes);
  for (const client of clients) client.close();
  return { first, last: number };
}

async function settled(receivers: readonly SocketReceiver[], last: number): Promise<void> {
  const end = performance.now() + 5_000;
  while (performance.now() < end && receivers.some((one) => one.last < last)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function round(server: Server, seconds: number): Promise<Round> {
  const receivers = await openAll(server.url);
  const sentAt = new Map<number, number>();
  const delays: number[] = [];
  for (const receiver of receivers) {
    receiver.onNumber = (of) => {
      const at = sentAt.get(of);
      if (at !== undefined) delays.push(performance.now() - at);
    };
  }
  const before = cpuMicros(server.pid);
  const sent = await sendChanges(server.url, seconds, sentAt);
  await settled(receivers, sent.last);
  const cpu = cpuMicros(server.pid) - before;
  for (const receiver of receivers) receiver.close();
  return {
    cpuPerDelivery: cpu / delays.length,
    deliveredShare: delays.length / ((sent.last - sent.first + 1) * SUBSCRIBERS),
    p50Ms: median(delays),
    p99Ms: quantile(delays, 0.99),
    outOfOrder: receivers.reduce((sum, one) => sum + one.outOfOrder, 0),
    behind: receivers.filter((one) => one.last < sent.last).length,
  };
}

const row = (name: string, list: readonly Round[]) => [
  name,
  spread(list.map((one) => one.cpuPerDelivery)),
  spread(
    list.map((one) => one.deliveredShare * 100),
    1,
  ),
  spread(
    list.map((one) => one.p50Ms),
    1,
  ),
  spread(
    list.map((one) => one.p99Ms),
    1,
  ),
  String(list.reduce((sum, one) => sum + one.outOfOrder, 0)),
  String(list.reduce((sum, one) => sum + one.behind, 0)),
];

async function run(bench: Bench) {
  const node = await bench.millrace();
  const bare = await startFixed('bare uWS publish', './bare-uws.ts', {});
  const ours: Round[] = [];
  const peers: Round[] = [];
  for (let count = 0; count < bench.settings.repeats; count += 1) {
    peers.push(await round(bare, bench.settings.seconds));
    ours.push(await round(node, bench.settings.seconds));
  }
  await bare.stop();
  const cost = ours.map((one, index) => one.cpuPerDelivery / (peers[index]?.cpuPerDelivery ?? NaN));
  const wrong = ours.reduce((sum, one) => sum + one.outOfOrder + one.behind, 0);
  const late = median(ours.map((one) => one.p99Ms)) / median(peers.map((one) => one.p99Ms));
  return {
    title: `WebSocket push: ${SUBSCRIBERS} subscribers, one record, ${CHANGES_PER_SECOND}/s`,
    estimate: '7 to 8 us of CPU a delivery for both, ours at most 1.1 of the engine.',
    table: [
      ['server', 'us CPU/delivery', 'delivered %', 'p50 ms', 'p99 ms', 'out of order', 'behind'],
      row('Millrace', ours),
      row('bare uWS publish', peers),
    ],
    verdicts: [
      {
        target: 'at most 1.1 x the CPU of uWS publish a delivery',
        result: spread(cost),
        met: median(cost) <= 1.1,
      },
      { target: 'p99 at most 1.3 x its own', result: late.toFixed(2), met: late <= 1.3 },
      { target: 'all in order, all end at the last', result: `${wrong} wrong`, met: wrong === 0 },
    ],
    notes: [
      'changes are sent over 8 connections; what overtakes another there counts against both',
    ],
  };
}

export const push: Scenario = { name: 'push', run };
