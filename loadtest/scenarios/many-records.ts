/**
 * 1,000 subscribers who follow 20 records each of 20,000, of which 500 change a second; and one who
 * asks for the present state of 20,000 records and then reads nothing for three seconds.
 *
 * Estimate: each change has one follower, so a delivery is as late as a durable write and a
 * `send`, a few milliseconds. The snapshot is 6 MB; what waits is one socket's, the rest stays in
 * the store.
 */
import type { Bench, Scenario } from '../harness/context.ts';
import { ownBytes } from '../harness/cpu.ts';
import { LiveReceiver, mqttWaiting, webSocket } from '../harness/live-receiver.ts';
import { liveRound } from '../harness/live-round.ts';
import { sendAll } from '../harness/raw-client.ts';
import type { Section } from '../harness/report.ts';
import { nodeBy, nodeByMqtt } from '../peers/brokers.ts';

const SUBSCRIBERS = 1_000;
const RECORDS_EACH = 20;
const RECORDS = SUBSCRIBERS * RECORDS_EACH;
const JSON_TYPE = 'content-type: application/json\r\n';
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A masked text frame that subscribes to one record on `/live`. */
function subscribeFrame(record: number): Buffer {
  const wish = { subscribe: `/Note/m${record}`, as: record, omitCurrent: true };
  const text = Buffer.from(JSON.stringify(wish));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
}

async function runMany(bench: Bench): Promise<Section> {
  const node = await nodeBy(bench, 'websocket');
  let opened = 0;
  let readyAt = 0;
  let changed = 0;
  const greeting = () => {
    const first = opened * RECORDS_EACH;
    opened += 1;
    // What was subscribed to last is followed by then.
    readyAt = performance.now() + 3_000;
    const frames = Array.from({ length: RECORDS_EACH }, (_, at) => subscribeFrame(first + at));
    return { ...webSocket(`127.0.0.1:${node.port}`, '/live'), adds: Buffer.concat(frames) };
  };
  const publish = (json: string): boolean => {
    if (performance.now() < readyAt) return false;
    // A step that shares no divisor with their number comes by all of them.
    const record = `m${(changed * 7_919) % RECORDS}`;
    const sent = node.publish(json.replace('"live"', `"${record}"`), `/Note/${record}`);
    if (sent) changed += 1;
    return sent;
  };
  const seconds = bench.settings.seconds + 3;
  const options = { subscribers: SUBSCRIBERS, changesPerSecond: 500, seconds };
  const round = await liveRound({ ...node, greeting, publish }, options);
  const percent = round.deliveredShare * SUBSCRIBERS * 100;
  return {
    title: 'WebSocket: 1,000 subscribers, each on 20 of 20,000 records, 500 changes/s',
    estimate: 'a durable write and a send: a few ms.',
    table: [
      ['server', 'changes sent', 'delivered %', 'p50 ms', 'p99 ms', 'us CPU/change'],
      [
        node.name,
        String(changed),
        percent.toFixed(1),
        round.p50Ms.toFixed(1),
        round.p99Ms.toFixed(1),
        round.cpuPerDelivery.toFixed(0),
      ],
    ],
    verdicts: [
      { target: 'p99 < 10 ms', result: `${round.p99Ms.toFixed(1)} ms`, met: round.p99Ms < 10 },
      { target: 'every change comes', result: `${percent.toFixed(1)} %`, met: percent > 99.99 },
    ],
    notes: ['a change is one PUT: its durable commit is a part of the delay, and of the CPU'],
  };
}

async function fill(url: string): Promise<void> {
  const LIST = 200;
  const row = (n: number) => ({ id: `s${n}`, n, text: 'x'.repeat(220) });
  const list = (at: number) => Array.from({ length: LIST }, (_, of) => row(at * LIST + of));
  await sendAll({
    ...{ url, clients: 2, count: RECORDS / LIST },
    request: (client, at) => client.request('PUT', '/Note/', JSON_TYPE, JSON.stringify(list(at))),
  });
}

/** What of the snapshot comes to a reader who stalls, and by how much the server grew meanwhile. */
async function runSnapshot(bench: Bench): Promise<Section> {
  const { url } = await bench.millrace();
  await fill(url);
  const server = await nodeByMqtt(bench);
  const seen = new Set<number>();
  const before = ownBytes(server.pid);
  const reader = await LiveReceiver.open(server.port, mqttWaiting('Note/#'));
  reader.onNumber = (number) => seen.add(number);
  reader.stall();
  await pause(3_000);
  const grew = (ownBytes(server.pid) - before) / 2 ** 20;
  reader.resume();
  const began = performance.now();
  while (seen.size < RECORDS && performance.now() - began < 30_000) await pause(20);
  const took = performance.now() - began;
  reader.close();
  await server.stop();
  return {
    title: 'MQTT: the snapshot of 20,000 records, to a reader who stalls for 3 s',
    estimate: 'all of it; mosquitto loses 469 without a word.',
    table: [
      ['server', 'records', 'ms once it reads', 'grew by MB while it did not'],
      [server.name, String(seen.size), took.toFixed(0), grew.toFixed(1)],
    ],
    verdicts: [
      { target: 'complete', result: String(seen.size), met: seen.size >= RECORDS },
      { target: 'grows by less than 16 MB', result: `${grew.toFixed(1)} MB`, met: grew < 16 },
    ],
  };
}

export const manyRecords: Scenario = { name: 'many-records', run: runMany };
export const stalledSnapshot: Scenario = { name: 'stalled-snapshot', run: runSnapshot };
