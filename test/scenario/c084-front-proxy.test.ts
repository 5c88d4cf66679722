/**
 * The nginx configuration of docs/front-proxy.md, run in front of a real node: HTTP/2, uploads,
 * WebSockets, event streams, and the address of the client.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { issueCertificate } from '../../src/protocols/http/certificate.ts';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';
import { freePort } from '../support/ports.ts';

const NGINX = '/usr/sbin/nginx';
const GUIDE = readFileSync(
  fileURLToPath(new URL('../../docs/front-proxy.md', import.meta.url)),
  'utf8',
);
const FILES = {
  'schema.graphql': `
type Item @table @export(public: [read, insert, update, subscribe]) {
  id: ID @primaryKey
  name: String
}
`,
  'millrace.yaml': 'http: { trustedProxies: [127.0.0.1] }\n',
  'resources/who.js': `
import { Resource } from 'millrace';
export class Who extends Resource {
  static loadAsInstance = false;
  allowRead() { return true; }
  get(target, context) { return { ip: this.getContext().ip }; }
}
`,
};

describe.skipIf(!existsSync(NGINX))('nginx in front, as the guide has it', () => {
  let node: NodeProcess;
  let nginx: ChildProcess;
  let url = '';
  let cert = '';
  beforeAll(async () => {
    node = await startNode({ files: FILES });
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-nginx-'));
    const now = Date.now();
    const made = issueCertificate({
      commonName: 'localhost',
      names: ['localhost', '127.0.0.1'],
      from: new Date(now - 86_400_000),
      until: new Date(now + 86_400_000),
    });
    cert = made.cert;
    writeFileSync(path.join(folder, 'fullchain.pem'), made.cert);
    writeFileSync(path.join(folder, 'key.pem'), made.key);
    const port = await freePort();
    const text = /```nginx\n# nginx\.conf\n(.*?)```/s.exec(GUIDE)?.[1] ?? '';
    const own = `daemon off; pid ${folder}/pid; error_log stderr warn;\n`;
    const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temps.map((one) => `${one}_temp_path ${folder}/${one};`).join(' ');
    const conf = text
      .replace('http {', `http { access_log off; ${paths}`)
      .replace('127.0.0.1:9926', new URL(node.http).host)
      .replace('listen 443', `listen 127.0.0.1:${port}`)
      .replaceAll('/etc/tls', folder);
    writeFileSync(path.join(folder, 'nginx.conf'), own + conf);
    nginx = spawn(NGINX, ['-c', path.join(folder, 'nginx.conf'), '-p', folder], {
      stdio: 'ignore',
    });
    url = `https://127.0.0.1:${port}`;
    await until('nginx to answer', () => connected(url, cert));
  });
  afterAll(async () => {
    nginx?.kill('SIGTERM');
    await node?.dispose();
  });

  it('gives clients HTTP/2, and the node their uploads and answers', async () => {
    // Another of this machine's addresses: that of the proxy itself is trusted.
    const socket = tls.connect({ ...placeOf(url), ca: cert, ALPNProtocols: ['h2'] });
    const session = http2.connect(url, { createConnection: () => socket });
    const write = { ':method': 'PUT', ':path': '/Item/1', 'content-type': 'application/json' };
    expect(await ask(session, write, '{"name":"one"}')).toMatchObject({ status: 201 });
    const read = await ask(session, { ':path': '/Item/1' });
    expect(JSON.parse(read.body)).toMatchObject({ id: '1', name: 'one' });
    const spoofed = { ':path': '/Who/1', 'x-forwarded-for': '203.0.113.9' };
    expect(JSON.parse((await ask(session, spoofed)).body).ip).toBe('127.0.0.2');
    session.destroy();
  });

  it('passes WebSockets and event streams on as they come', async () => {
    const socket = new WebSocket(`${url.replace('https', 'wss')}/Item/`, { ca: cert });
    const heard: string[] = [];
    socket.on('message', (message) => heard.push(String(message)));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const session = http2.connect(url, { ca: cert });
    const stream = session.request({ ':path': '/Item/', accept: 'text/event-stream' });
    let events = '';
    stream.setEncoding('utf8').on('data', (piece: string) => {
      events += piece;
    });
    await until('the stream', () => events.includes('retry:'));
    await node.put('/Item/2', { name: 'two' });
    await until('both to hear of it', () => heard.join().includes('two') && events.includes('two'));
    socket.terminate();
    session.destroy();
  });
});

const placeOf = (url: string) => {
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port), localAddress: '127.0.0.2' };
};

function connected(url: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const session = http2.connect(url, { ca }, () => {
      resolve(true);
      session.destroy();
    });
    session.on('error', () => resolve(false));
  });
}

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let text = '';
    let status = 0;
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
    });
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    stream.on('end', () => resolve({ status, body: text }));
    stream.on('error', reject);
    if (body !== undefined) stream.end(body);
  });
}
