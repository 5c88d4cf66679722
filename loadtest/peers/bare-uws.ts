/**
 * The floor: a uWebSockets.js handler that sends one body from memory, and nothing else. With
 * headers given it writes those too, to tell what the engine costs from what we add; a request
 * with `If-None-Match` gets a bare 304. Prints `listening <url>`.
 *
 * Usage: bare-uws.ts '{"body":"…","headers":["name","value"]}'
 */
import { loadUws } from '../../src/protocols/http/uws/load.ts';

interface Reply {
  writeStatus(status: string): Reply;
  writeHeader(name: string, value: string): Reply;
  end(body?: string | Uint8Array): Reply;
  endWithoutBody(): Reply;
  onAborted(fn: () => void): Reply;
  onData(fn: (chunk: ArrayBuffer, isLast: boolean) => void): Reply;
  cork(fn: () => void): Reply;
}

interface Socket {
  subscribe(topic: string): boolean;
}

interface Request {
  getHeader(name: string): string;
}

interface Application {
  any(pattern: string, handler: (reply: Reply, request: Request) => void): Application;
  put(pattern: string, handler: (reply: Reply, request: Request) => void): Application;
  ws(pattern: string, behavior: { open: (socket: Socket) => void }): Application;
  publish(topic: string, message: string | Uint8Array, binary: boolean): boolean;
  listen(host: string, port: number, listening: (socket: object | false) => void): Application;
}

interface Uws {
  App(): Application;
  us_socket_local_port(socket: object): number;
}

/** The engine's own calls, of which the node's declarations name only those it uses. */
function engine(): Uws {
  const loaded = loadUws();
  if (loaded.kind === 'unusable') throw new Error(loaded.reason);
  return loaded.uws as unknown as Uws;
}

const options = JSON.parse(process.argv[2] ?? '{}') as { body?: string; headers?: string[] };
const body = Buffer.from(options.body ?? 'x'.repeat(1024));
const headers = options.headers ?? [];
const uws = engine();
const app = uws.App();

function writeHeaders(reply: Reply): void {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    reply.writeHeader(headers[index] ?? '', headers[index + 1] ?? '');
  }
}

app
  .ws('/*', { open: (socket) => void socket.subscribe('record') })
  .put('/*', (reply) => {
    reply.onAborted(() => undefined);
    reply.onData((chunk, isLast) => {
      if (!isLast) return;
      app.publish('record', Buffer.from(Buffer.from(chunk)), false);
      reply.cork(() => {
        reply.writeStatus('204 No Content');
        reply.endWithoutBody();
      });
    });
  })
  .any('/*', (reply, request) => {
    if (request.getHeader('if-none-match') !== '') {
      reply.cork(() => {
        reply.writeStatus('304 Not Modified');
        writeHeaders(reply);
        reply.end();
      });
    } else if (headers.length === 0) {
      reply.end(body);
    } else {
      reply.cork(() => {
        writeHeaders(reply);
        reply.end(body);
      });
    }
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('cannot listen');
    process.stdout.write(`listening http://127.0.0.1:${uws.us_socket_local_port(socket)}\n`);
  });
