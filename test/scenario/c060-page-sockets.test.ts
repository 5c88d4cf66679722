/** WebSockets at the paths of pages: passed on to a real `ws` server, on both engines. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type NodeProcess, startNode, until } from '../support/node-process.ts';

const SCHEMA = `
type Item @table @export(public: [read, insert, subscribe]) { id: ID @primaryKey }
type Page @pages(origin: "web", path: "/*")
`;

/** The renderer's side: `ws` behind node:http, refusing what begins with /closed. */
class SocketServer {
  readonly sockets: WebSocket[] = [];
  readonly handshakes: IncomingMessage[] = [];
  readonly connections = new Set<Socket>();
  readonly #server: Server = createServer((_, response) => response.end('a page'));
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
  });

  async start(): Promise<number> {
    this.#server.on('connection', (socket: Socket) => {
      this.connections.add(socket);
      socket.once('close', () => this.connections.delete(socket));
    });
    this.#server.on('upgrade', (message, socket, head) => {
      this.handshakes.push(message);
      if (message.url?.startsWith('/closed')) {
        const head = 'HTTP/1.1 403 No\r\nX-Why: policy\r\nContent-Length: 8\r\n\r\n';
        socket.end(`${head}stay out`);
        return;
      }
      if (message.url?.startsWith('/broken')) return void socket.destroy();
      this.#sockets.handleUpgrade(message, socket, head, (ws) => this.#opened(ws));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
    return (this.#server.address() as AddressInfo).port;
  }

  #opened(ws: WebSocket): void {
    this.sockets.push(ws);
    ws.on('message', (bytes, isBinary) => ws.send(bytes as Buffer, { binary: isBinary }));
    ws.on('error', () => undefined);
  }

  stop(): void {
    for (const socket of this.connections) socket.destroy();
    this.#server.close();
  }
}

const opened = (socket: WebSocket): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
const closed = (socket: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
  );
const next = (socket: WebSocket): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    socket.once('message', (bytes) => resolve(bytes as Buffer));
    socket.once('close', (code, reason) => reject(new Error(`closed with ${code} ${reason}`)));
  });

const NODES = [
  { engine: 'uws', threads: '1' },
  { engine: 'uws', threads: '2' },
  { engine: 'node', threads: '1' },
];

