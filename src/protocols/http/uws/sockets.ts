/**
 * The WebSocket side of a uWS listener: handshakes which the protocol accepts become sockets with
 * state, back-pressure and a close code. The engine answers the peer's pings by itself; ours are
 * sent here, since it would end a slow reader that has not come to its ping within 16 seconds.
 */

import { LIMITS } from '../../../config/limits.ts';
import { runHandler } from '../faults.ts';
import type { Refusal } from '../framing.ts';
import type {
  Broadcast,
  HttpRequest,
  ListenOptions,
  SendResult,
  Socket,
  UpgradeVerdict,
  WebSocketHandler,
} from '../port.ts';
import { RequestCopy } from '../request-copy.ts';
import { SocketPulse } from '../socket-pulse.ts';
import { offeredProtocols, refusedUpgrade } from '../upgrade-checks.ts';
import type { UwsExchange } from './exchange.ts';
import { Relay } from './relay.ts';
import { Rounds } from './rounds.ts';
import type {
  UwsApp,
  UwsContext,
  UwsRequest,
  UwsResponse,
  UwsWebSocket,
  UwsWebSocketBehavior,
} from './types.ts';

const sendResults: readonly SendResult[] = ['buffered', 'sent', 'dropped'];
const CLOSED_ABNORMALLY = 1006;
/** What the engine says of a message that it cuts a socket for. */
const TOO_BIG = 'Received too big message';

/** What the sockets need of their listener: its guard and its way to refuse. */
export interface UpgradeGate {
  receive(res: UwsResponse, req: UwsRequest, method: string): UwsExchange | undefined;
  refuse(exchange: UwsExchange, refusal: Refusal): void;
}

/** What a socket tells: the protocol's handler, or the relay to an origin. */
type SocketEvents = Pick<WebSocketHandler<unknown>, 'open' | 'message' | 'drain'> & {
  closed(socket: Socket<unknown>, code: number, reason?: string): void;
};

export class SocketSide {
  open = 0;
  readonly #relays = new Set<Relay>();
  readonly #options: ListenOptions;
  readonly #handler: WebSocketHandler<unknown>;
  readonly #broadcast: Broadcast;
  readonly #rounds: Rounds<UwsSocket>;

