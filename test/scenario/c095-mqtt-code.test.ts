/**
 * Classes of the application over MQTT: followed by SUBSCRIBE, told by PUBLISH, refused in the
 * codes of SUBACK and PUBACK; on one thread and beside app threads.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Live } from '../support/live-client.ts';
import { connectMqtt, type TestClient } from '../support/mqtt-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { SocketClient } from '../support/push-node.ts';

const FILES = {
  'schema.graphql': `
type Flight @table @export(public: [read, subscribe, insert, update, delete, publish]) {
  id: ID @primaryKey
  gate: String
}
type Vault @table @export(public: [read, subscribe, insert, update]) {
  id: ID @primaryKey
  text: String
}
type Note @table @export(public: [read]) { id: ID @primaryKey  text: String }
`,
  'millrace.yaml': 'mqtt: { requireAuthentication: false }\n',
  'resources/code.js': `
import { Resource, tables } from 'millrace';
export class Desk extends Resource {
  static public = ['read', 'insert'];
  static async *connect(target, incoming) {
    try {
      yield { welcome: target.id };
      for await (const said of incoming) {
        if (said === 'fail') throw new Error('the desk fails');
        yield { said };
      }
    } finally { await tables.Note.put(target.id, { text: 'ended' }); }
  }
}
export class Gates extends Resource {
  static public = ['read', 'insert'];
  static async *subscribe(target) {
    yield* tables.Flight.subscribe(target.id === undefined ? {} : { id: target.id });
  }
  static async publish(target, message, { user }) {
    const refused = Object.assign(new Error('no such gate'), { statusCode: 403 });
    if (message.gate === 'none') throw refused;
    await tables.Flight.put(target.id, { gate: message.gate });
  }
}
export class Secret extends Resource {
  allowRead(user) { return user?.role.permission.super_user === true; }
  allowCreate(user) { return user?.role.permission.super_user === true; }
  static async *subscribe() { yield 'a text'; yield Buffer.from([1, 2, 255]); }
  static async publish() {}
}
export class Vault extends tables.Vault {
  allowRead(user) { return user?.role.permission.super_user === true; }
}
export class Many extends Resource {
  static public = ['read'];
  static async *subscribe() {
    for (let n = 0; n < 300; n += 1) yield { n, filler: 'x'.repeat(500) };
  }
}
export class Checked extends tables.Note {
  static path = 'Note';
  static loadAsInstance = false;
  allowUpdate() { return true; }
  async put(target, note) {
    if (note.text === '') throw Object.assign(new Error('say something'), { statusCode: 400 });
    return super.put(target, note);
  }
}
`,
};

const NOT_AUTHORIZED = 0x87;
const UNSPECIFIED = 0x80;
const NOT_SHARED = 0x9e;

const reasonOf = (publishing: Promise<unknown>): Promise<number> =>
  publishing.then(
    () => 0,
    (error: { code: number }) => error.code,
  );

const bodies = ({ received }: TestClient) => received.map(({ payload }) => payload);

describe.each([['1'], ['2']])('classes of the application over MQTT, threads: %s', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await startNode({ files: FILES, flags: ['--threads', threads] });
  });
  afterAll(() => node.dispose());
  const anonymous = () => connectMqtt(node.mqtt);
  const admin = (options = {}) => connectMqtt(node.mqtt, { ...ADMIN, ...options });

  it('talks with a class that connects, until the connection ends', async () => {
    const talker = await anonymous();
    const other = await anonymous();
    for (const { client } of [talker, other]) await client.subscribeAsync('Desk/one', { qos: 1 });
    await Promise.all([talker.count(1), other.count(1)]);
    await talker.client.publishAsync('Desk/one', '{"ask":1}', { qos: 1 });
    await talker.client.publishAsync('Desk/one', 'as a text', { qos: 2 });
    await talker.count(3);
    expect(bodies(talker)).toEqual([
      '{"welcome":"one"}',
      '{"said":{"ask":1}}',
      '{"said":"as a text"}',
    ]);
    expect(talker.received[0]).toMatchObject({ topic: 'Desk/one', qos: 1, retain: false });
    expect(bodies(other)).toEqual(['{"welcome":"one"}']);
    await talker.close();
    await until(
      'the end of its stream',
      async () => (await node.fetch('/Note/one')).status === 200,
    );
    // Who does not follow has nobody to say it to.
    expect(await reasonOf(other.client.publishAsync('Desk/two', '1', { qos: 1 }))).toBe(0x90);
    await other.close();
  });

  it('tells changes at the topics of their records, and takes messages', async () => {
    const one = await anonymous();
    const all = await anonymous();
    await one.client.subscribeAsync('Gates/g1');
    await all.client.subscribeAsync('Gates/#');
    const publisher = await anonymous();
    await publisher.client.publishAsync('Gates/g1', '{"gate":"A1"}', { qos: 1 });
    // There is no record yet, which is told as its being gone.
    await one.count(2);
    await publisher.client.publishAsync('Gates/g2', '{"gate":"B2"}', { qos: 1 });
    await all.count(2);
    expect(one.received[0]?.payload).toBe('');
    expect(JSON.parse(one.received[1]?.payload ?? '')).toEqual({ id: 'g1', gate: 'A1' });
    expect(all.received.map(({ topic }) => topic)).toEqual(['Gates/g1', 'Gates/g2']);
    expect(await (await node.fetch('/Flight/g2')).json()).toMatchObject({ gate: 'B2' });
    await node.fetch('/Flight/g1', { method: 'DELETE' });
    await one.count(3);
    expect(one.received[2]).toMatchObject({ topic: 'Gates/g1', payload: '' });
    const refused = publisher.client.publishAsync('Gates/g1', '{"gate":"none"}', { qos: 1 });
    expect(await reasonOf(refused)).toBe(NOT_AUTHORIZED);
    // Told on the way by which another protocol tells it too.
    const socket = new SocketClient(`${node.ws}/Gates/g2`, {});
    await socket.count(1);
    socket.terminate();
    await Promise.all([one.close(), all.close(), publisher.close()]);
  });

  it('answers in SUBACK and PUBACK who may', async () => {
    const nobody = await anonymous();
    const granted = await nobody.client
      .subscribeAsync(['Secret/x', '$share/g/Desk/x', 'Desk/y'])
      .catch((error: unknown) => error);
    expect(granted).toBeInstanceOf(Error);
    const suback = new Promise<readonly unknown[]>((resolve) => {
      nobody.client.on('packetreceive', (packet) => {
        if (packet.cmd === 'suback') resolve(packet.granted);
      });
    });
    nobody.client.subscribe(['Secret/x', '$share/g/Desk/x', 'Desk/y'], () => undefined);
    expect(await suback).toEqual([UNSPECIFIED, NOT_SHARED, 0]);
    expect(await reasonOf(nobody.client.publishAsync('Secret/x', '1', { qos: 1 }))).toBe(
      NOT_AUTHORIZED,
    );
    expect(
      await reasonOf(nobody.client.publishAsync('Secret/x', '1', { qos: 1, retain: true })),
    ).toBe(0x90);
    const chief = await admin();
    const payloads: Buffer[] = [];
    chief.client.on('message', (_topic, payload) => payloads.push(payload));
    await chief.client.subscribeAsync('Secret/x');
    await chief.count(2);
    expect(payloads).toEqual([Buffer.from('a text'), Buffer.from([1, 2, 255])]);
    expect(await reasonOf(chief.client.publishAsync('Secret/x', '1', { qos: 1 }))).toBe(0);
    await Promise.all([nobody.close(), chief.close()]);
  });

  it('yields to a window of two messages at the pace of its acknowledgements', async () => {
    const reader = await connectMqtt(node.mqtt, { properties: { receiveMaximum: 2 } });
    await reader.client.subscribeAsync('Many/x', { qos: 1 });
    await reader.count(300);
    expect(reader.received.map(({ payload }) => JSON.parse(payload).n)).toEqual(
      Array.from({ length: 300 }, (_, n) => n),
    );
    await reader.close();
  });

  it('begins again for a kept session, and ends the one whose stream fails', async () => {
    const kept = {
      clientId: `kept-${threads}`,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    };
    const first = await connectMqtt(node.mqtt, kept);
    await first.client.subscribeAsync('Desk/kept', { qos: 1 });
    await first.count(1);
    await first.close();
    const second = await connectMqtt(node.mqtt, kept);
    expect(second.sessionPresent).toBe(true);
    await second.count(1);
    expect(bodies(second)).toEqual(['{"welcome":"kept"}']);
    const closed = new Promise((resolve) => second.client.once('close', () => resolve('closed')));
    await second.client.publishAsync('Desk/kept', 'fail', { qos: 0 });
    expect(await closed).toBe('closed');
    await second.close();
    await until(
      'its log line',
      () => node.stdout().includes('the desk fails') || node.stderr().includes('the desk fails'),
    );
  });

  it('tells nobody but administrators of a table whose class says who may read it', async () => {
    const outsider = await anonymous();
    await (await node.put('/Vault/a', { text: 'held' })).arrayBuffer();
    for (const filter of ['Vault/a', 'Vault/#', '$share/g/Vault/+']) {
      await expect(outsider.client.subscribeAsync(filter), filter).rejects.toThrow(
        'Subscribe error',
      );
    }
    const insider = await admin();
    for (const { client } of [outsider, insider]) await client.subscribeAsync('#', { qos: 1 });
    await (await node.put('/Vault/a', { text: 'changed' })).arrayBuffer();
    await (await node.put('/Flight/last', { gate: 'B1' })).arrayBuffer();
    const topics = ({ received }: TestClient) => new Set(received.map(({ topic }) => topic));
    await until('the insider', () => topics(insider).has('Vault/a'));
    await until('the later change', () => topics(outsider).has('Flight/last'));
    expect([...topics(outsider)].filter((topic) => topic.startsWith('Vault'))).toEqual([]);
    await outsider.close();
    await insider.close();
  });

  it('counts subscribers of MQTT among those who follow a record or a table', async () => {
    const live = await new Live(`${node.ws}/live`).opened();
    const told = (sub: string, count: number) =>
      live.next((one) => one.type === 'presence' && one.sub === sub && one.count === count);
    live.say({ presence: '/Flight/crowd', as: 'record' });
    live.say({ presence: '/Flight/', as: 'table' });
    await Promise.all([told('record', 0), told('table', 0)]);
    const kept = { clientId: `crowd-${threads}`, properties: { sessionExpiryInterval: 60 } };
    const one = await connectMqtt(node.mqtt, { clean: false, ...kept });
    await one.client.subscribeAsync(['Flight/crowd', 'Flight/+']);
    await Promise.all([told('record', 1), told('table', 1)]);
    live.say({ subscribe: '/Flight/crowd', as: 'own' });
    await told('record', 2);
    live.heard.length = 0;
    await one.client.unsubscribeAsync('Flight/+');
    await told('table', 0);
    live.heard.length = 0;
    await one.close();
    await told('record', 1);
    // The session is kept: its client counts again once it is back.
    live.heard.length = 0;
    const back = await connectMqtt(node.mqtt, { clean: false, ...kept });
    await told('record', 2);
    live.heard.length = 0;
    await back.close();
    await told('record', 1);
    live.socket.terminate();
  });

  it('asks the class in front of a table before it stores a record', async () => {
    const writer = await anonymous();
    const put = (text: string) =>
      reasonOf(
        writer.client.publishAsync('Note/n', JSON.stringify({ text }), { qos: 1, retain: true }),
      );
    expect(await put('')).toBe(0x83);
    expect(await put('heard')).toBe(0);
    expect(await (await node.fetch('/Note/n')).json()).toMatchObject({ text: 'heard' });
    await writer.close();
  });
});
