/**
 * The WebSocket side of a node:http listener, on `ws`, with the same rules as the uWS side:
 * handshakes checked first, a bounded send buffer, silent peers pinged and then dropped.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { asNodeError } from '../../../base/errors.ts';
import { refusalLimit } from '../faults.ts';
import { checkHeaders } from '../header-safety.ts';
import type {
  HttpRequest,
  ListenOptions,
  SendResult,
  Socket,
  UpgradeVerdict,
  WebSocketHandler,
} from '../port.ts';
import { SocketPulse } from '../socket-pulse.ts';
import { offeredProtocols, refusedUpgrade } from '../upgrade-checks.ts';
import { writeBareRefusal, writeBareReply } from './bare-reply.ts';
import { joinConnections } from './tunnel.ts';

const CLOSED_ABNORMALLY = 1006;

export class SocketSide {
  readonly #options: ListenOptions;
  readonly #handler: WebSocketHandler<unknown>;
  readonly #server: WebSocketServer;
  readonly #open = new Set<NodeSocket>();
  readonly #tunnels = new Set<Duplex>();
  readonly #chosen = new WeakMap<IncomingMessage, string>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: ListenOptions, handler: WebSocketHandler<unknown>) {
    this.#options = options;
    this.#handler = handler;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.limits.messageBytesMax,
      handleProtocols: (_, message) => this.#chosen.get(message) ?? false,
    });
    const halfIdleMs = (options.limits.idleTimeoutSeconds * 1000) / 2;
    this.#timer = setInterval(() => this.#sweep(), halfIdleMs);
    this.#timer.unref();
  }

  /** Answers the handshake; `request` has passed the framing guard. */
  upgrade(message: IncomingMessage, socket: Duplex, head: Buffer, request: HttpRequest): void {
    const isJudged = this.#handler.leavesOriginTo?.(request) !== true;
    const refusal = refusedUpgrade(request, isJudged ? this.#options.allowedOrigins : undefined);
    if (refusal !== undefined) {
      this.#options.onRefused?.(refusalLimit(refusal));
      writeBareRefusal(socket, refusal);
      return;
    }
    const obey = (verdict: UpgradeVerdict<unknown>) => {
      if (verdict.kind === 'accept') this.#accept(message, socket, head, request, verdict);
      else if (verdict.kind === 'tunnel') this.#join(socket, head, verdict);
      else this.#refuse(socket, verdict);
    };
    const fail = (error: unknown) => this.#fail(socket, error, request);
    try {
      const verdict = this.#handler.upgrade(request);
      if (verdict instanceof Promise) verdict.then(obey).catch(fail);
      else obey(verdict);
    } catch (error) {
      fail(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#open) socket.terminate();
    for (const origin of this.#tunnels) origin.destroy();
  }

  #join(socket: Duplex, head: Buffer, verdict: UpgradeVerdict<unknown> & { kind: 'tunnel' }): void {
    const { origin, headers } = verdict;
    if (socket.destroyed || origin.destroyed) {
      origin.destroy();
      socket.destroy();
      return;
    }
    this.#tunnels.add(origin);
    origin.once('close', () => this.#tunnels.delete(origin));
    try {
      joinConnections(socket, head, origin, headers);
    } catch (error) {
      origin.destroy();
      throw error;
    }
  }

  #accept(
    message: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    request: HttpRequest,
    verdict: UpgradeVerdict<unknown> & { kind: 'accept' },
  ): void {
    if (socket.destroyed) return;
    const offered = offeredProtocols(request.header('sec-websocket-protocol'));
    // A protocol the client did not offer would make it fail the handshake [RFC6455 §4.1].
    if (verdict.protocol !== undefined && offered.includes(verdict.protocol)) {
      this.#chosen.set(message, verdict.protocol);
    }
    this.#server.handleUpgrade(message, socket, head, (ws) =>
      this.#opened(new NodeSocket(ws, verdict.state, request.remoteAddress, this.#bufferMax())),
    );
  }

  #bufferMax(): number {
    return this.#options.limits.socketBufferBytesMax;
  }

  #opened(socket: NodeSocket): void {
    this.#open.add(socket);
    socket.listen({
      message: (bytes, binary) =>
        this.#call(socket, () => this.#handler.message(socket, bytes, binary)),
      drain: () => this.#call(socket, () => this.#handler.drain(socket)),
      tooBig: () => this.#options.onRefused?.('messageBytesMax'),
      closed: (code) => {
        this.#open.delete(socket);
        this.#call(socket, () => this.#handler.closed(socket, code));
      },
    });
    this.#call(socket, () => this.#handler.open(socket));
  }

  #refuse(socket: Duplex, verdict: UpgradeVerdict<unknown> & { kind: 'refuse' }): void {
    checkHeaders(verdict.headers);
    writeBareReply(socket, verdict.status, verdict.headers, verdict.body ?? '');
  }

  #fail(socket: Duplex, error: unknown, request: HttpRequest): void {
    const known = asNodeError(error);
    if (known.blame !== 'client') this.#options.onFault?.(error, request);
    writeBareRefusal(socket, { code: known.code, detail: known.message });
  }

  #call(socket: NodeSocket, fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#options.onFault?.(error, { method: 'WEBSOCKET', path: '' });
      socket.close(1011, 'internal error');
    }
  }

  #sweep(): void {
    for (const socket of this.#open) socket.ping();
  }
}