  constructor(
    options: ListenOptions,
    handler: WebSocketHandler<unknown>,
    app: Pick<UwsApp, 'publish'>,
  ) {
    this.#options = options;
    this.#handler = handler;
    const halfIdleMs = (options.limits.idleTimeoutSeconds * 1000) / 2;
    this.#rounds = new Rounds(halfIdleMs, (socket) => socket.ping());
    this.#broadcast = {
      bufferBytesMax: options.limits.socketBufferBytesMax,
      send: (topic, message, binary) => void app.publish(topic, message, binary, false),
    };
  }

  behavior(gate: UpgradeGate): UwsWebSocketBehavior {
    const { limits } = this.#options;
    return {
      maxPayloadLength: limits.messageBytesMax,
      idleTimeout: 0,
      compression: 0,
      maxBackpressure: limits.socketBufferBytesMax,
      closeOnBackpressureLimit: false,
      sendPingsAutomatically: false,
      upgrade: (res, req, context) => this.#upgrade(gate, res, req, context),
      open: (ws) => this.#opened(ws),
      message: (ws, message, isBinary) => {
        const socket = socketOf(ws);
        socket.pulse.heard();
        this.#call(socket, () => socket.events.message(socket, new Uint8Array(message), isBinary));
      },
      drain: (ws) => {
        const socket = socketOf(ws);
        socket.pulse.drained();
        this.#call(socket, () => socket.events.drain(socket));
      },
      ping: (ws) => socketOf(ws).pulse.heard(),
      pong: (ws) => socketOf(ws).pulse.ponged(),
      close: (ws, code, reason) => this.#closed(socketOf(ws), code, reason),
    };
  }

  /** Sockets of origins are told that the node stops; the protocol tells its own. */
  stop(): void {
    this.#rounds.stop();
    for (const relay of this.#relays) relay.stop();
  }

  #upgrade(gate: UpgradeGate, res: UwsResponse, req: UwsRequest, context: UwsContext): void {
    const exchange = gate.receive(res, req, 'GET');
    if (exchange === undefined) return;
    const isJudged = this.#handler.leavesOriginTo?.(exchange.request) !== true;
    const allowed = isJudged ? this.#options.allowedOrigins : undefined;
    const refusal = refusedUpgrade(exchange.request, allowed);
    if (refusal !== undefined) {
      gate.refuse(exchange, refusal);
      return;
    }
    // The socket outlives the response, from which alone the address can be had.
    exchange.request.keepAddress();
    runHandler(exchange, () => this.#ask(gate, exchange, context), this.#options.onFault);
    exchange.leaveTurn();
  }

  #ask(gate: UpgradeGate, exchange: UwsExchange, context: UwsContext): void | Promise<void> {
    const verdict = this.#handler.upgrade(withoutExtensions(exchange.request));
    const obey = (given: UpgradeVerdict<unknown>) => this.#obey(given, gate, exchange, context);
    return verdict instanceof Promise ? verdict.then(obey) : obey(verdict);
  }

  #obey(
    verdict: UpgradeVerdict<unknown>,
    gate: UpgradeGate,
    exchange: UwsExchange,
    context: UwsContext,
  ): void {
    if (verdict.kind === 'refuse') {
      exchange.reply(verdict.status, verdict.headers, verdict.body);
      return;
    }
    const refusal = exchange.aborted ? undefined : this.#notAdmitted(exchange);
    if (refusal !== undefined || exchange.aborted) {
      if (verdict.kind === 'tunnel') verdict.origin.destroy();
      if (refusal !== undefined) gate.refuse(exchange, refusal);
      return;
    }
    if (verdict.kind === 'tunnel') {
      this.#relay(verdict, exchange, context);
      return;
    }
    const { request } = exchange;
    const key = request.header('sec-websocket-key') ?? '';
    const socket = new UwsSocket(
      verdict.state,
      request.remoteAddress,
      this.#handler,
      this.#broadcast,
    );
    const protocol = agreedProtocol(request, verdict.protocol);
    exchange.upgrade({ socket }, { key, protocol, headers: [] }, context);
  }

  /** Counts the socket; `#closed`, which follows every upgrade, counts it out again. */
  #notAdmitted({ request }: UwsExchange): Refusal | undefined {
    return this.#options.admission?.enter(request.remoteAddress);
  }

  #relay(
    { origin, headers }: UpgradeVerdict<unknown> & { kind: 'tunnel' },
    exchange: UwsExchange,
    context: UwsContext,
  ): void {
    if (exchange.aborted) {
      origin.destroy();
      return;
    }
    const { request } = exchange;
    const { socketBufferBytesMax } = this.#options.limits;
    const limits = { messageMax: LIMITS.tunnelMessageBytesMax, bufferMax: socketBufferBytesMax };
    const relay = new Relay(origin, limits);
    this.#relays.add(relay);
    origin.once('close', () => this.#relays.delete(relay));
    const socket = new UwsSocket(undefined, request.remoteAddress, relay);
    const key = request.header('sec-websocket-key') ?? '';
    const chosen = fieldIn(headers, 'sec-websocket-protocol');
    const told = headers.filter((_, i) => !OWN_FIELDS.has(headers[i - (i % 2)] ?? ''));
    const protocol = agreedProtocol(request, chosen);
    try {
      exchange.upgrade({ socket }, { key, protocol, headers: told }, context);
    } catch (error) {
      origin.destroy();
      throw error;
    }
  }

  #opened(ws: UwsWebSocket): void {
    const socket = socketOf(ws);
    socket.opened(ws, this.#rounds.join(socket));
    this.open += 1;
    this.#call(socket, () => socket.events.open(socket));
  }

  #closed(socket: UwsSocket, code: number, reason: ArrayBuffer): void {
    this.open -= 1;
    this.#options.admission?.leave(socket.remoteAddress);
    this.#rounds.leave(socket, socket.place);
    socket.markClosed();
    const text = Buffer.from(reason).toString();
    if (text === TOO_BIG) this.#options.onRefused?.('messageBytesMax');
    this.#call(socket, () => socket.events.closed(socket, code, text));
  }

  /** An exception in an engine callback would abort the process. */
  #call(socket: UwsSocket, fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#options.onFault?.(error, { method: 'WEBSOCKET', path: '' });
      socket.close(1011, 'internal error');
    }
  }
}

