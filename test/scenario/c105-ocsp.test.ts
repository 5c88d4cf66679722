/**
 * Client certificates that a real OCSP responder is asked about, over REST and MQTT: what it says,
 * what it does not say, and what somebody else says in its name.
 */
import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Issued, issueCertificate } from '../../src/protocols/http/certificate.ts';
import { connectMqtt } from '../support/mqtt-client.ts';
import { type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';
import { OcspDoor, startOpenssl } from '../support/ocsp-responder.ts';

const SHIFTED = fileURLToPath(new URL('../support/shifted-clock.mjs', import.meta.url));
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const SCHEMA = 'type Note @table @export { id: ID @primaryKey text: String }\n';
const ROLES = 'reader: { tables: { Note: { read: true, subscribe: true } } }\n';
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-ocsp-'));
const days = (count: number) => new Date(Date.now() + count * 86_400_000);
const LASTS = { from: days(-1), until: days(30) };
const authority = issueCertificate({ commonName: 'Clients', ...LASTS, isAuthority: true });
const issued = (commonName: string, names: readonly string[] = []) =>
  issueCertificate({ commonName, names, ...LASTS, issuer: authority });
const file = (name: string, text: string): string => {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
};
const serialOf = ({ cert }: Issued) => new X509Certificate(cert).serialNumber;
const row = (client: Issued, taken = '') => {
  const serial = serialOf(client);
  const fields = [taken === '' ? 'V' : 'R', '401231235959Z', taken, serial, 'unknown'];
  return `${fields.join('\t')}\t/CN=${serial}\n`;
};

const server = issued('node.test', ['127.0.0.1']);
const [good, replayed, silent, delegated, impostor, watched, later] = [
  ...['good', 'replayed', 'silent', 'delegated', 'impostor', 'watched', 'later'].map((name) =>
    issued(name),
  ),
] as [Issued, Issued, Issued, Issued, Issued, Issued, Issued];
const [revoked, unknown] = [issued('revoked'), issued('unknown')];
const known = [good, replayed, silent, delegated, impostor, watched, later];

const settingsFor = (ocsp: string, responder: string) => ({
  tls: {
    cert: file('server.pem', server.cert),
    key: file('server.key', server.key),
    clientCa: file('ca.pem', authority.cert),
    ...{ ocsp, ocspResponder: responder, ocspAllowPrivate: true },
  },
  auth: { certificates: [{ commonName: '*', roles: ['reader'] }] },
});

/** A certificate and key of the authority for a responder; with or without its permission. */
function responderPair(name: string, extensions: string): readonly string[] {
  const [key, ext] = [path.join(folder, `${name}.key`), file(`${name}.cnf`, extensions)];
  const ca = ['-CA', path.join(folder, 'ca.pem'), '-CAkey', file('ca.key', authority.key)];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
  const asked = execFileSync('openssl', ['req', ...made, '-subj', `/CN=${name}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const cert = execFileSync(
    'openssl',
    ['x509', '-req', ...ca, '-set_serial', '77', '-days', '9', '-extfile', ext],
    { input: asked, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  return ['-rsigner', file(`${name}.pem`, cert.toString()), '-rkey', key];
}

function ask(node: NodeProcess, client: Issued): Promise<{ status: number; text: string }> {
  const options = { ca: authority.cert, cert: client.cert, key: client.key, agent: false };
  return new Promise((resolve, reject) => {
    const asked = https.request(`${node.http}/Note/`, options, (reply) => {
      let text = '';
      reply.on('data', (chunk) => {
        text += chunk;
      });
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
    });
    asked.once('error', reject);
    asked.end();
  });
}

const ownSigner = (): readonly string[] => [
  ...['-rsigner', path.join(folder, 'ca.pem'), '-rkey', file('ca.key', authority.key)],
];

/** Connections that stay, some on each thread, over WebSocket and MQTT; `leave` ends them. */
function openSockets(node: NodeProcess, client: Issued, leave: (() => void)[]) {
  const shown = { ca: authority.cert, cert: client.cert, key: client.key };
  const sockets = Array.from({ length: 4 }, async () => {
    const socket = new WebSocket(`wss${node.http.slice(5)}/Note/`, shown);
    leave.push(() => socket.terminate());
    const state = { over: false };
    socket
      .on('error', () => undefined)
      .on('close', () => {
        state.over = true;
      });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('close', reject));
    return state;
  });
  const clients = Array.from({ length: 2 }, async () => {
    const mqtt = await connectMqtt(node.mqtt, { ...shown, reconnectPeriod: 0 });
    leave.push(() => void mqtt.client.end(true));
    const state = { over: false };
    mqtt.client.on('close', () => {
      state.over = true;
    });
    return state;
  });
  return Promise.all([...sockets, ...clients]);
}

const said = (node: NodeProcess, text: string) =>
  until(`the log to say "${text}"`, () => (node.stdout() + node.stderr()).includes(text));

describe.skipIf(!hasOpenssl)('a client certificate, where OCSP is asked', () => {
  let door: OcspDoor;
  let node: NodeProcess;
  const running: ChildProcess[] = [];
  const responder = async (
    signer: readonly string[],
    gone: readonly Issued[] = [],
  ): Promise<number> => {
    const still = known.filter((one) => !gone.includes(one)).map((one) => row(one));
    const taken = [revoked, ...gone].map((one) => row(one, '200101000000Z'));
    const rows = [...still, ...taken].join('');
    const index = ['-index', file('index.txt', rows), '-CA', path.join(folder, 'ca.pem')];
    const { port, child } = await startOpenssl([...index, ...signer]);
    running.push(child);
    return port;
  };
  const start = (mode: string, threads = '1', env: Record<string, string> = {}) =>
    startNode({
      files: {
        'schema.graphql': SCHEMA,
        'roles.yaml': ROLES,
        'millrace.yaml': JSON.stringify(settingsFor(mode, door.url)),
      },
      flags: ['--threads', threads],
      env,
    });

  beforeAll(async () => {
    door = await OcspDoor.open();
    node = await start('strict');
    door.target = await responder(ownSigner());
  });
  afterAll(async () => {
    await node?.dispose();
    door?.close();
    for (const child of running) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('counts when the responder says it is good, who is asked once', async () => {
    const answers = await Promise.all([ask(node, good), ask(node, good), ask(node, good)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(door.asked).toBe(1);
  });

  it('is refused when it is revoked or not known, and the refusal says so', async () => {
    const [gone, stranger] = [await ask(node, revoked), await ask(node, unknown)];
    expect([gone.status, stranger.status]).toEqual([401, 401]);
    expect(gone.text).toContain('was revoked by its issuer');
    expect(stranger.text).toContain('does not know it');
  });

  it('is asked about for MQTT too', async () => {
    const shown = ({ cert, key }: Issued) => ({ ca: authority.cert, cert, key });
    const client = await connectMqtt(node.mqtt, shown(watched));
    await client.close();
    await expect(connectMqtt(node.mqtt, shown(revoked))).rejects.toThrow();
  });

  it('is refused for now when the reply is about another one, or none comes', async () => {
    const { target } = door;
    door.replay = door.last;
    const other = await ask(node, replayed);
    door.replay = undefined;
    door.target = undefined;
    const none = await ask(node, silent);
    door.target = target;
    expect([other.status, none.status]).toEqual([503, 503]);
    expect(none.text).toContain('could not be found out');
    const failed = await node.metric('millrace_ocsp_checks_total', { outcome: 'failed' });
    expect(failed).toBe(2);
    await said(node, 'about another certificate');
  });

  it('is believed of a delegate of its issuer, and of nobody else whom that has signed', async () => {
    door.target = await responder(responderPair('delegate', 'extendedKeyUsage=OCSPSigning'));
    expect((await ask(node, delegated)).status).toBe(200);
    door.target = await responder(responderPair('impostor', 'extendedKeyUsage=clientAuth'));
    expect((await ask(node, impostor)).status).toBe(503);
    await said(node, 'nor by a delegate of it');
  });

  it('counts all the same where no reply comes and the setting is "lenient"', async () => {
    const lenient = await start('lenient');
    try {
      door.target = undefined;
      expect((await ask(lenient, silent)).status).toBe(200);
      await said(lenient, 'it is taken all the same');
    } finally {
      await lenient.dispose();
    }
  });

  it('is cut off on every thread when it is revoked later: WebSockets and MQTT', async () => {
    const clock = file('clock', '0');
    const lasting = await start('strict', '2', {
      NODE_OPTIONS: `--import=${SHIFTED}`,
      MILLRACE_TEST_CLOCK_FILE: clock,
    });
    const leave: (() => void)[] = [];
    try {
      door.target = await responder(ownSigner());
      const before = [openSockets(lasting, later, leave), openSockets(lasting, good, leave)];
      const [ofRevoked, ofGood] = await Promise.all(before);
      const ended = (some: readonly { over: boolean }[] = []) => some.map(({ over }) => over);
      expect([...ended(ofRevoked), ...ended(ofGood)]).not.toContain(true);
      door.target = await responder([...ownSigner(), '-nmin', '300'], [later]);
      // What the responder said first counts for an hour at most.
      file('clock', '7200000');
      await until('the revoked one to be cut off', () => !ended(ofRevoked).includes(false), 60_000);
      expect(ended(ofGood)).not.toContain(true);
      expect((await ask(lasting, later)).status).toBe(401);
    } finally {
      for (const one of leave) one();
      await lasting.dispose();
    }
  }, 90_000);

  it('is not asked about without authorities: the start is refused', async () => {
    const { clientCa: _, ...tls } = settingsFor('strict', door.url).tls;
    const app = mkdtempSync(path.join(folder, 'app-'));
    writeFileSync(path.join(app, 'schema.graphql'), SCHEMA);
    writeFileSync(path.join(app, 'millrace.yaml'), JSON.stringify({ tls }));
    const ports = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];
    const ended = await runCommand(['start', app, ...ports]);
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('tls.clientCa')]);
  });
});
