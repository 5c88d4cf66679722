/**
 * Origin kind `websocket`: a live feed of JSON messages over a WebSocket, alone or as the `feed` of
 * an `http` origin.
 *
 *   kind: websocket
 *   url: wss://feed.example.com/flights
 *   send: { subscribe: flights }       # said once the connection is open
 *   feed: { id: $.flightId, value: $.state, event: put }
 *
 * Messages become changes by the places that `feed` names, as events of the kind `sse` do. Nothing
 * is read from the socket while the store is behind. A silent peer is asked for a sign of life
 * after half of `idle`, and given up after all of it.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  defineOriginKind,
  type FeedContext,
  type FeedEvent,
  type FeedMapping,
  feedEventOf,
  type KindServices,
  type KindSettings,
  type OriginDefinition,
} from 'millrace';
import { WebSocket } from 'ws';
import { jsonOr, nothingToFetch } from './feed-only.ts';

export const kind = defineOriginKind({ name: 'websocket', open: openWebSocket });

const IDLE_MS = 60_000;
/** Messages that may wait for the store before the socket is left unread. */
const WAITING_MAX = 64;
/** A stream which says nothing about its shape is of whole records. */
const PLAIN: FeedMapping = { id: ['id'], value: [], event: { kind: 'fixed', event: 'put' } };

function openWebSocket(settings: KindSettings, services: KindServices): OriginDefinition {
  const url = urlOf(settings);
  const mapping = settings.feed ?? PLAIN;
  return {
    get: (_, context) => nothingToFetch(settings.name, context),
    subscribe: (context) => follow(url, settings, services, mapping, context),
  };
}

function urlOf({ name, url, feed }: KindSettings): URL {
  const path = feed?.path ?? '';
  const written = URL.canParse(path) ? path : url;
  if (written === undefined) {
    throw new Error(`origin ${name} needs an url, such as wss://feed.example.com`);
  }
  const whole = new URL(written);
  if (path !== '' && written !== path) {
    const [pathname = '', query] = path.split('?', 2);
    whole.pathname = `${whole.pathname.replace(/\/$/, '')}/${pathname.replace(/^\//, '')}`;
    if (query !== undefined) whole.search = query;
  }
  whole.protocol = whole.protocol.replace(/^http/, 'ws');
  return whole;
}

async function* follow(
  url: URL,
  settings: KindSettings,
  services: KindServices,
  mapping: FeedMapping,
  context: FeedContext,
): AsyncGenerator<FeedEvent> {
  const options = { ...settings.options, ...settings.feed?.options };
  const idleMs = typeof options.idle === 'number' ? options.idle : IDLE_MS;
  const connection = await dial(url, services, context.signal);
  const socket = new WebSocket(url, {
    headers: { 'user-agent': 'millrace', ...settings.headers },
    handshakeTimeout: settings.timeoutMs,
    maxPayload: settings.bodyMax,
    perMessageDeflate: false,
    createConnection: () => connection,
  });
  const inbox = new Inbox(socket, idleMs, services);
  const leave = () => socket.terminate();
  context.signal.addEventListener('abort', leave, { once: true });
  try {
    await inbox.opened();
    if (options.send !== undefined) for (const text of textsOf(options.send)) socket.send(text);
    context.connected();
    for (;;) {
      const text = await inbox.next();
      if (text === undefined) return;
      const content = jsonOr(text);
      const event = feedEventOf(mapping, { name: 'message', content, position: undefined });
      if (event !== undefined) yield event;
    }
  } finally {
    context.signal.removeEventListener('abort', leave);
    inbox.close();
  }
}

/** A connection that the address guard let through. */
async function dial(url: URL, services: KindServices, signal: AbortSignal): Promise<Socket> {
  const { protocol, hostname: host } = url;
  const isTls = protocol === 'wss:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const tls = isTls ? { tls: { ALPNProtocols: ['http/1.1'] } } : {};
  const socket = services.connectSocket({ host, port, ...tls });
  // The WebSocket listens only later; what fails in between ends its handshake.
  socket.on('error', () => {});
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal });
    if (socket.destroyed) throw socket.errored ?? new Error('the connection was closed at once');
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** What `send` says: text as it is, anything else as JSON, a list one after the other. */
const textsOf = (send: unknown): readonly string[] =>
  (Array.isArray(send) ? send : [send]).map((one) =>
    typeof one === 'string' ? one : JSON.stringify(one),
  );

/** The messages of a socket in order; the socket is paused while too many wait. */
class Inbox {
  readonly #socket: WebSocket;
  readonly #waiting: string[] = [];
  readonly #idleMs: number;
  readonly #services: KindServices;
  #failure: Error | undefined;
  #ended = false;
  #isPaused = false;
  #wake: () => void = () => {};
  #stop: () => void = () => {};

  constructor(socket: WebSocket, idleMs: number, services: KindServices) {
    this.#socket = socket;
    this.#idleMs = idleMs;
    this.#services = services;
    socket.on('message', (message) => this.#arrived(String(message)));
    socket.on('open', () => this.#alive());
    socket.on('ping', () => this.#alive());
    socket.on('pong', () => this.#alive());
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(undefined));
  }

  async opened(): Promise<void> {
    while (this.#socket.readyState === WebSocket.CONNECTING && !this.#ended) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** `undefined` when the peer closed the connection. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const text = this.#waiting.shift();
      if (text !== undefined) return text;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      if (this.#isPaused) {
        this.#isPaused = false;
        this.#socket.resume();
        this.#alive();
      }
      await this.#change();
    }
  }

  close(): void {
    this.#stop();
    this.#socket.terminate();
  }

  #arrived(text: string): void {
    this.#waiting.push(text);
    this.#alive();
    if (this.#waiting.length < WAITING_MAX || this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
    // Of a socket that is not read no sign of life can come.
    this.#stop();
  }

  #end(failure: Error | undefined): void {
    this.#failure ??= failure;
    this.#ended = true;
    this.#stop();
    this.#wake();
  }

  #alive(): void {
    this.#stop();
    this.#wake();
    if (this.#idleMs === 0 || this.#isPaused || this.#ended) return;
    const half = this.#idleMs / 2;
    this.#stop = this.#services.after(half, () => {
      this.#socket.ping();
      this.#stop = this.#services.after(half, () => {
        this.#end(new Error(`the WebSocket was silent for ${this.#idleMs} ms`));
      });
    });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
