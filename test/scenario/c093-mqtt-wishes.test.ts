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

/** In an order, with repetitions and an empty value, that no object could keep. */
const PAIRS = ['b', '', 'a', '1', 'b', '2', '10', 'ü', '2', 'x', 'a', '3'];
const text = (of: string): Buffer => {
  const bytes = Buffer.from(of);
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
};
const inPairs = Buffer.concat(
  PAIRS.flatMap((of, at) => (at % 2 === 0 ? [Buffer.from([0x26]), text(of)] : [text(of)])),
);
const withLength = (...parts: readonly Buffer[]): Buffer => {
  const bytes = Buffer.concat(parts);
  const { length } = bytes;
  const head = length < 128 ? [length] : [(length % 128) | 128, Math.floor(length / 128)];
  return Buffer.concat([Buffer.from(head), bytes]);
};
/** With another property between them. */
const PROPERTIES = withLength(inPairs, Buffer.from([0x03]), text('text/x'), inPairs);
const SENT_ON = Buffer.concat([inPairs, inPairs]).toString('latin1');

describe('user properties', () => {
  it('go on as they came, whatever their order [MQTT5-3.3.2-18]', async () => {
    const sender = new MqttPackets(node.mqtt);
    const reader = new MqttPackets(node.mqtt);
    expect([await sender.connect(), await reader.connect()]).toEqual([0, 0]);
    reader.send(subscribeTo(1, 'order/#'));
    await reader.next('suback');
    const times = (peer: MqttPackets) => peer.bytes.split(SENT_ON).length - 1;
    const flags = [0x30, 0x32, 0x31];
    for (const [at, flag] of flags.entries()) {
      const id = flag === 0x32 ? [Buffer.from([0, 7])] : [];
      const payload = Buffer.from(`payload ${at}`);
      const rest = withLength(text('order/x'), ...id, PROPERTIES, payload);
      sender.send(Buffer.concat([Buffer.from([flag]), rest]));
      await until('it', () => times(reader) === at + 1);
    }
    // Also when it is kept with the record.
    const late = new MqttPackets(node.mqtt);
    await late.connect();
    late.send(subscribeTo(1, 'order/x'));
    await until('the retained message', () => times(late) === 1);
    for (const peer of [sender, reader, late]) peer.destroy();
  });

  it('of a will too, and none for clients of 3.1.1 [MQTT5-3.1.3-10]', async () => {
    const reader = new MqttPackets(node.mqtt);
    await reader.connect();
    const old = await connectMqtt(node.mqtt, { protocolVersion: 4 });
    reader.send(subscribeTo(1, 'order/will'));
    await Promise.all([reader.next('suback'), old.client.subscribeAsync('order/will')]);
    const leaver = new MqttPackets(node.mqtt);
    const own = withLength(Buffer.from([0x26]), text('mine'), text('alone'));
    const head = Buffer.concat([text('MQTT'), Buffer.from([5, 0x04 | 0x02, 0, 60]), own]);
    const will = Buffer.concat([PROPERTIES, text('order/will'), text('gone')]);
    leaver.send(Buffer.concat([Buffer.from([0x10]), withLength(head, text('leaver'), will)]));
    expect((await leaver.next('connack'))?.reasonCode).toBe(0);
    leaver.destroy();
    await until('the will', () => reader.bytes.includes(SENT_ON));
    expect(reader.bytes).not.toContain('alone');
    await old.count(1);
    expect(String(old.received[0]?.payload)).toBe('gone');
    await old.close();
    reader.destroy();
  });
});

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
