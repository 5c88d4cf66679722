/**
 * TLS over the wire: host names, client certificates, HTTP/2, reload, what is refused, and what is
 * said about an end that is near.
 */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Issued, issueCertificate } from '../../src/protocols/http/certificate.ts';
import { type NodeProcess, runCommand, startNode, until } from '../support/node-process.ts';
import { RawConnection } from '../support/raw-connection.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, update, subscribe]) {
  id: ID @primaryKey
  name: String
}
type Closed @table @export { id: ID @primaryKey }
`;
const DAY_MS = 86_400_000;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-tls-'));
const days = (count: number) => new Date(Date.now() + count * DAY_MS);
const authority = issueCertificate({
  commonName: 'Test authority',
  from: days(-1),
  until: days(90),
  isAuthority: true,
});
const issued = (commonName: string, until = days(60), issuer: Issued | undefined = authority) =>
  issueCertificate({ commonName, names: [commonName, '127.0.0.1'], from: days(-1), until, issuer });
const file = (name: string, text: string): string => {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
};
const pair = (name: string, { cert, key }: Issued) => ({
  cert: file(`${name}.pem`, cert),
  key: file(`${name}.key`, key),
});

const server = issued('node.test', days(5));
const other = issued('other.test');
const files = {
  ...pair('server', server),
  clientCa: file('ca.pem', authority.cert),
  hosts: [{ host: 'other.test', ...pair('other', other) }],
};

interface Shown {
  readonly commonName: string;
  readonly protocol: string | null;
  readonly alpn: string | false | null;
}

/** The handshake as a client sees it; rejects when there is none. */
function handshake(port: number, options: tls.ConnectionOptions = {}): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: authority.cert, ...options }, () => {
      const { subject } = socket.getPeerCertificate();
      const protocol = socket.getProtocol();
      resolve({ commonName: String(subject.CN), protocol, alpn: socket.alpnProtocol });
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

function get(url: string, options: https.RequestOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = https.get(url, { ca: authority.cert, agent: false, ...options }, (reply) => {
      reply.resume();
      resolve(reply.statusCode ?? 0);
    });
    asked.once('error', reject);
  });
}

interface Http2Answer {
  readonly status: number;
  readonly body: string;
}

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let status = 0;
    let text = '';
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
    });
    stream.on('end', () => resolve({ status, body: text }));
    stream.on('error', reject);
    if (body !== undefined) stream.end(body);
  });
}

describe('TLS', () => {
  let node: NodeProcess;
  let port = 0;
  beforeAll(async () => {
    const roles = 'reader: { tables: { Closed: { read: true } } }\n';
    const rules = [{ commonName: 'probe.test', roles: ['reader'] }];
    const limits = { mqttConnectMsMax: '1s' };
    const settings = JSON.stringify({ tls: files, auth: { certificates: rules }, limits });
    node = await startNode({
      files: { 'schema.graphql': SCHEMA, 'millrace.yaml': settings, 'roles.yaml': roles },
    });
    port = Number(new URL(node.http).port);
  });
  afterAll(() => node?.dispose());

  it('is served by the node engine, which is said', () => {
    expect(node.http).toMatch(/^https:/);
    expect(node.stderr()).toContain('"engine":"node"');
  });

  it('shows the certificate of the host name that was asked for, else the default', async () => {
    expect((await handshake(port, { servername: 'other.test' })).commonName).toBe('other.test');
    expect((await handshake(port, { servername: 'node.test' })).commonName).toBe('node.test');
    expect((await handshake(port)).commonName).toBe('node.test');
  });

  it('speaks TLS 1.2 and 1.3, and nothing older', async () => {
    expect((await handshake(port)).protocol).toBe('TLSv1.3');
    expect((await handshake(port, { maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    const old = handshake(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL' });
    await expect(old).rejects.toThrow();
  });

  it('makes no second handshake on a connection of TLS 1.2', async () => {
    const options = { port, host: '127.0.0.1', ca: authority.cert, maxVersion: 'TLSv1.2' } as const;
    const socket = tls.connect({ ...options, ALPNProtocols: ['http/1.1'] });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const outcome = new Promise((resolve) => {
      socket.once('error', () => resolve('refused'));
      socket.once('close', () => resolve('refused'));
      socket.renegotiate({}, (error) => resolve(error === null ? 'made' : 'refused'));
    });
    expect(await outcome).toBe('refused');
    socket.destroy();
  });

  it('cuts off who begins a handshake of MQTT and does not go on, and counts it', async () => {
    const silent = new RawConnection(node.mqtt);
    silent.send(Buffer.from([0x16, 0x03, 0x01, 0x01]));
    await until('it to be cut', () => silent.ended);
    expect(await node.metric('millrace_limits_hit_total', { limit: 'mqttConnectMsMax' })).toBe(1);
  });

  it('knows a client by its certificate, and takes none of an unknown authority for one', async () => {
    const client = issued('probe.test');
    const stranger = issueCertificate({
      commonName: 'probe.test',
      from: days(-1),
      until: days(9),
      issuer: undefined,
    });
    const closed = `${node.http}/Closed/1`;
    expect(await get(closed, { cert: client.cert, key: client.key })).toBe(404);
    expect(await get(closed, { cert: stranger.cert, key: stranger.key })).toBe(401);
    expect(await get(closed)).toBe(401);
  });

  it('tells how long certificates last, and warns when the end is near', async () => {
    const left = await node.metric('millrace_tls_certificate_expiry_seconds', { host: '*' });
    expect(left).toBeGreaterThan(4 * 86_400);
    expect(left).toBeLessThan(5 * 86_400);
    expect(node.stderr()).toContain('the certificate ends within 7 days');
  });

  describe('with HTTP/2', () => {
    let session: http2.ClientHttp2Session;
    beforeAll(() => {
      session = http2.connect(node.http, { ca: authority.cert });
      session.on('error', () => undefined);
    });
    afterAll(() => session?.destroy());

    it('is agreed on in the handshake, on the port of HTTP/1.1', async () => {
      expect((await handshake(port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpn).toBe('h2');
      expect((await handshake(port, { ALPNProtocols: ['http/1.1'] })).alpn).toBe('http/1.1');
    });

    it('writes and reads records, many at once', async () => {
      const json = { 'content-type': 'application/json' };
      const write = { ':method': 'PUT', ':path': '/Item/1', ...json };
      expect((await ask(session, write, '{"name":"one"}')).status).toBe(201);
      const reads = Array.from({ length: 50 }, () => ask(session, { ':path': '/Item/1' }));
      const answers = await Promise.all(reads);
      expect(
        new Set(answers.map(({ status, body }) => `${status} ${JSON.parse(body).name}`)),
      ).toEqual(new Set(['200 one']));
    });

    it('obeys the limits of requests', async () => {
      const long = await ask(session, { ':path': `/Item/${'x'.repeat(9_000)}` });
      expect(long.status).toBe(414);
      const write = { ':method': 'PUT', ':path': '/Item/1', 'content-type': 'application/json' };
      const large = await ask(session, write, JSON.stringify({ name: 'x'.repeat(1_100_000) }));
      expect(large.status).toBe(413);
    });

    it('streams events', async () => {
      const stream = session.request({ ':path': '/Item/', accept: 'text/event-stream' });
      let text = '';
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      await until('the stream to open', () => text.includes('retry:'));
      await ask(
        session,
        { ':method': 'PUT', ':path': '/Item/2', 'content-type': 'application/json' },
        '{"name":"two"}',
      );
      await until('the event', () => text.includes('"two"'));
      stream.close();
    });

    it('conflates for an event stream that is not read, and holds up no other by it', async () => {
      const open = (path: string, more: object = {}) =>
        session.request({ ':path': path, accept: 'text/event-stream', ...more });
      const read = (stream: http2.ClientHttp2Stream) => {
        const numbers: number[] = [];
        let text = '';
        stream.setEncoding('utf8').on('data', (piece: string) => {
          const lines = (text + piece).split('\n');
          text = lines.pop() ?? '';
          for (const line of lines) {
            const n = /^data: .*"name":"(\d+) x/.exec(line)?.[1];
            if (n !== undefined) numbers.push(Number(n));
          }
        });
        return numbers;
      };
      const put = (n: number) => {
        const write = { ':method': 'PUT', ':path': '/Item/h2', 'content-type': 'application/json' };
        return ask(session, write, JSON.stringify({ name: `${n} ${'x'.repeat(30_000)}` }));
      };
      await put(0);
      const [stalled, other] = [open('/Item/h2'), open('/Item/h2')];
      const heard = read(other);
      await until('the present state', () => heard.length > 0);
      const late = read(stalled);
      await until('the present state', () => late.length > 0);
      stalled.pause();
      for (let n = 1; n <= 40; n += 1) {
        await put(n);
        await until(`change ${n}`, () => heard.at(-1) === n);
      }
      stalled.resume();
      await until('the newest', () => late.at(-1) === 40);
      expect(heard).toEqual(Array.from({ length: 41 }, (_, n) => n));
      expect(late.length).toBeLessThan(40);
      expect(late).toEqual([...late].sort((one, next) => one - next));
      stalled.close();
      other.close();
    });

    it('ends a session which opens streams only to reset them [CVE-2023-44487]', async () => {
      const hostile = http2.connect(node.http, { ca: authority.cert });
      let ended = false;
      hostile.on('error', () => undefined);
      hostile.on('close', () => {
        ended = true;
      });
      await until('the session to be ended', async () => {
        for (let i = 0; i < 50 && !hostile.destroyed; i += 1) {
          const stream = hostile.request({ ':path': '/Item/1' });
          stream.on('error', () => undefined);
          stream.close(http2.constants.NGHTTP2_CANCEL);
        }
        await new Promise((resolve) => setImmediate(resolve));
        return ended;
      });
      expect((await ask(session, { ':path': '/Item/1' })).status).toBe(200);
    });
  });

  it('takes new files over without a restart, whole or not at all', async () => {
    const before = new X509Certificate(server.cert).serialNumber;
    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ port, host: '127.0.0.1', ca: authority.cert }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once('error', reject);
      });
    expect(await serial()).toBe(before);
    file('server.key', issued('node.test').key);
    node.process.kill('SIGHUP');
    await until('the refusal', () => node.stderr().includes('cannot be used'));
    expect(await serial()).toBe(before);
    const next = issued('node.test');
    pair('server', next);
    node.process.kill('SIGHUP');
    const after = new X509Certificate(next.cert).serialNumber;
    await until('the new certificate', async () => (await serial()) === after);
  });
});

it('has the suites of the node engine on uWebSockets.js: forward secrecy or nothing', async () => {
  const settings = JSON.stringify({ tls: pair('fast', issued('node.test')) });
  const appFiles = { 'schema.graphql': SCHEMA, 'millrace.yaml': settings };
  const fast = await startNode({ files: appFiles, env: { MILLRACE_HTTP_ENGINE: 'uws' } });
  const fastPort = Number(new URL(fast.http).port);
  const only = (ciphers: string) => handshake(fastPort, { ciphers, maxVersion: 'TLSv1.2' });
  expect((await only('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256')).protocol).toBe(
    'TLSv1.2',
  );
  await expect(only('AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA')).rejects.toThrow();
  await fast.dispose();
});

describe('what TLS cannot be', () => {
  const start = async (settings: object, env: Record<string, string> = {}) => {
    const app = mkdtempSync(path.join(tmpdir(), 'millrace-tls-app-'));
    writeFileSync(path.join(app, 'schema.graphql'), SCHEMA);
    writeFileSync(path.join(app, 'millrace.yaml'), JSON.stringify(settings));
    const ports = ['--http-port', '0', '--admin-port', '0', '--mqtt-port', '0'];
    return runCommand(['start', app, ...ports], { env });
  };

  it('is said at start: a key of another certificate, and what uWebSockets.js cannot do', async () => {
    const wrong = { tls: { cert: files.cert, key: files.hosts[0]?.key } };
    const mismatch = await start(wrong);
    expect(mismatch.code).toBe(2);
    expect(mismatch.stderr).toContain('the key must be that of the first certificate');
    const forced = await start({ tls: files }, { MILLRACE_HTTP_ENGINE: 'uws' });
    expect(forced.code).toBe(2);
    expect(forced.stderr).toContain('use "auto" or "node"');
  });
});
