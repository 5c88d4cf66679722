/**
 * MQTT.js as pages use it, in a real browser, over WebSocket and over TLS on the node's own port:
 * retained messages, every QoS both ways, a will, and coming back to a session.
 */
import { readFileSync } from 'node:fs';
import type { IClientOptions, MqttClient } from 'mqtt';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate } from '../../src/protocols/http/certificate.ts';
import { connectMqtt, type Received, type TestClient } from '../support/mqtt-client.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const BUNDLE = new URL('../../node_modules/mqtt/dist/mqtt.min.js', import.meta.url);
const DAY_MS = 86_400_000;
const ALL = 'read, subscribe, publish, insert, update, delete';
const FILES = {
  'schema.graphql': `
type Topic @table @export(name: "*", public: [${ALL}])
type Flight @table @export(public: [${ALL}]) { id: ID @primaryKey gate: String }
`,
  'public/index.html': '<!doctype html><title>board</title><script src="mqtt.js"></script>',
  'public/mqtt.js': readFileSync(BUNDLE, 'utf8'),
};

/** What the page keeps: its clients, and what each of them was told. */
declare global {
  var mqtt: { connect(url: string, options: IClientOptions): MqttClient };
  var clients: Record<string, { client: MqttClient; told: Received[]; present: boolean }>;
}

/** A certificate that no browser knows, beside the application. */
function certificateFiles(): Readonly<Record<string, string>> {
  const { cert, key } = issueCertificate({
    commonName: '127.0.0.1',
    names: ['127.0.0.1'],
    from: new Date(Date.now() - DAY_MS),
    until: new Date(Date.now() + 30 * DAY_MS),
  });
  return { 'server.pem': cert, 'server.key': key };
}

describe.each(['ws', 'wss'])('MQTT.js in a page, over %s', (scheme) => {
  let node: NodeProcess;
  let browser: Browser;
  let page: Page;
  let beside: TestClient;
  beforeAll(async () => {
    const settings = { mqtt: { requireAuthentication: false } };
    const tls = { cert: 'server.pem', key: 'server.key' };
    const isSecure = scheme === 'wss';
    node = await startNode({
      files: {
        ...FILES,
        ...(isSecure ? certificateFiles() : {}),
        'millrace.yaml': JSON.stringify(isSecure ? { ...settings, tls } : settings),
      },
    });
    const args = ['--no-sandbox', '--disable-gpu', '--ignore-certificate-errors'];
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
    page = await browser.newPage();
    await page.goto(`${node.http}/`);
    beside = await connectMqtt(node.mqtt, { rejectUnauthorized: false });
  });
  afterAll(async () => {
    await beside?.close();
    await browser?.close();
    await node?.dispose();
  });

  const open = (name: string, options: IClientOptions = {}) =>
    page.evaluate(
      async ([url, as, given]) => {
        const client = mqtt.connect(url, { reconnectPeriod: 0, ...(given as object) });
        const told: Received[] = [];
        globalThis.clients ??= {};
        client.on('message', (topic, bytes, { qos, retain, dup, properties = {} }) => {
          told.push({ topic, payload: bytes.toString(), qos, retain, dup, properties });
        });
        const present = await new Promise<boolean>((resolve, reject) => {
          client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
          client.once('error', reject);
          client.once('close', () => reject(new Error('closed')));
        });
        clients[as] = { client, told, present };
        return present;
      },
      [node.http.replace('http', 'ws'), name, { protocolVersion: 5, ...options }] as const,
    );
  const told = (name: string) => page.evaluate((as) => clients[as]?.told ?? [], name);
  const subscribe = (name: string, filter: string, qos: 0 | 1 | 2) =>
    page.evaluate(
      async ([as, topic, granted]) =>
        (await clients[as]?.client.subscribeAsync(topic, { qos: granted }))?.map((one) => one.qos),
      [name, filter, qos] as const,
    );
  const publish = (name: string, topic: string, payload: string, options: object) =>
    page.evaluate(
      async ([as, to, text, how]) => {
        await clients[as]?.client.publishAsync(to, text, how);
      },
      [name, topic, payload, options] as const,
    );

  it('gets what is retained, and every QoS both ways', async () => {
    await beside.client.publishAsync('Flight/A1', '{"gate":"B2"}', { qos: 1, retain: true });
    expect(await open('page')).toBe(false);
    expect(await subscribe('page', 'Flight/+', 2)).toEqual([2]);
    await until('the record', async () => (await told('page')).length === 1);
    expect((await told('page'))[0]).toMatchObject({ topic: 'Flight/A1', retain: true });
    await beside.client.subscribeAsync('from/page', { qos: 2 });
    await subscribe('page', 'to/page', 2);
    for (const qos of [0, 1, 2] as const) {
      await publish('page', 'from/page', `qos ${qos}`, { qos });
      await beside.client.publishAsync('to/page', `qos ${qos}`, { qos });
    }
    const heard = await beside.count(3);
    expect(heard.map(({ payload, qos }) => [payload, qos])).toEqual(EACH_QOS);
    await until('all of them', async () => (await told('page')).length === 4);
    expect((await told('page')).slice(1).map((one) => [one.payload, one.qos])).toEqual(EACH_QOS);
    await publish('page', 'Flight/A1', '{"gate":"C3"}', { qos: 1, retain: true });
    await until('its own write', async () => (await told('page')).length === 5);
    expect(JSON.parse((await told('page'))[4]?.payload ?? '')).toEqual({ id: 'A1', gate: 'C3' });
  });

  it('has its will published when its page is closed, and not when it says goodbye', async () => {
    const will = (payload: string): IClientOptions => ({
      will: { topic: 'wills/page', payload: payload as unknown as Buffer, qos: 1, retain: false },
    });
    await beside.client.subscribeAsync('wills/#', { qos: 1 });
    const before = beside.received.length;
    await open('polite', will('of the polite one'));
    await page.evaluate(() => clients.polite?.client.endAsync());
    await open('rude', will('of the rude one'));
    await page.goto('about:blank');
    await beside.count(before + 1);
    expect(beside.received.slice(before).map(({ payload }) => payload)).toEqual([
      'of the rude one',
    ]);
    await page.goto(`${node.http}/`);
  });

  it('comes back to its session, and gets what it missed', async () => {
    const options = { clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 600 } };
    await open('before', options);
    await subscribe('before', 'missed/#', 1);
    await page.evaluate(() => clients.before?.client.endAsync(true));
    for (const n of [1, 2, 3]) {
      await beside.client.publishAsync('missed/m', `message ${n}`, { qos: 1 });
    }
    expect(await open('after', options)).toBe(true);
    await until('what it missed', async () => (await told('after')).length === 3);
    expect((await told('after')).map(({ payload }) => payload)).toEqual([
      'message 1',
      'message 2',
      'message 3',
    ]);
  });
});

const EACH_QOS = [
  ['qos 0', 0],
  ['qos 1', 1],
  ['qos 2', 2],
];
