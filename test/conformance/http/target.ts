/**
 * The server under test: one listener of the given engine with routes that provoke each behaviour,
 * and a record of what was executed.
 */
import { NodeError } from '../../../src/base/errors.ts';
import { selectEngine } from '../../../src/protocols/http/engine.ts';
import type {
  BodyWriter,
  Exchange,
  HttpEngine,
  HttpLimits,
  Listener,
  ListenOptions,
  Socket,
  WebSocketHandler,
} from '../../../src/protocols/http/port.ts';

export const limits: HttpLimits = {
  headBytesMax: 16 * 1024,
  urlBytesMax: 2 * 1024,
  idleTimeoutSeconds: 30,
  messageBytesMax: 64 * 1024,
  socketBufferBytesMax: 256 * 1024,
  connectionsMax: 1_000,
  headerCountMax: 100,
  headerTimeoutSeconds: 10,
  bodyGraceSeconds: 10,
  bodyBytesPerSecondMin: 1024,
  pipelinedRequestsMax: 16,
};

export interface SocketState {
  readonly path: string;
}

type Route = (exchange: Exchange, target: Target) => void | Promise<void>;

/** One listener and everything that happened to it. */
export class Target {
  readonly executed: string[] = [];
  readonly aborted: string[] = [];
  readonly faults: unknown[] = [];
  readonly refused: string[] = [];
  readonly sockets: Socket<SocketState>[] = [];
  readonly closedCodes: number[] = [];
  /** Bytes of the latest streamed request body, and codes of those that broke off. */
  uploadBytes = 0;
  readonly uploadFailures: string[] = [];
  drains = 0;
  writer: BodyWriter | undefined;
  release: () => void = () => undefined;
  #listener: Listener | undefined;

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error('not started');
    return this.#listener;
  }

  get port(): number {
    return this.listener.port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async start(engine: HttpEngine, changes: Partial<ListenOptions> = {}): Promise<this> {
    this.#listener = await (await selectEngine(engine)).listen({
      host: '127.0.0.1',
      port: 0,
      shared: false,
      limits,
      handler: (exchange) => this.#serve(exchange),
      webSocket: this.#webSocket(),
      allowedOrigins: ['https://friend.example'],
      onRefused: (reason) => this.refused.push(reason),
      onFault: (error) => this.faults.push(error),
      ...changes,
    });
    return this;
  }

  stop(): Promise<void> {
    return this.#listener?.close() ?? Promise.resolve();
  }

  #serve(exchange: Exchange): void | Promise<void> {
    const { request } = exchange;
    this.executed.push(`${request.method} ${request.path}`);
    exchange.onAborted(() => this.aborted.push(request.path));
    const name = request.path.split('/')[1] ?? '';
    const route = routes[name];
    if (route === undefined) {
      exchange.reply(404, ['content-type', 'text/plain'], 'no such route');
      return undefined;
    }
    return route(exchange, this);
  }

  #webSocket(): WebSocketHandler<SocketState> {
    return {
      upgrade: (request) => {
        const { path } = request;
        if (path === '/ws-refused') {
          return { kind: 'refuse', status: 403, headers: ['x-why', 'no'], body: 'refused' };
        }
        if (path === '/ws-throws') throw new Error('upgrade failed');
        const verdict = { kind: 'accept', protocol: 'chat', state: { path } } as const;
        return path === '/ws-later' ? later(verdict) : verdict;
      },
      open: (socket) => {
        this.sockets.push(socket);
        if (socket.state.path === '/ws-hello') socket.send('hello');
      },
      message: (socket, bytes, binary) => {
        if (Buffer.from(bytes).toString() === 'throw') throw new Error('message failed');
        socket.send(binary ? bytes : Buffer.from(bytes).toString());
      },
      drain: () => {
        this.drains += 1;
      },
      closed: (_, code) => void this.closedCodes.push(code),
    };
  }
}

async function later<T>(value: T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  return value;
}

export const bigBody = Buffer.alloc(24 * 1024 * 1024, 'millrace.');
export const uploadBytesMax = 64 * 1024 * 1024;
const text = ['content-type', 'text/plain'];

/** Reads the body as it arrives, and says whether it is the pattern it should be. */
async function receive(exchange: Exchange, target: Target): Promise<void> {
  target.uploadBytes = 0;
  let matches = true;
  const stream = exchange.requestStream(uploadBytesMax);
  try {
    for await (const chunk of stream) {
      const at = target.uploadBytes % 'millrace.'.length;
      const wanted = bigBody.subarray(at, at + chunk.length);
      matches &&= wanted.equals(chunk);
      target.uploadBytes += chunk.length;
    }
  } catch (error) {
    if (error instanceof NodeError) target.uploadFailures.push(error.code);
    throw error;
  }
  const seen = { length: stream.length, received: target.uploadBytes, matches };
  exchange.reply(200, ['content-type', 'application/json'], JSON.stringify(seen));
}

