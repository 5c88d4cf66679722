/**
 * The push protocols over a real listener and a change source in memory: a socket or event stream
 * of a test talks to what a node would serve.
 */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { WebSocket } from 'ws';
import { subscribeAccess } from '../../src/access/authorise.ts';
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts';
import { systemClock } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/config/limits.ts';
import { Fanout } from '../../src/feed/fanout.ts';
import { createResolve } from '../../src/feed/resolve.ts';
import { selectEngine } from '../../src/protocols/http/engine.ts';
import type { HttpEngine, Listener } from '../../src/protocols/http/port.ts';
import { SseEndpoint } from '../../src/protocols/sse/endpoint.ts';
import { WebSocketGateway } from '../../src/protocols/websocket/gateway.ts';
import type { TableDefinition } from '../../src/schema/definition.ts';
import { recordScope } from '../../src/table/query/scope.ts';
import { FakeChangeSource } from './fake-change-source.ts';
import type { FeedEvent } from './fake-sink.ts';
import { flightTable } from './feed-bench.ts';
import { openTestIdentity } from './identity.ts';

const exported = (name: string, isPublic: boolean): TableDefinition => ({
  ...flightTable,
  typeName: name,
  name: name as TableDefinition['name'],
  export: {
    name,
    public: new Set(isPublic ? (['read', 'subscribe'] as const) : []),
    protocols: new Set(['websocket', 'sse'] as const),
  },
});

export const ADMIN = `Basic ${Buffer.from('admin:secret').toString('base64')}`;

export class PushNode {
  readonly source = new FakeChangeSource();
  readonly fanout: Fanout;
  readonly gateway: WebSocketGateway<Principal>;
  readonly sse: SseEndpoint<Principal>;
  readonly #clients: { terminate(): void }[] = [];
  #listener: Listener | undefined;

  constructor(parts: { subscriptionsMax?: number; conflateBytesMax?: number } = {}) {
    this.fanout = new Fanout({ source: this.source, clock: systemClock });
    const tables = [exported('Flight', true), exported('Secret', false)];
    const resolve = createResolve<Principal>({
      scopes: tables.map(recordScope),
      viewOf: subscribeAccess,
    });
    const { authenticate, settle } = openTestIdentity({
      admin: { username: 'admin', password: 'secret' },
    }).authenticator;
    const shared = { fanout: this.fanout, clock: systemClock, resolve };
    const { conflateBytesMax, subscriptionsMax } = parts;
    this.gateway = new WebSocketGateway({
      ...shared,
      ...{
        authenticate,
        settle,
        conflateBytesMax,
        subscriptionsPerConnectionMax: subscriptionsMax,
      },
    });
    this.sse = new SseEndpoint({ ...shared, conflateBytesMax });
  }

  async start(engine: HttpEngine): Promise<this> {
    this.#listener = await (await selectEngine(engine)).listen({
      ...{ host: '127.0.0.1', port: 0, shared: false, allowedOrigins: [] },
      limits: LIMITS,
      handler: (exchange) => this.sse.serve(exchange, ANONYMOUS),
      webSocket: this.gateway,
    });
    this.fanout.start();
    return this;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.terminate();
    this.gateway.stop();
    this.sse.stop();
    this.fanout.stop();
    await this.#listener?.close();
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  socket(path: string, headers: Record<string, string> = {}): SocketClient {
    const client = new SocketClient(`ws://127.0.0.1:${this.port}${path}`, headers);
    this.#clients.push(client);
    return client;
  }

  async stream(path: string, headers: Record<string, string> = {}): Promise<StreamClient> {
    const request = httpRequest({
      ...{ host: '127.0.0.1', port: this.port, path },
      headers: { accept: 'text/event-stream', ...headers },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const client = new StreamClient(response);
    this.#clients.push(client);
    return client;
  }
}

/** Waits until `condition` holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export type SocketEvent = FeedEvent & {
  readonly sub?: string | number;
  readonly code?: string;
};

export class SocketClient {
  readonly events: SocketEvent[] = [];
  readonly texts: string[] = [];
  readonly socket: WebSocket;
  closeCode: number | undefined;
  /** Status of a refused upgrade. */
  refusedWith: number | undefined;
  refusal = '';

  constructor(url: string, headers: Record<string, string>) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('message', (data) => {
      const text = String(data);
      this.texts.push(text);
      this.events.push(JSON.parse(text));
    });
    this.socket.on('close', (code) => {
      this.closeCode = code;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      response.on('data', (chunk: Buffer) => {
        this.refusal += chunk.toString();
      });
      response.on('end', () => {
        this.refusedWith = response.statusCode;
      });
    });
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN);
    return this;
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async count(events: number): Promise<readonly SocketEvent[]> {
    await until(() => this.events.length >= events);
    return this.events;
  }

  terminate(): void {
    this.socket.terminate();
  }
}

export interface StreamEvent {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly data: string;
}

export class StreamClient {
  readonly events: StreamEvent[] = [];
  readonly response: IncomingMessage;
  text = '';
  ended = false;

  constructor(response: IncomingMessage) {
    this.response = response;
    response.on('error', () => undefined);
    response.on('end', () => {
      this.ended = true;
    });
    const parser = new EventSourceParserStream();
    const writer = parser.writable.getWriter();
    response.on('data', (chunk: Buffer) => {
      this.text += chunk.toString();
      void writer.write(chunk.toString());
    });
    void this.#collect(parser.readable);
  }

  async count(events: number): Promise<readonly StreamEvent[]> {
    await until(() => this.events.length >= events);
    return this.events;
  }

  terminate(): void {
    this.response.destroy();
  }

  async #collect(readable: ReadableStream<StreamEvent>): Promise<void> {
    for await (const event of readable) this.events.push(event);
  }
}
