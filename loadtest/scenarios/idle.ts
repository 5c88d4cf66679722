/**
 * Memory of connections that have one subscription and hear nothing, and what a limit of five
 * bursts a second makes of 200 changes.
 *
 * Estimate: an idle WebSocket of the engine costs 1.3 KB, of mosquitto 0.8; ours has a subscription
 * and two small objects beside it. Five bursts a second of 1,000 subscribers are 5,000 deliveries.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { ownBytes } from '../harness/cpu.ts';
import { webSocket } from '../harness/live-receiver.ts';
import { LIVE_HEAD, liveRound, liveRow, openReceivers } from '../harness/live-round.ts';
import type { Section } from '../harness/report.ts';
import { type Closing, mosquitto, nodeBy, nodeByMqtt } from '../peers/brokers.ts';

const WARM = 200;

/** Bytes of its own memory that the server needs for each connection more. */
async function bytesEach(server: Closing, connections: number): Promise<number> {
  const warm = await openReceivers(server, WARM);
  await quiet();
  const before = ownBytes(server.pid);
  const receivers = await openReceivers(server, connections);
  await quiet();
  const bytes = (ownBytes(server.pid) - before) / connections;
  for (const receiver of [...warm, ...receivers]) receiver.close();
  await quiet();
  await server.stop();
  return bytes;
}

/** What opening them cost for a moment is given back. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 3_000));

async function run(bench: Bench): Promise<Section> {
  const count = bench.settings.large ? 10_000 : 5_000;
  const limits: Readonly<Record<string, number>> = { websocket: 3, sse: 8, mqtt: 8 };
  const rows = [['server', 'KB each', 'target KB']];
  const verdicts = [];
  for (const [protocol, most] of Object.entries(limits)) {
    const server =
      protocol === 'mqtt'
        ? await nodeByMqtt(bench)
        : await nodeBy(bench, protocol === 'sse' ? 'sse' : 'websocket');
    const kib = (await bytesEach(server, count)) / 1024;
    rows.push([server.name, kib.toFixed(1), String(most)]);
    const result = `${kib.toFixed(1)} KB`;
    verdicts.push({ target: `${protocol}: at most ${most} KB`, result, met: kib <= most });
  }
  const peer = await mosquitto();
  if (peer !== undefined) {
    rows.push([peer.name, ((await bytesEach(peer, count)) / 1024).toFixed(1), '']);
  }
  return {
    title: `Memory of ${count} idle connections with one subscription`,
    estimate: 'WebSocket 2 to 3 KB; the heap is not collected for it.',
    table: rows,
    verdicts,
  };
}

export const idle: Scenario = { name: 'idle', run };

async function runConflation(bench: Bench): Promise<Section> {
  const node = await nodeBy(bench, 'websocket');
  const subscribers = 1_000;
  const round = await liveRound(
    { ...node, greeting: () => pacedLive(node.port) },
    { subscribers, changesPerSecond: 200, seconds: bench.settings.seconds },
  );
  const wanted = 5 * subscribers;
  const share = round.deliveriesPerSecond / wanted;
  return {
    title: 'Five bursts a second of 200 changes a second, 1,000 subscribers',
    estimate: '5,000 deliveries a second.',
    table: [LIVE_HEAD, liveRow(node.name, [round])],
    verdicts: [
      {
        target: 'about 5,000 deliveries a second',
        result: round.deliveriesPerSecond.toFixed(0),
        met: share > 0.7 && share < 1.3,
      },
      {
        target: 'the last value is always right',
        result: `${round.behind + round.outOfOrder} wrong`,
        met: round.behind + round.outOfOrder === 0,
      },
    ],
    notes: ['delays are those of the bursts; changes between are left out, as was asked'],
  };
}

/** A masked text frame that subscribes on `/live` with `maxRate`, behind the handshake. */
function pacedLive(port: number) {
  const wish = JSON.stringify({ subscribe: '/Note/live', as: 1, maxRate: 5, omitCurrent: true });
  const head = Buffer.from([0x81, 0x80 | wish.length, 0, 0, 0, 0]);
  const upgrade = webSocket(`127.0.0.1:${port}`, '/live');
  return { ...upgrade, adds: Buffer.concat([head, Buffer.from(wish)]) };
}

export const conflation: Scenario = { name: 'conflation', run: runConflation };
