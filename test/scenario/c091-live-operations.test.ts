/**
 * What operators see of those who are connected, on all threads and protocols, and what they can do
 * to them: list, publish, broadcast, disconnect; and `millrace tail`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Live } from '../support/live-client.ts';
import { ADMIN, type NodeProcess, startNode, until } from '../support/node-process.ts';
import { StreamClient } from '../support/push-node.ts';

const SCHEMA = `
type Flight @table @export(public: [read, insert, update, subscribe]) {
  id: ID @primaryKey
  gate: String
}
`;
const BASIC = `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`;

interface Listed {
  readonly total: number;
  readonly sessions: readonly Record<string, unknown>[];
  readonly subscriptions: readonly Record<string, unknown>[];
}

describe.each([1, 2])('operations on clients of %i thread(s)', (threads) => {
  let node: NodeProcess;
  let mqtt: MqttClient;
  const sockets: Live[] = [];
  const streams: StreamClient[] = [];
  const list = async (operation: string, args: object = {}): Promise<Listed> =>
    (await node.operate({ operation, ...args })) as unknown as Listed;
  const connect = async (path: string, headers: Record<string, string> = {}): Promise<Live> => {
    const live = new Live(`${node.ws}${path}`, headers);
    sockets.push(live);
    return live.opened();
  };
  const stream = async (path: string): Promise<StreamClient> => {
    const asked = httpRequest(`${node.http}${path}`, { headers: { accept: 'text/event-stream' } });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const client = new StreamClient(response);
    streams.push(client);
    return client;
  };

  beforeAll(async () => {
    node = await startNode({
      files: { 'schema.graphql': SCHEMA },
      flags: ['--threads', String(threads)],
    });
    mqtt = await connectAsync(node.mqtt, {
      ...{ clientId: 'board', username: ADMIN.username, password: ADMIN.password },
    });
    await mqtt.subscribeAsync('Flight/+');
  });
  afterAll(async () => {
    for (const one of sockets) one.socket.terminate();
    for (const one of streams) one.terminate();
    await mqtt.endAsync(true);
    await node.dispose();
  });

  it('lists who is connected over each protocol, and what they follow', async () => {
    const live = await connect('/live', { authorization: BASIC });
    live.say({ subscribe: '/Flight/?gate=A1', as: 'a' });
    live.say({ presence: '/Flight/X', as: 'p' });
    await live.next((one) => one.sub === 'p');
    const own = await connect('/Flight/AA1');
    await own.next(() => true);
    await (await stream('/Flight/?gate=B')).count(1);
    const { total, sessions } = await list('sessions_list');
    expect(total).toBe(4);
    const byProtocol = (protocol: string) => sessions.filter((one) => one.protocol === protocol);
    expect(byProtocol('websocket').map(({ user, subscriptions }) => [user, subscriptions])).toEqual(
      expect.arrayContaining([
        ['admin', 2],
        ['', 1],
      ]),
    );
    expect(byProtocol('sse')).toMatchObject([{ connected: true, address: '127.0.0.1' }]);
    expect(byProtocol('mqtt')).toMatchObject([
      { session: 'board', user: 'admin', connected: true },
    ]);
    expect(new Set(sessions.map(({ session }) => session)).size).toBe(4);
    const { subscriptions } = await list('subscriptions_list');
    const rows = subscriptions.map(({ resource, name, stage }) => [resource, name, stage]);
    expect(rows).toEqual(
      expect.arrayContaining([
        ['/Flight/?gate=A1', 'a', 'live'],
        ['/Flight/X', 'p', 'presence'],
        ['/Flight/AA1', undefined, 'live'],
        ['/Flight/?gate=B', undefined, 'live'],
        ['Flight/+', undefined, 'live'],
      ]),
    );
    const some = await list('subscriptions_list', { user: 'admin', limit: 1 });
    expect([some.total, some.subscriptions.length]).toEqual([3, 1]);
  });

  it('publishes messages and records to whoever follows, on every protocol', async () => {
    const followers = await Promise.all([connect('/Flight/P'), connect('/Flight/P')]);
    await Promise.all(followers.map((one) => one.next(() => true)));
    const heard: string[] = [];
    mqtt.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
    await node.operate({ operation: 'publish', table: 'Flight', id: 'P', value: { call: 1 } });
    for (const one of followers) {
      expect((await one.next(({ type }) => type === 'message')).value).toEqual({ call: 1 });
    }
    await until('the message over MQTT', () => heard.includes('Flight/P {"call":1}'));
    expect((await node.fetch('/Flight/P')).status).toBe(404);
    const put = { operation: 'publish', table: 'Flight', id: 'P', value: { gate: 'Z' } };
    expect(await node.operate({ ...put, retain: true })).toMatchObject({ created: true });
    expect(await (await node.fetch('/Flight/P')).json()).toEqual({ id: 'P', gate: 'Z' });
    await expect(node.operate({ ...put, id: undefined })).rejects.toThrow('id: the key');
    await expect(node.operate({ ...put, table: 'No' })).rejects.toThrow('TABLE_UNKNOWN');
  });

  it('tells everybody, or those of one user, and counts them', async () => {
    const anonymous = await connect('/live');
    const admin = await connect('/Flight/', { authorization: BASIC });
    const events = await stream('/Flight/');
    await events.count(1);
    const told = await node.operate({ operation: 'broadcast', value: { closing: 'at noon' } });
    expect(told.sent).toBeGreaterThanOrEqual(3);
    const heard = await anonymous.next((one) => one.type === 'broadcast');
    expect(heard.value).toEqual({ closing: 'at noon' });
    await until('the event stream hears', () =>
      events.events.some(({ event, data }) => event === 'broadcast' && data.includes('at noon')),
    );
    await node.operate({ operation: 'broadcast', value: 'admins only', user: 'admin' });
    await admin.next((one) => String(one.value) === 'admins only');
    anonymous.say({ ping: 1 });
    await anonymous.next((one) => one.type === 'pong');
    expect(anonymous.heard.filter((one) => one.type === 'broadcast')).toHaveLength(1);
    await expect(
      node.operate({ operation: 'broadcast', value: 1, protocol: 'mqtt' }),
    ).rejects.toThrow('MQTT');
  });

  it('disconnects one, those of a user, or everybody, and says whether to come back', async () => {
    const mine = await connect('/live', { authorization: BASIC });
    const other = await connect('/live');
    await expect(node.operate({ operation: 'disconnect' })).rejects.toThrow('name whom');
    const { sessions } = await list('sessions_list', { user: 'admin', protocol: 'websocket' });
    const newest = sessions.toSorted((a, b) => Number(b.openedAt) - Number(a.openedAt))[0];
    const one = await node.operate({ operation: 'disconnect', session: newest?.session });
    expect(one).toEqual({ disconnected: 1 });
    await until('the one is gone', () => mine.closedWith === 4540);
    expect(other.closedWith).toBeUndefined();
    let reason: number | undefined;
    mqtt.once('disconnect', ({ reasonCode }) => {
      reason = reasonCode;
    });
    mqtt.options.reconnectPeriod = 0;
    let isClosed = false;
    mqtt.once('close', () => {
      isClosed = true;
    });
    await node.operate({ operation: 'disconnect', protocol: 'mqtt' });
    await until('the MQTT client is cut', () => isClosed);
    expect(reason ?? 0x98).toBe(0x98);
    await node.operate({ operation: 'disconnect', all: true, reconnect: true });
    await until('all are told to come back', () => other.closedWith === 4001);
    await until('nobody is left', async () => {
      const left = (await list('sessions_list')).sessions.filter((each) => each.connected === true);
      return left.length === 0;
    });
  });

  it('prints what changes, comes back after a cut, and names what cannot be followed', async () => {
    const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
    const run = (...args: string[]) => {
      const child = spawn(process.execPath, [entry, 'tail', ...args, '--url', node.http]);
      const said = { out: '', err: '' };
      child.stdout.on('data', (text) => {
        said.out += String(text);
      });
      child.stderr.on('data', (text) => {
        said.err += String(text);
      });
      const exited = once(child, 'close').then(([code]) => code as number);
      return { said, exited };
    };
    await node.put('/Flight/T', { gate: 'A' });
    const tail = run('Flight/T', '--count', '3');
    await until('the record', () => tail.said.out.includes('{"id":"T","gate":"A"}'));
    await node.put('/Flight/T', { gate: 'B' });
    await until('the change', () => tail.said.out.includes('"B"'));
    await node.operate({ operation: 'disconnect', protocol: 'sse' });
    await until('the cut', () => tail.said.err.includes('coming back'));
    await node.put('/Flight/T', { gate: 'C' });
    expect(await tail.exited).toBe(0);
    expect(tail.said.out.trim().split('\n')).toHaveLength(3);
    expect(tail.said.out).toMatch(/^\d\d:\d\d:\d\d\.\d\d\d put {6}T \{"id":"T","gate":"C"\}$/m);
    const nothing = run('Nowhere/');
    expect(await nothing.exited).toBe(2);
    expect(nothing.said.err).toContain('/Nowhere/');
  });
});