/** What the library calls a message beyond `maxPayload`. */
const TOO_BIG = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';

interface SocketEvents {
  message(bytes: Uint8Array, binary: boolean): void;
  drain(): void;
  /** A message beyond its limit, for which the socket is closed. */
  tooBig(): void;
  closed(code: number): void;
}

class NodeSocket implements Socket<unknown> {
  readonly state: unknown;
  readonly remoteAddress: string;
  readonly #ws: WebSocket;
  readonly #bufferMax: number;
  readonly #pulse = new SocketPulse();
  #closed = false;
  #waits = false;
  #drained: (() => void) | undefined;

  constructor(ws: WebSocket, state: unknown, remoteAddress: string, bufferMax: number) {
    this.#ws = ws;
    this.state = state;
    this.remoteAddress = remoteAddress;
    this.#bufferMax = bufferMax;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get bufferedBytes(): number {
    return this.#closed ? 0 : this.#ws.bufferedAmount;
  }

  listen(events: SocketEvents): void {
    const ws = this.#ws;
    this.#drained = () => events.drain();
    ws.on('message', (message: RawData, isBinary: boolean) => {
      this.#pulse.heard();
      if (this.#closed) return;
      events.message(message as Buffer, isBinary);
    });
    ws.on('pong', () => this.#pulse.ponged());
    ws.on('ping', () => this.#pulse.heard());
    // A protocol error closes the socket by itself, with the right code.
    ws.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === TOO_BIG) events.tooBig();
    });
    ws.on('close', (code) => {
      this.#closed = true;
      events.closed(code);
    });
  }

  send(message: string | Uint8Array, binary = typeof message !== 'string'): SendResult {
    if (this.#closed) return 'dropped';
    if (this.#ws.bufferedAmount > this.#bufferMax) return 'dropped';
    // Copied: what cannot be sent at once is kept by Node, and the view is the caller's.
    const bytes = typeof message === 'string' ? message : Buffer.from(message);
    this.#ws.send(bytes, { binary }, () => this.#flushed());
    if (this.#ws.bufferedAmount === 0) return 'sent';
    this.#waits = true;
    return 'buffered';
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (code === CLOSED_ABNORMALLY) this.#ws.terminate();
    else this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#closed = true;
    this.#ws.terminate();
  }

  /** Ends a peer that is silent. */
  ping(): void {
    if (!this.#pulse.mayGoOn(this.bufferedBytes)) this.#ws.terminate();
    else if (!this.#closed) this.#ws.ping();
  }

  #flushed(): void {
    if (!this.#waits || this.#closed || this.#ws.bufferedAmount > 0) return;
    this.#waits = false;
    this.#pulse.drained();
    this.#drained?.();
  }
}
