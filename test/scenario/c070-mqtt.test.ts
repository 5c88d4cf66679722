/**
 * MQTT over the wire, with a client that is not ours: topics are records, records are retained
 * messages, sessions outlive connections and the process. On one thread and on two, over TCP and
 * WebSocket.
 */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt } from '../support/mqtt-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Topic @table @export(name: "*")
type Flight @table @export(public: [read, subscribe, insert, update, delete, publish]) {
  id: ID @primaryKey
  gate: String
  n: Int
}
type Secret @table @export { id: ID @primaryKey }
type Story @table @export { id: ID @primaryKey  desk: String  title: String  draft: String }
`;
const ROLES = `
anonymous:
  tables:
    Topic:
      read: true
      subscribe: true
      publish: true
      insert: true
      update: true
      delete: true
      deny: { subscribe: ["test/nosubscribe"], publish: ["test/nopublish"] }
    Story:
      subscribe: true
      read: true
      insert: true
      update: true
      filter: "desk=sport"
      attributes: { draft: { read: false } }
`;
const FILES = {
  'schema.graphql': SCHEMA,
  'roles.yaml': ROLES,
  'millrace.yaml': 'mqtt: { requireAuthentication: false }\nlimits: { writeQueueAgeMsMax: 60s }\n',
};

const start = (threads: number, folder?: string): Promise<NodeProcess> =>
  startNode({
    files: FILES,
    flags: ['--threads', String(threads)],
    ...(folder === undefined ? {} : { folder }),
  });

describe.each([1, 2])('MQTT on %i thread(s)', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await start(threads);
  });
  afterAll(() => node.dispose());

  const ways = (): string[] => [node.mqtt, `${node.ws}/any/path`];

  it('hands messages on, over TCP and over WebSocket', async () => {
    for (const url of ways()) {
      const reader = await connectMqtt(url);
      await reader.client.subscribeAsync('room/+/chat', { qos: 2 });
      const writer = await connectMqtt(node.mqtt, { protocolVersion: 4 });
      for (const qos of [0, 1, 2] as const) {
        await writer.client.publishAsync('room/1/chat', `qos ${qos}`, { qos });
      }
      const received = await reader.count(3);
      expect(received.map(({ payload, qos }) => [payload, qos])).toEqual([
        ['qos 0', 0],
        ['qos 1', 1],
        ['qos 2', 2],
      ]);
      await Promise.all([reader.close(), writer.close()]);
    }
  });

  it('has records for retained messages, whichever protocol wrote them', async () => {
    await node.put('/Flight/AA1', { gate: 'B2' });
    const reader = await connectMqtt(node.mqtt);
    await reader.client.subscribeAsync('Flight/#', { qos: 1 });
    expect((await reader.count(1))[0]).toMatchObject({ topic: 'Flight/AA1', retain: true });
    await reader.client.publishAsync('Flight/AA2', '{"gate":"C3"}', { qos: 1, retain: true });
    expect(await (await node.fetch('/Flight/AA2')).json()).toEqual({ id: 'AA2', gate: 'C3' });
    const second = (await reader.count(2))[1];
    expect(JSON.parse(second?.payload ?? '')).toEqual({ id: 'AA2', gate: 'C3' });
    await reader.client.publishAsync('Flight/AA2', '', { qos: 1, retain: true });
    expect((await reader.count(3))[2]).toMatchObject({ topic: 'Flight/AA2', payload: '' });
    expect((await node.fetch('/Flight/AA2')).status).toBe(404);
    await reader.close();
  });

  it('[R1] acknowledges a record after it can be read', async () => {
    const writer = await connectMqtt(node.mqtt);
    for (let n = 0; n < 50; n += 1) {
      await writer.client.publishAsync('Flight/ack', `{"n":${n}}`, { qos: 1, retain: true });
      expect(await (await node.fetch('/Flight/ack')).json()).toMatchObject({ n });
    }
    await writer.close();
  });

  it('[R3] sends one copy to overlapping filters, with all their identifiers', async () => {
    const reader = await connectMqtt(node.mqtt);
    const { client } = reader;
    await client.subscribeAsync('over/#', { qos: 1, properties: { subscriptionIdentifier: 7 } });
    await client.subscribeAsync('over/+', { qos: 2, properties: { subscriptionIdentifier: 9 } });
    await client.publishAsync('over/lap', 'one', { qos: 2 });
    await client.publishAsync('over/lap', 'two', { qos: 2 });
    const [one, two] = await reader.count(2);
    expect([one?.payload, one?.qos, two?.payload]).toEqual(['one', 2, 'two']);
    expect(new Set(one?.properties.subscriptionIdentifier as number[])).toEqual(new Set([7, 9]));
    await reader.close();
  });

  it('[R4] keeps to the Receive Maximum of a client that acknowledges nothing', async () => {
    const socket = net.connect(Number(new URL(node.mqtt).port), '127.0.0.1');
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
    });
    // CONNECT of 5.0 with Receive Maximum 2, then SUBSCRIBE to `slow/a` at QoS 1.
    const properties = [0x03, 0x21, 0x00, 0x02];
    const body = [0, 4, ...Buffer.from('MQTT'), 5, 2, 0, 60, ...properties, 0, 2, 0x72, 0x6d];
    socket.write(Buffer.from([0x10, body.length, ...body]));
    const filter = [0, 6, ...Buffer.from('slow/a'), 1];
    socket.write(Buffer.from([0x82, 3 + filter.length, 0, 1, 0, ...filter]));
    const subacks = () => bytes.includes(Buffer.from([0x90, 4, 0, 1, 0, 1]));
    await until('SUBACK', subacks);
    const writer = await connectMqtt(node.mqtt);
    for (let n = 0; n < 5; n += 1) await writer.client.publishAsync('slow/a', `m${n}`, { qos: 1 });
    const seen = () => [0, 1, 2, 3, 4].filter((n) => bytes.includes(`m${n}`));
    await until('two messages', () => seen().length >= 2);
    expect(seen()).toEqual([0, 1]);
    socket.write(Buffer.from([0x40, 2, 0, 1]));
    await until('a third', () => seen().length >= 3);
    expect(seen()).toEqual([0, 1, 2]);
    socket.destroy();
    await writer.close();
  });

  it('[R9] answers what may not be subscribed to or published, and delivers none of it', async () => {
    const reader = await connectMqtt(node.mqtt);
    const granted = await reader.client
      .subscribeAsync(['test/nosubscribe', 'Secret/1', 'test/#'], { qos: 0 })
      .catch((error: Error) => error);
    expect(granted).toBeInstanceOf(Error);
    await reader.client.subscribeAsync('test/#');
    await reader.client.publishAsync('test/nosubscribe', 'hidden', { qos: 1 });
    await reader.client.publishAsync('test/open', 'shown', { qos: 1 });
    expect((await reader.count(1)).map(({ payload }) => payload)).toEqual(['shown']);
    const refusal = await reader.client
      .publishAsync('test/nopublish', 'x', { qos: 1 })
      .catch((error: { code: number }) => error.code);
    expect(refusal).toBe(0x87);
    const unknown = await reader.client
      .publishAsync('Flight/AA9', 'no record', { qos: 1, retain: true })
      .catch((error: { code: number }) => error.code);
    expect(unknown).toBe(0x99);
    await reader.close();
  });

  it('[R9] shows of limited tables the rows and attributes that are granted', async () => {
    const { username, password } = ADMIN;
    const reader = await connectMqtt(node.mqtt);
    await reader.client.subscribeAsync('Story/#', { qos: 1 });
    const admin = await connectMqtt(node.mqtt, { username, password });
    const tell = (id: number, story: object) =>
      admin.client.publishAsync(`Story/${id}`, JSON.stringify(story), { qos: 1, retain: true });
    await tell(1, { desk: 'politics', title: 'hidden' });
    await tell(2, { desk: 'sport', title: 'shown', draft: 'hidden' });
    await tell(2, { desk: 'politics', title: 'moved' });
    await tell(3, { desk: 'sport', title: 'last' });
    const seen = (await reader.count(3)).map(({ topic, payload }) => [topic, payload]);
    expect(seen.map(([topic]) => topic)).toEqual(['Story/2', 'Story/2', 'Story/3']);
    expect(JSON.parse(seen[0]?.[1] ?? '')).toEqual({ id: '2', desk: 'sport', title: 'shown' });
    expect(seen[1]?.[1]).toBe('');
    const late = await connectMqtt(node.mqtt);
    await late.client.subscribeAsync('Story/+', { qos: 1 });
    expect((await late.count(1)).map(({ topic }) => topic)).toEqual(['Story/3']);
    const refused = await reader.client
      .publishAsync('Story/4', '{"desk":"politics"}', { qos: 1, retain: true })
      .catch((error: { code: number }) => error.code);
    expect(refused).toBe(0x87);
    await Promise.all([reader, admin, late].map((each) => each.close()));
  });

  it('signs clients in, and refuses wrong passwords', async () => {
    const { username, password } = ADMIN;
    const admin = await connectMqtt(node.mqtt, { username, password });
    const [granted] = await admin.client.subscribeAsync('Secret/1');
    expect(granted?.qos).toBe(0);
    await admin.close();
    const refused = await connectMqtt(node.mqtt, { username, password: 'wrong' }).catch(
      (error: { code: number }) => error.code,
    );
    expect(refused).toBe(0x86);
  });

  it('shares the messages of a shared subscription among its members', async () => {
    const members = await Promise.all([1, 2, 3].map(() => connectMqtt(node.mqtt)));
    for (const { client } of members) await client.subscribeAsync('$share/work/jobs/+', { qos: 1 });
    const writer = await connectMqtt(node.mqtt);
    for (let n = 0; n < 30; n += 1)
      await writer.client.publishAsync(`jobs/${n}`, `${n}`, { qos: 1 });
    const all = () => members.flatMap(({ received }) => received.map(({ payload }) => payload));
    await until('all jobs', () => all().length >= 30);
    expect(new Set(all()).size).toBe(30);
    for (const { received } of members) expect(received.length).toBeGreaterThan(0);
    await Promise.all([...members, writer].map((each) => each.close()));
  });

  it('publishes the will of a client that is cut off, and not of one that leaves', async () => {
    const will = { topic: 'wills/a', payload: Buffer.from('gone'), qos: 1 as const, retain: false };
    const reader = await connectMqtt(node.mqtt);
    await reader.client.subscribeAsync('wills/#');
    const polite = await connectMqtt(node.mqtt, { will: { ...will, topic: 'wills/polite' } });
    await polite.close();
    const cut = await connectMqtt(node.mqtt, { will });
    cut.client.stream.destroy();
    expect((await reader.count(1)).map(({ topic }) => topic)).toEqual(['wills/a']);
    await reader.close();
  });

  it('takes a session over, and gives its client what it missed', async () => {
    const options = { clientId: 'mover', clean: false, properties: { sessionExpiryInterval: 60 } };
    const first = await connectMqtt(node.mqtt, options);
    await first.client.subscribeAsync('move/#', { qos: 1 });
    const closed = new Promise<void>((resolve) => first.client.once('close', () => resolve()));
    const second = await connectMqtt(`${node.ws}/`, options);
    await closed;
    expect(second.sessionPresent).toBe(true);
    await second.close();
    const writer = await connectMqtt(node.mqtt);
    for (const n of [1, 2, 3]) await writer.client.publishAsync('move/x', `${n}`, { qos: 1 });
    const third = await connectMqtt(node.mqtt, options);
    expect((await third.count(3)).map(({ payload }) => payload)).toEqual(['1', '2', '3']);
    await Promise.all([third.close(), writer.close()]);
  });

  it('counts its clients and messages', async () => {
    const reader = await connectMqtt(node.mqtt);
    const protocol = { protocol: 'mqtt' };
    expect(await node.metric('millrace_connections', protocol)).toBeGreaterThanOrEqual(1);
    expect(await node.metric('millrace_messages_sent_total', protocol)).toBeGreaterThan(10);
    expect(await node.metric('millrace_messages_received_total', protocol)).toBeGreaterThan(10);
    await reader.close();
  });
});

describe('a session', () => {
  it('outlives the node, with its subscriptions and what came meanwhile', async () => {
    const options = {
      clientId: 'keeper',
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    };
    let node = await start(1);
    const { folder } = node;
    const reader = await connectMqtt(node.mqtt, options);
    await reader.client.subscribeAsync('kept/#', { qos: 1 });
    await reader.close();
    const writer = await connectMqtt(node.mqtt);
    await writer.client.publishAsync('kept/a', 'before', { qos: 1 });
    await node.stop('SIGKILL');
    node = await start(1, folder);
    const after = await connectMqtt(node.mqtt);
    await after.client.publishAsync('kept/b', 'after', { qos: 1 });
    const back = await connectMqtt(node.mqtt, options);
    expect(back.sessionPresent).toBe(true);
    expect((await back.count(2)).map(({ payload }) => payload)).toEqual(['before', 'after']);
    await Promise.all([back.close(), after.close()]);
    await node.dispose();
  });
});