describe.each(NODES)('sockets of pages on $threads threads of $engine', ({ engine, threads }) => {
  const origin = new SocketServer();
  let node: NodeProcess;

  beforeAll(async () => {
    const port = await origin.start();
    node = await startNode({
      files: {
        'schema.graphql': SCHEMA,
        'origins/web.yaml': `kind: http\nurl: http://127.0.0.1:${port}\nallowPrivate: true\n`,
      },
      flags: ['--threads', threads],
      env: { MILLRACE_HTTP_ENGINE: engine },
    });
  });
  afterAll(async () => {
    await node.dispose();
    origin.stop();
  });
  beforeEach(() => {
    origin.sockets.length = 0;
    origin.handshakes.length = 0;
  });

  const dial = (path: string, protocols: string[] = [], options = {}): WebSocket => {
    const socket = new WebSocket(`${node.ws}${path}`, protocols, options);
    socket.on('error', () => undefined);
    return socket;
  };
  const open = (path: string, protocols: string[] = [], options = {}): Promise<WebSocket> =>
    opened(dial(path, protocols, options));

  it('carries text and bytes of every size both ways', async () => {
    const socket = await open('/chat');
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 900_000]) {
      const bytes = Buffer.alloc(size, 'x');
      socket.send(bytes, { binary: size % 2 === 0 });
      const back = await next(socket);
      expect(back.equals(bytes)).toBe(true);
    }
    socket.terminate();
  });

  it('passes the handshake on: path, query, fields, and for whom it is', async () => {
    const headers = { cookie: 'sign-in=1', origin: 'https://elsewhere.example' };
    const socket = await open('/chat?room=7', ['other', 'chat'], { headers });
    expect(socket.protocol).toBe('chat');
    const [seen] = origin.handshakes;
    expect(seen?.url).toBe('/chat?room=7');
    expect(seen?.headers.cookie).toBe('sign-in=1');
    expect(seen?.headers.origin).toBe('https://elsewhere.example');
    expect(seen?.headers['sec-websocket-protocol']).toBe('other,chat');
    expect(seen?.headers['x-forwarded-for']).toBe('127.0.0.1');
    expect(seen?.headers.via).toBe('1.1 millrace');
    socket.terminate();
  });

  it('agrees on extensions where it can pass their frames on', async () => {
    const socket = await open('/chat', [], { perMessageDeflate: { threshold: 0 } });
    expect(socket.extensions).toBe(engine === 'node' ? 'permessage-deflate' : '');
    socket.send('compressed or not');
    expect(String(await next(socket))).toBe('compressed or not');
    socket.terminate();
  });

  it('tells each side how the other closed', async () => {
    const leaving = await open('/chat');
    const origins = closed(origin.sockets[0] as WebSocket);
    leaving.close(4001, 'seen enough');
    expect(await origins).toEqual({ code: 4001, reason: 'seen enough' });

    const told = await open('/chat');
    const clients = closed(told);
    origin.sockets[1]?.close(4002, 'the shop is shut');
    expect(await clients).toEqual({ code: 4002, reason: 'the shop is shut' });
  });

  it('lets neither side hang when the other vanishes', async () => {
    const vanishing = await open('/chat');
    const origins = closed(origin.sockets[0] as WebSocket);
    vanishing.terminate();
    expect((await origins).code).toBe(1006);

    const abandoned = await open('/chat');
    const clients = closed(abandoned);
    origin.sockets[1]?.terminate();
    expect((await clients).code).toBe(1006);
  });

  it('gives the refusal of the origin to the client, as it is', async () => {
    const socket = dial('/closed/door');
    const answer = await new Promise<IncomingMessage>((resolve) =>
      socket.once('unexpected-response', (_, response) => resolve(response)),
    );
    expect(answer.statusCode).toBe(403);
    expect(answer.headers['x-why']).toBe('policy');
    let body = '';
    for await (const chunk of answer) body += String(chunk);
    expect(body).toBe('stay out');
  });

  it('answers 502 when the origin breaks off the handshake', async () => {
    const socket = dial('/broken');
    const status = await new Promise<number | undefined>((resolve) =>
      socket.once('unexpected-response', (_, response) => resolve(response.statusCode)),
    );
    expect(status).toBe(502);
  });

  it('waits for a client that does not read, and loses nothing', async () => {
    const socket = await open('/chat', [], { perMessageDeflate: false });
    const [far] = origin.sockets;
    socket.pause();
    const piece = Buffer.alloc(64 * 1024);
    const count = 1_024;
    for (let i = 0; i < count; i += 1) {
      piece.writeUInt32BE(i, 0);
      far?.send(Buffer.from(piece));
    }
    // What the node and two kernels take is bounded: the rest of 64 MiB stays with the origin.
    let last = -1;
    await until('the origin being made to wait', async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const left = far?.bufferedAmount ?? 0;
      const stands = left === last;
      last = left;
      return stands;
    });
    expect(last).toBeGreaterThan(16 * 1024 * 1024);
    const seen: number[] = [];
    socket.on('message', (bytes: Buffer) => seen.push(bytes.readUInt32BE(0)));
    socket.resume();
    await until('every message', () => seen.length === count);
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i));
    socket.terminate();
  });

  it('holds many sockets at once, and none of them afterwards', async () => {
    const before = origin.connections.size;
    const ends: string[] = [];
    const sockets = Array.from({ length: 100 }, (_, i) => {
      const socket = dial('/chat');
      socket.on('close', (code, reason) => ends.push(`${i}: ${code} ${reason}`));
      return socket;
    });
    const heard = new Set<string>();
    sockets.forEach((socket, i) => {
      socket.on('open', () => socket.send(String(i)));
      socket.on('message', (bytes) => heard.add(String(bytes)));
    });
    await until('every echo', () => {
      expect(ends).toEqual([]);
      return heard.size === sockets.length;
    });
    expect(origin.connections.size).toBeGreaterThanOrEqual(sockets.length);
    for (const socket of sockets) socket.terminate();
    await until('the origin being left', () => origin.connections.size <= before);
  });

  it('leaves the sockets of tables to the tables, and pages to the cache', async () => {
    const live = dial('/Item/');
    // It may come together with the handshake.
    expect(JSON.parse(String(await next(live)))).toMatchObject({ type: 'snapshot' });
    live.terminate();
    expect(origin.handshakes).toHaveLength(0);
    expect(await (await node.fetch('/chat')).text()).toBe('a page');
  });

  it('survives a client that leaves in the middle of the handshake and of a frame', async () => {
    const { port } = new URL(node.http);
    for (const cut of [1, 0]) {
      const raw = connect(Number(port), '127.0.0.1');
      raw.write(
        'GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      if (cut === 0) await new Promise((resolve) => raw.once('data', resolve));
      raw.write(Buffer.from([0x82, 0xfe, 0x10, 0x00]));
      raw.destroy();
    }
    const socket = await open('/chat');
    socket.send('still here');
    expect(String(await next(socket))).toBe('still here');
    socket.terminate();
  });
});
