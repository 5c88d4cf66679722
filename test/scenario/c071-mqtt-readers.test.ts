/**
 * Readers over MQTT that stall, drop and come back while records change: each ends with exactly
 * what the table holds, versions never go back, messages are neither lost nor reordered.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt, type TestClient } from '../support/mqtt-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Row @table @export(public: [read, subscribe, insert, update, delete, publish]) {
  id: ID @primaryKey
  n: Int
  pad: String
}
`;

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({
    files: {
      'schema.graphql': SCHEMA,
      'millrace.yaml':
        'mqtt: { requireAuthentication: false }\nlimits: { writeQueueAgeMsMax: 60s }\n',
    },
  });
});
afterAll(() => node.dispose());

const PAD = 'x'.repeat(8_000);
const KEYS = 20;

/** What a reader holds after all it has received, and whether a version ever went back. */
function stateOf(received: TestClient['received']): Map<string, number> {
  const state = new Map<string, number>();
  const seen = new Map<string, number>();
  for (const { topic, payload } of received) {
    if (payload === '') {
      state.delete(topic);
      continue;
    }
    const { n } = JSON.parse(payload) as { n: number };
    expect(n, `${topic} went back`).toBeGreaterThanOrEqual(seen.get(topic) ?? 0);
    seen.set(topic, n);
    state.set(topic, n);
  }
  return state;
}

describe('readers over MQTT', { timeout: 60_000 }, () => {
  it('[R5] all end at what the table holds, however they read', async () => {
    const options = {
      clientId: 'dropper',
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    };
    const readers = await Promise.all([connectMqtt(node.mqtt), connectMqtt(`${node.ws}/`)]);
    const [steady, staller] = readers as [TestClient, TestClient];
    let dropper = await connectMqtt(node.mqtt, options);
    for (const { client } of [steady, staller, dropper]) {
      await client.subscribeAsync('Row/#', { qos: 1 });
    }
    const dropped: TestClient['received'] = [];
    const truth = new Map<string, number>();
    for (let n = 1; n <= 240; n += 1) {
      const key = `k${(n * 7) % KEYS}`;
      if (n % 20 === 0) {
        await node.fetch(`/Row/${key}`, { method: 'DELETE' });
        truth.delete(`Row/${key}`);
      } else {
        await node.put(`/Row/${key}`, { n, pad: PAD });
        truth.set(`Row/${key}`, n);
      }
      if (n === 40) staller.client.stream.pause();
      if (n === 60 || n === 150) dropper.client.stream.destroy();
      if (n === 120 || n === 200) {
        dropped.push(...dropper.received);
        dropper = await connectMqtt(node.mqtt, options);
        expect(dropper.sessionPresent).toBe(true);
      }
      if (n === 220) staller.client.stream.resume();
    }
    const dropperState = () => stateOf([...dropped, ...dropper.received]);
    await until('the steady reader', () => equal(stateOf(steady.received), truth));
    await until('the reader that stalled', () => equal(stateOf(staller.received), truth));
    await until('the reader that dropped', () => equal(dropperState(), truth));
    await Promise.all([steady, staller, dropper].map((reader) => reader.close()));
  });

  it('[R6] loses and reorders no message of a reader that was away', async () => {
    const options = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await connectMqtt(node.mqtt, options);
    await first.client.subscribeAsync('Row/talk', { qos: 2 });
    await first.close();
    const writer = await connectMqtt(node.mqtt);
    const sent = Array.from({ length: 500 }, (_, n) => `m${n}`);
    await Promise.all(sent.map((text) => writer.client.publishAsync('Row/talk', text, { qos: 1 })));
    const back = await connectMqtt(node.mqtt, options);
    expect((await back.count(sent.length)).map(({ payload }) => payload)).toEqual(sent);
    await Promise.all([back.close(), writer.close()]);
  });

  it('[R7] gets the whole snapshot, though it does not read for a while', async () => {
    const rows = Array.from({ length: 2_000 }, (_, n) => ({ id: `s${n}`, n: n + 1, pad: PAD }));
    for (let at = 0; at < rows.length; at += 100) {
      const response = await node.fetch('/Row/', {
        method: 'PUT',
        body: JSON.stringify(rows.slice(at, at + 100)),
        headers: { 'content-type': 'application/json' },
      });
      expect(response.status).toBeLessThan(300);
    }
    const reader = await connectMqtt(node.mqtt);
    reader.client.stream.pause();
    void reader.client.subscribeAsync('Row/#', { qos: 0 }).catch(() => undefined);
    const sent = () => node.metric('millrace_messages_sent_total', { protocol: 'mqtt' });
    const before = await sent();
    await until('the snapshot to wait', async () => (await sent()) - before > 100);
    reader.client.stream.resume();
    const snapshot = () => reader.received.filter(({ topic }) => topic.startsWith('Row/s'));
    await until('the whole snapshot', () => snapshot().length >= rows.length);
    expect(new Set(snapshot().map(({ topic }) => topic)).size).toBe(rows.length);
    expect(snapshot().every(({ retain }) => retain)).toBe(true);
    await reader.close();
  });
});

const equal = (held: ReadonlyMap<string, number>, wanted: ReadonlyMap<string, number>): boolean =>
  held.size === wanted.size && [...wanted].every(([key, n]) => held.get(key) === n);
