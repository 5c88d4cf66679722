/**
 * A real HTTP origin which does what the test says, faults included: it speaks over a raw socket,
 * so that a reply may be late, torn, oversized or no HTTP at all. Each request is answered by the
 * behaviour that `origin.script` chooses; what was asked is kept in `origin.requests`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Number of the connection it came on, from 1. */
  readonly connection: number;
}

/** Writes the answer; the connection stays open unless the behaviour ends it. */
export type Behaviour = (socket: Socket, request: SeenRequest) => void;
export type Script = (request: SeenRequest, count: number) => Behaviour;

export class HttpOrigin {
  readonly requests: SeenRequest[] = [];
  script: Script = () => behave.status(404);
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(script?: Script, port = 0): Promise<HttpOrigin> {
    const origin = new HttpOrigin();
    if (script !== undefined) origin.script = script;
    await origin.listen(port);
    return origin;
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => resolve());
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts every connection, keeps listening. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    const connection = this.connections;
    this.#sockets.add(socket);
    let received = '';
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (let parsed = parse(received, connection); parsed; parsed = parse(received, connection)) {
        received = parsed.rest;
        this.requests.push(parsed.request);
        this.script(parsed.request, this.requests.length)(socket, parsed.request);
      }
    });
  }
}

function parse(received: string, connection: number) {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [start = '', ...lines] = received.slice(0, end).split('\r\n');
  const [method = '', path = ''] = start.split(' ');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const bodyEnd = end + 4 + Number(headers.get('content-length') ?? 0);
  if (received.length < bodyEnd) return undefined;
  const body = Buffer.from(received.slice(end + 4, bodyEnd), 'latin1').toString();
  return { request: { method, path, headers, body, connection }, rest: received.slice(bodyEnd) };
}

type Fields = Readonly<Record<string, string | number>>;

const head = (status: number, fields: Fields): string =>
  `HTTP/1.1 ${status} Said So\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;

const answer = (status: number, fields: Fields, body: string | Uint8Array): Behaviour => {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return (socket) => {
    socket.write(head(status, { 'content-length': bytes.byteLength, ...fields }));
    socket.write(bytes);
  };
};

/** Calls `write` every few milliseconds until the connection closes. */
function forever(socket: Socket, write: () => void, everyMs: number): void {
  const timer = setInterval(write, everyMs);
  socket.on('close', () => clearInterval(timer));
}

/** Well-behaved and misbehaving answers. */
export const behave = {
  answer,
  json: (value: unknown, fields: Fields = {}): Behaviour =>
    answer(200, { 'content-type': 'application/json', ...fields }, JSON.stringify(value)),
  status: (status: number, fields: Fields = {}): Behaviour => answer(status, fields, ''),
  notModified:
    (fields: Fields = {}): Behaviour =>
    (socket) =>
      socket.write(head(304, fields)),
  /** Takes the request and never says anything. */
  hang: (): Behaviour => () => undefined,
  after:
    (ms: number, then: Behaviour): Behaviour =>
    (socket, request) => {
      const timer = setTimeout(() => then(socket, request), ms);
      socket.on('close', () => clearTimeout(timer));
    },
  /** A head that trickles in and does not end. */
  dripHead: (): Behaviour => (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
    forever(socket, () => socket.write('a'), 20);
  },
  /** A body that trickles in, far slower than its length needs. */
  dripBody: (): Behaviour => (socket) => {
    socket.write(head(200, { 'content-type': 'application/json', 'content-length': 1_000_000 }));
    forever(socket, () => socket.write(' '), 20);
  },
  /** Promises a body and says no more. */
  hangInBody: (): Behaviour => (socket) => {
    socket.write(`${head(200, { 'content-length': 100 })}{"a":`);
  },
  /** A reset instead of an answer. */
  reset: (): Behaviour => (socket) => socket.resetAndDestroy(),
  closeAtOnce: (): Behaviour => (socket) => socket.end(),
  /** Fewer bytes than `Content-Length` says, then an orderly close. */
  truncated: (): Behaviour => (socket) => {
    socket.end(`${head(200, { 'content-length': 50 })}{"id":"a"}`);
  },
  /** A chunked body without its last chunk. */
  truncatedChunks: (): Behaviour => (socket) => {
    socket.end(`${head(200, { 'transfer-encoding': 'chunked' })}a\r\n{"id":"a"}\r\n`);
  },
  badChunk: (): Behaviour => (socket) => {
    socket.write(`${head(200, { 'transfer-encoding': 'chunked' })}zz\r\n{"id":"a"}\r\n0\r\n\r\n`);
  },
  /** More bytes than `Content-Length` says, on a connection that stays open. */
  overlong:
    (value: unknown): Behaviour =>
    (socket) => {
      const body = JSON.stringify(value);
      socket.write(
        `${head(200, { 'content-length': body.length })}${body}HTTP/1.1 200 smuggled\r\n`,
      );
    },
  lengthAndChunked: (): Behaviour => (socket) => {
    const fields = { 'content-length': 3, 'transfer-encoding': 'chunked' };
    socket.write(`${head(200, fields)}a\r\n{"id":"a"}\r\n0\r\n\r\n`);
  },
  strangelyCoded: (): Behaviour => (socket) => {
    socket.end(`${head(200, { 'transfer-encoding': 'xchunked' })}{"id":"a"}`);
  },
  /** All of it has arrived when the connection is reset: only that tells that it may go on. */
  resetInBody: (): Behaviour => (socket) => {
    socket.write(`${head(200, {})}{"id":"a"}`);
    setTimeout(() => socket.resetAndDestroy(), 30);
  },
  garbage: (): Behaviour => (socket) => {
    socket.write('\u0016\u0003\u0001 this is not HTTP at all\r\n\r\n');
  },
  hugeHead: (): Behaviour => (socket) => {
    socket.write(head(200, { 'x-huge': 'x'.repeat(2 * 1024 * 1024), 'content-length': 0 }));
  },
  /** A body without end, as fast as the connection takes it. */
  endless: (): Behaviour => (socket) => {
    socket.write(head(200, { 'content-type': 'application/json' }));
    const chunk = Buffer.alloc(64 * 1024, 0x20);
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
  },
  redirect: (location: string, status = 302): Behaviour => answer(status, { location }, ''),
  /** `bytes` zeros in a gzip body a thousandth of that size. */
  bomb: (bytes: number): Behaviour =>
    answer(200, { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(bytes, 0x20))),
  encoded: (encoding: string, body: Uint8Array): Behaviour =>
    answer(200, { 'content-encoding': encoding, 'content-type': 'application/json' }, body),
} as const;