const routes: Record<string, Route> = {
  hello: (exchange) => exchange.reply(200, text, 'hello'),
  later: async (exchange) => {
    await later(0);
    exchange.reply(200, text, 'later');
  },
  held: (exchange, target) =>
    new Promise((resolve) => {
      target.release = () => {
        exchange.reply(200, text, 'released');
        resolve();
      };
    }),
  // Says 103 twice, then what the path says: /interim/204, /interim/stream, /interim/held
  interim: (exchange, target) => {
    exchange.interim(103, ['link', '</a.css>; rel=preload', 'x-name', 'caf\u00e9']);
    exchange.interim(103, ['link', '</b.js>; rel=preload']);
    const how = exchange.request.path.split('/')[2];
    if (how === 'stream') {
      exchange.stream(200, text).end('body');
    } else if (how === 'held') {
      return new Promise((resolve) => {
        target.release = () => {
          exchange.reply(200, text, 'released');
          resolve();
        };
      });
    } else {
      exchange.reply(Number(how), text, 'body');
      exchange.interim(103, ['x-late', '1']);
    }
    return undefined;
  },
  'interim-many': (exchange) => {
    for (let i = 0; i < 1000; i += 1) exchange.interim(103, ['x-many', String(i)]);
    exchange.reply(200, text, 'hello');
  },
  'interim-bad': (exchange) => {
    const [status = '', name = '', value = ''] = exchange.request.query.split('&');
    exchange.interim(Number(status), [decodeURIComponent(name), decodeURIComponent(value)]);
    exchange.reply(200, text, 'hello');
  },
  echo: async (exchange) => {
    const body = await exchange.body(256 * 1024);
    exchange.reply(200, ['content-type', 'application/octet-stream'], body);
  },
  'echo-late': async (exchange) => {
    await later(0);
    await later(0);
    exchange.reply(200, text, String((await exchange.body(1024 * 1024)).length));
  },
  upload: receive,
  'upload-late': async (exchange, target) => {
    await later(0);
    await receive(exchange, target);
  },
  'upload-held': async (exchange, target) => {
    await new Promise<void>((resolve) => {
      target.release = resolve;
    });
    await receive(exchange, target);
  },
  'upload-first': async (exchange) => {
    for await (const chunk of exchange.requestStream(uploadBytesMax)) {
      if (chunk.length > 0) break;
    }
    exchange.reply(200, text, 'enough');
  },
  ignored: (exchange) => exchange.reply(200, text, 'ignored the body'),
  request: (exchange) => {
    const { method, path, query, remoteAddress } = exchange.request;
    const fields = [...exchange.request.headers()];
    const twice = exchange.request.header('x-twice');
    const seen = { method, path, query, remoteAddress, twice, fields };
    exchange.reply(200, ['content-type', 'application/json'], JSON.stringify(seen));
  },
  big: (exchange) => exchange.reply(200, text, bigBody),
  'big-later': async (exchange) => {
    await later(0);
    exchange.reply(200, text, bigBody);
  },
  // The view is destroyed as soon as the call returns, as the store's views are.
  view: (exchange) => {
    const view = Buffer.from(bigBody);
    exchange.reply(200, text, view);
    view.fill(0);
  },
  status: (exchange) => {
    const status = Number(exchange.request.path.split('/')[2]);
    exchange.reply(status, ['etag', '"a"'], 'body');
  },
  throws: () => {
    throw new Error('secret of the node');
  },
  rejects: async () => {
    await later(0);
    throw new Error('secret of the node');
  },
  silent: async () => {
    await later(0);
  },
  'not-found': () => {
    throw new NodeError('NOT_FOUND', 'no such record', { blame: 'client' });
  },
  inject: (exchange) => exchange.reply(200, ['x-bad', decodeURIComponent(exchange.request.query)]),
  'inject-name': (exchange) =>
    exchange.reply(200, [decodeURIComponent(exchange.request.query), 'value']),
  twice: (exchange) => {
    exchange.reply(200, text, 'first');
    exchange.reply(200, text, 'second');
  },
  stream: async (exchange, target) => {
    const length = exchange.request.query === 'length' ? bigBody.length : undefined;
    const writer = exchange.stream(200, text, length);
    target.writer = writer;
    for (let at = 0; at < bigBody.length; at += 50_000) {
      const chunk = Buffer.from(bigBody.subarray(at, at + 50_000));
      const room = writer.write(chunk);
      chunk.fill(0);
      if (!room) await writer.drained();
      if (writer.aborted) return;
    }
    writer.end();
  },
  'stream-throws': async (exchange) => {
    exchange.stream(200, text).write('begun');
    await later(0);
    throw new Error('after the head');
  },
  'abort-throws': (exchange, target) => {
    exchange.onAborted(() => {
      throw new Error('in a listener');
    });
    exchange.onAborted(() => target.aborted.push('the second listener'));
  },
  short: (exchange) => {
    const writer = exchange.stream(200, text, 100);
    writer.write('only this');
    writer.end();
  },
  cut: (exchange, target) => {
    const writer = exchange.stream(200, text);
    writer.write('first');
    target.release = () => writer.destroy();
  },
  events: (exchange, target) => {
    const writer = exchange.stream(200, ['content-type', 'text/event-stream']);
    writer.write(': open\n\n');
    target.writer = writer;
  },
};
