/**
 * What MQTT clients may ask for beyond the specification, and what a shared group owes: positions,
 * payload formats, the server's own topics, and messages of a member whose session ended.
 */
import { decode, encode } from 'cbor-x';
import { pack, unpack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMqtt } from '../support/mqtt-client.ts';
import { subscribeTo } from '../support/mqtt-limits.ts';
import { MqttPackets } from '../support/mqtt-packets.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const SCHEMA = `
type Topic @table @export(name: "*", public: [read, subscribe, publish, insert, update, delete])
type Flight @table @export(public: [read, subscribe, insert, update, delete, publish]) {
  id: ID @primaryKey
  gate: String
  n: Int
}
`;

let node: NodeProcess;
beforeAll(async () => {
  node = await startNode({
    files: {
      'schema.graphql': SCHEMA,
      'millrace.yaml': 'mqtt: { requireAuthentication: false }\n',
    },
  });
});
afterAll(() => node.dispose());

/** With properties that its CONNECT carries. */
const withWishes = (userProperties: Record<string, string>) =>
  connectMqtt(node.mqtt, { properties: { userProperties } });

const TYPES = [
  ['application/x-msgpack', pack, unpack],
  ['application/cbor', encode, decode],
] as const;

describe('wishes of MQTT clients', () => {
  it('tells the position of each change to those who ask, and to nobody else', async () => {
    const asking = await withWishes({ 'millrace-position': '1' });
    const other = await connectMqtt(node.mqtt);
    for (const { client } of [asking, other]) await client.subscribeAsync('Flight/p');
    const socket = new SocketClient(`${node.ws}/Flight/p`, {});
    await socket.count(1);
    await node.put('/Flight/p', { gate: 'A1' });
    await Promise.all([asking.count(1), other.count(1)]);
    await socket.count(2);
    const { userProperties } = asking.received[0]?.properties ?? {};
    expect(userProperties).toMatchObject({ 'millrace-position': socket.events[1]?.position });
    expect(other.received[0]?.properties.userProperties).toBeUndefined();
    socket.terminate();
    await Promise.all([asking.close(), other.close()]);
  });

  it.each(TYPES)('takes and sends records as %s', async (contentType, toBytes, fromBytes) => {
    const id = contentType.replaceAll('/', '-');
    const topic = `Flight/${id}`;
    const wishing = await withWishes({ 'content-type': contentType });
    const plain = await connectMqtt(node.mqtt);
    const payloads: Buffer[] = [];
    wishing.client.on('message', (_topic, payload) => payloads.push(payload));
    for (const { client } of [wishing, plain]) await client.subscribeAsync(topic);
    const record = { id, gate: 'B2', n: 7 };
    const bytes = Buffer.from(toBytes(record));
    await plain.client.publishAsync(topic, bytes, {
      ...{ qos: 1, retain: true },
      properties: { contentType },
    });
    await Promise.all([wishing.count(1), plain.count(1)]);
    expect(fromBytes(payloads[0] ?? Buffer.alloc(0))).toMatchObject(record);
    expect(wishing.received[0]?.properties.contentType).toBe(contentType);
    expect(JSON.parse(plain.received[0]?.payload ?? '')).toMatchObject(record);
    expect(plain.received[0]?.properties.contentType).toBeUndefined();
    expect(await (await node.fetch(`/${topic}`)).json()).toMatchObject(record);
    await Promise.all([wishing.close(), plain.close()]);
  });

  it('refuses a record that is not what its content type says', async () => {
    const writer = await connectMqtt(node.mqtt);
    const refused = writer.client.publishAsync('Flight/bad', Buffer.from([0xc1]), {
      ...{ qos: 1, retain: true },
      properties: { contentType: 'application/x-msgpack' },
    });
    await expect(refused).rejects.toMatchObject({ code: 0x99 });
    await writer.close();
  });

  it('leaves what a general topic holds as it came', async () => {
    const wishing = await withWishes({ 'content-type': 'application/cbor' });
    await wishing.client.subscribeAsync('raw/x');
    const options = { qos: 1, retain: true } as const;
    await wishing.client.publishAsync('raw/x', '{"a": 1}', options);
    await wishing.count(1);
    expect(wishing.received[0]?.payload).toBe('{"a": 1}');
    await wishing.close();
  });
});

describe('what is too large for a client', () => {
  it('leaves no alias behind of which the client was not told', async () => {
    const small = new MqttPackets(node.mqtt);
    const properties = { sessionExpiryInterval: 60, maximumPacketSize: 200, topicAliasMaximum: 5 };
    const options = { clientId: 'small', clean: false, properties };
    expect(await small.connect(options)).toBe(0);
    small.send(subscribeTo(1, 'large/#'));
    await small.next('suback');
    const writer = await connectMqtt(node.mqtt);
    for (const text of ['x'.repeat(500), 'first', 'second']) {
      await writer.client.publishAsync('large/t', text, { qos: 1 });
    }
    for (const [topic, text] of [
      ['large/t', 'first'],
      ['', 'second'],
    ]) {
      const told = await small.next('publish');
      expect([told?.topic, told?.payload.toString()]).toEqual([topic, text]);
      expect(told?.properties?.topicAlias).toBe(1);
    }
    small.destroy();
    await writer.close();
  });
});

describe('the topics of the server itself', () => {
  it('are told to administrators, and refused to others', async () => {
    const { username, password } = ADMIN;
    const admin = await connectMqtt(node.mqtt, { username, password });
    await admin.client.subscribeAsync('$SYS/#');
    await until('the counts', () => admin.received.length >= 5);
    const topics = admin.received.map(({ topic }) => topic);
    expect(topics).toContain('$SYS/broker/clients/connected');
    const nobody = await connectMqtt(node.mqtt);
    const [granted] = await nobody.client.subscribeAsync('$SYS/#').catch(() => [{ qos: 128 }]);
    expect(granted?.qos).toBe(128);
    await nobody.client.subscribeAsync('#');
    await admin.close();
    expect(nobody.received.filter(({ topic }) => topic.startsWith('$'))).toEqual([]);
    await nobody.close();
  });
});

describe('a shared group', () => {
  it('gives another member what one had not acknowledged when its session ended', async () => {
    const lazy = await connectMqtt(node.mqtt, {
      properties: { receiveMaximum: 5 },
      // Takes messages and never says so.
      customHandleAcks: () => undefined,
    });
    const keen = await connectMqtt(node.mqtt);
    await lazy.client.subscribeAsync('$share/g/work/#', { qos: 1 });
    const writer = await connectMqtt(node.mqtt);
    const publish = (n: number) => writer.client.publishAsync(`work/${n}`, `${n}`, { qos: 1 });
    for (let n = 0; n < 5; n += 1) await publish(n);
    await keen.client.subscribeAsync('$share/g/work/#', { qos: 1 });
    for (let n = 5; n < 20; n += 1) await publish(n);
    await keen.count(15);
    lazy.client.stream.destroy();
    await keen.count(20);
    const heard = keen.received.map(({ payload }) => Number(payload)).sort((a, b) => a - b);
    expect(heard).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await Promise.all([keen.close(), writer.close()]);
  });
});