class UwsSocket implements Socket<unknown> {
  readonly state: unknown;
  readonly remoteAddress: string;
  readonly events: SocketEvents;
  readonly broadcast: Broadcast | undefined;
  readonly pulse = new SocketPulse();
  /** In the rounds of pings. */
  place = -1;
  #ws: UwsWebSocket | undefined;

  constructor(state: unknown, remoteAddress: string, events: SocketEvents, broadcast?: Broadcast) {
    this.state = state;
    this.remoteAddress = remoteAddress;
    this.events = events;
    this.broadcast = broadcast;
  }

  get closed(): boolean {
    return this.#ws === undefined;
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  send(message: string | Uint8Array, binary = typeof message !== 'string'): SendResult {
    if (this.#ws === undefined) return 'dropped';
    return sendResults[this.#ws.send(message, binary, false)] ?? 'dropped';
  }

  cork(fn: () => void): void {
    if (this.#ws === undefined) fn();
    else this.#ws.cork(fn);
  }

  join(topic: string): void {
    this.#ws?.subscribe(topic);
  }

  /** 20.30 forgets what was published this turn to one that leaves: a ping lets it go out first. */
  leave(topic: string): void {
    this.#ws?.ping();
    this.#ws?.unsubscribe(topic);
  }

  close(code: number, reason: string): void {
    const ws = this.#ws;
    // Forgotten first: the engine may call `close` back before `end` returns.
    this.#ws = undefined;
    if (code === CLOSED_ABNORMALLY) ws?.close();
    else ws?.end(code, reason);
  }

  terminate(): void {
    const ws = this.#ws;
    this.#ws = undefined;
    ws?.close();
  }

  opened(ws: UwsWebSocket, place: number): void {
    this.#ws = ws;
    this.place = place;
  }

  /** Ends a peer that is silent. */
  ping(): void {
    if (!this.pulse.mayGoOn(this.bufferedBytes)) this.terminate();
    else this.#ws?.ping();
  }

  markClosed(): void {
    this.#ws = undefined;
  }
}

/** 20.30 copies the fields of the user's object, so a class would lose its methods there. */
function socketOf(ws: UwsWebSocket): UwsSocket {
  return ws.getUserData().socket as UwsSocket;
}

/** Written by the engine, or not agreed here. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
]);

/** Frames are not seen here, so that no extension could be passed on. */
function withoutExtensions(request: RequestCopy): HttpRequest {
  const { method, path, query, fields } = request;
  const kept = fields.filter((_, i) => fields[i - (i % 2)] !== 'sec-websocket-extensions');
  const copy = new RequestCopy(method, path, query, kept);
  copy.peer = { peerAddress: request.remoteAddress };
  copy.toldScheme = request.toldScheme;
  return copy;
}

function fieldIn(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text === name);
  return at < 0 ? undefined : headers[at + 1];
}

/** A protocol the client did not offer would make it fail the handshake [RFC6455 §4.1]. */
function agreedProtocol(request: HttpRequest, chosen: string | undefined): string {
  if (chosen === undefined) return '';
  const offered = offeredProtocols(request.header('sec-websocket-protocol'));
  return offered.includes(chosen) ? chosen : '';
}
