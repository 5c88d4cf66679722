/**
 * Clients known by a certificate: over REST, WebSocket and MQTT (TCP and WebSocket), by common and
 * by alternative name; and how one is taken back, by a list that is read while the node runs.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Issued, issueCertificate } from '../../src/protocols/http/certificate.ts';
import { connectMqtt } from '../support/mqtt-client.ts';
import { type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';
import { issueRevocations } from '../support/revocation-list.ts';

const SCHEMA = 'type Note @table @export { id: ID @primaryKey text: String }\n';
const ROLES = `
reader: { tables: { Note: { read: true, subscribe: true } } }
device:
  tables:
    Note: { subscribe: true, insert: true, update: true, filter: "text=\${user.name}" }
`;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-clients-'));
const days = (count: number) => new Date(Date.now() + count * 86_400_000);
const LASTS = { from: days(-1), until: days(30) };
const authority = issueCertificate({ commonName: 'Clients', ...LASTS, isAuthority: true });
const stranger = issueCertificate({ commonName: 'Others', ...LASTS, isAuthority: true });
const issued = (commonName: string, names: readonly string[] = [], issuer: Issued = authority) =>
  issueCertificate({ commonName, names, ...LASTS, issuer });
const file = (name: string, text: string): string => {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
};

const server = issued('node.test', ['127.0.0.1']);
const probe = issued('probe');
const sensor = issued('sensor', ['s1.devices.test']);
const forged = issued('probe', [], stranger);
const unknown = issued('somebody else');
const crl = file('revoked.pem', issueRevocations(authority, [], LASTS));
const SETTINGS = {
  tls: {
    cert: file('server.pem', server.cert),
    key: file('server.key', server.key),
    clientCa: file('ca.pem', authority.cert),
    clientCrl: crl,
  },
  auth: {
    certificates: [
      { alternativeName: '*.devices.test', roles: ['device'] },
      { commonName: 'probe', roles: ['reader'] },
    ],
  },
  limits: { writeQueueAgeMsMax: '60s' },
};

type Shown = Pick<Issued, 'cert' | 'key'> | undefined;
const shownBy = (client: Shown) => ({
  ca: authority.cert,
  ...(client !== undefined && { cert: client.cert, key: client.key }),
});

function request(url: string, client: Shown, method = 'GET', body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const options = { ...shownBy(client), agent: false, method, headers };
    const asked = https.request(url, options, (reply) => {
      reply.resume();
      resolve(reply.statusCode ?? 0);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

describe.each([1, 2])('a client certificate, with %s threads', (threads) => {
  let node: NodeProcess;
  beforeAll(async () => {
    writeFileSync(crl, issueRevocations(authority, [], LASTS));
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'roles.yaml': ROLES,
        'millrace.yaml': JSON.stringify(SETTINGS),
      },
      flags: ['--threads', String(threads)],
    });
  });
  afterAll(() => node?.dispose());

  const ways = (): string[] => [node.mqtt, `wss${node.http.slice(5)}/mqtt`];
  const mqtt = (way: string, client: Shown) =>
    connectMqtt(way, { ...shownBy(client), wsOptions: shownBy(client) });
  const note = (id: string) => `${node.http}/Note/${id}`;

  it('stands for a user by its common name, and by an alternative name, over REST', async () => {
    expect(await request(note('1'), probe)).toBe(404);
    expect(await request(note('1'), probe, 'PUT', '{"text":"x"}')).toBe(403);
    const mine = '{"text":"s1.devices.test"}';
    expect(await request(note('s1'), sensor, 'PUT', mine)).toBe(201);
    expect(await request(note('s2'), sensor, 'PUT', '{"text":"another"}')).toBe(403);
    expect(await request(note('s1'), probe)).toBe(200);
  });

  it('is worth nothing of another authority, or where no rule names it', async () => {
    for (const client of [undefined, forged, unknown]) {
      expect(await request(note('1'), client)).toBe(401);
    }
  });

  it('signs in to MQTT, over TCP and WebSocket', async () => {
    for (const way of ways()) {
      const device = await mqtt(way, sensor);
      const granted = await device.client.subscribeAsync('Note/#');
      expect(granted.map(({ qos }) => qos)).toEqual([0]);
      const told = device.count(1);
      await device.client.publishAsync('Note/m', '{"text":"s1.devices.test"}', {
        qos: 1,
        retain: true,
      });
      expect((await told).some(({ payload }) => payload.includes('s1.devices.test'))).toBe(true);
      const other = device.client.publishAsync('Note/n', '{"text":"no"}', { qos: 1, retain: true });
      await expect(other).rejects.toThrow();
      await device.close();
    }
  });

  it('of a stranger signs in to nothing over MQTT', async () => {
    for (const way of ways()) {
      for (const client of [undefined, forged, unknown]) {
        await expect(mqtt(way, client)).rejects.toThrow();
      }
    }
  });

  it('that is taken back ends its connections and is refused, others are not', async () => {
    const ended: string[] = [];
    const watchers = [probe, sensor].map((client, index) => {
      const socket = new WebSocket(`wss${node.http.slice(5)}/Note/`, shownBy(client));
      socket.on('error', () => undefined);
      socket.on('close', () => ended.push(String(index)));
      return socket;
    });
    await Promise.all(watchers.map((one) => new Promise((resolve) => one.once('open', resolve))));
    const device = await mqtt(node.mqtt, sensor);
    device.client.once('close', () => ended.push('mqtt'));
    writeFileSync(crl, issueRevocations(authority, [sensor], LASTS));
    node.process.kill('SIGHUP');
    await until('the connections to end', () => ended.includes('1') && ended.includes('mqtt'));
    await until('the list to be obeyed', async () => (await request(note('1'), sensor)) === 401);
    for (const way of ways()) await expect(mqtt(way, sensor)).rejects.toThrow();
    expect(await request(note('s1'), probe)).toBe(200);
    await device.client.endAsync(true);
    for (const one of watchers) one.terminate();
  });
});

describe('a list of revoked certificates', () => {
  const start = (tls: object) => {
    const app = mkdtempSync(path.join(tmpdir(), 'millrace-clients-app-'));
    writeFileSync(path.join(app, 'schema.graphql'), SCHEMA);
    writeFileSync(path.join(app, 'millrace.yaml'), JSON.stringify({ tls }));
    return runCommand(['start', app, '--http-port', '0', '--admin-port', '0', '--mqtt-port', '0']);
  };

  it('that is none, or goes with no authority, is refused at start', async () => {
    const { clientCa: _, ...alone } = SETTINGS.tls;
    const without = await start(alone);
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('tls.clientCa')]);
    const wrong = await start({ ...SETTINGS.tls, clientCrl: SETTINGS.tls.clientCa });
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('tls.clientCrl')]);
  });

  it('that has ended lets nobody in by certificate', async () => {
    const ended = { from: days(-9), until: days(-2) };
    const old = file('old.pem', issueRevocations(authority, [], ended));
    const settings = JSON.stringify({ ...SETTINGS, tls: { ...SETTINGS.tls, clientCrl: old } });
    const files = { 'schema.graphql': SCHEMA, 'roles.yaml': ROLES, 'millrace.yaml': settings };
    const node = await startNode({ files });
    try {
      expect(await request(`${node.http}/Note/1`, probe)).toBe(401);
    } finally {
      await node.dispose();
    }
  });
});
