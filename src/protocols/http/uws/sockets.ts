/**
 * The WebSocket side of a uWS listener: handshakes which the protocol accepts become sockets with
 * state, back-pressure and a close code. The engine sends pings and answers the peer's by itself.
 */

import { runHandler } from '../faults.ts';
import type { Refusal } from '../framing.ts';
import type {
  HttpRequest,
  ListenOptions,
  SendResult,
  Socket,
  UpgradeVerdict,
  WebSocketHandler,
} from '../port.ts';
import { offeredProtocols, refusedUpgrade } from '../upgrade-checks.ts';
import type { UwsExchange } from './exchange.ts';
import type {
  UwsContext,
  UwsRequest,
  UwsResponse,
  UwsWebSocket,
  UwsWebSocketBehavior,
} from './types.ts';

/** The engine takes 8 to 960 seconds. */
const idleSeconds = (wanted: number) => Math.min(960, Math.max(8, Math.ceil(wanted)));

const sendResults: readonly SendResult[] = ['buffered', 'sent', 'dropped'];
const CLOSED_ABNORMALLY = 1006;

/** What the sockets need of their listener: its guard and its way to refuse. */
export interface UpgradeGate {
  receive(res: UwsResponse, req: UwsRequest, method: string): UwsExchange | undefined;
  refuse(exchange: UwsExchange, refusal: Refusal): void;
}

export class SocketSide {
  open = 0;
  readonly #options: ListenOptions;
  readonly #handler: WebSocketHandler<unknown>;

  constructor(options: ListenOptions, handler: WebSocketHandler<unknown>) {
    this.#options = options;
    this.#handler = handler;
  }

  behavior(gate: UpgradeGate): UwsWebSocketBehavior {
    const { limits } = this.#options;
    return {
      maxPayloadLength: limits.messageBytesMax,
      idleTimeout: idleSeconds(limits.idleTimeoutSeconds),
      compression: 0,
      maxBackpressure: limits.socketBufferBytesMax,
      closeOnBackpressureLimit: false,
      sendPingsAutomatically: true,
      upgrade: (res, req, context) => this.#upgrade(gate, res, req, context),
      open: (ws) => this.#opened(ws),
      message: (ws, message, isBinary) => {
        const socket = socketOf(ws);
        this.#call(socket, () => this.#handler.message(socket, new Uint8Array(message), isBinary));
      },
      drain: (ws) => {
        const socket = socketOf(ws);
        this.#call(socket, () => this.#handler.drain(socket));
      },
      close: (ws, code) => this.#closed(socketOf(ws), code),
    };
  }

  #upgrade(gate: UpgradeGate, res: UwsResponse, req: UwsRequest, context: UwsContext): void {
    const exchange = gate.receive(res, req, 'GET');
    if (exchange === undefined) return;
    const refusal = refusedUpgrade(exchange.request, this.#options.allowedOrigins);
    if (refusal !== undefined) {
      gate.refuse(exchange, refusal);
      return;
    }
    // The socket outlives the response, from which alone the address can be had.
    exchange.request.keepAddress();
    runHandler(exchange, () => this.#ask(exchange, context), this.#options.onFault);
    exchange.leaveTurn();
  }

  #ask(exchange: UwsExchange, context: UwsContext): void | Promise<void> {
    const verdict = this.#handler.upgrade(exchange.request);
    if (!(verdict instanceof Promise)) return this.#obey(verdict, exchange, context);
    return verdict.then((later) => this.#obey(later, exchange, context));
  }

  #obey(verdict: UpgradeVerdict<unknown>, exchange: UwsExchange, context: UwsContext): void {
    if (verdict.kind === 'refuse') {
      exchange.reply(verdict.status, verdict.headers, verdict.body);
      return;
    }
    const { request } = exchange;
    const key = request.header('sec-websocket-key') ?? '';
    const socket = new UwsSocket(verdict.state, request.remoteAddress);
    exchange.upgrade({ socket }, key, agreedProtocol(request, verdict.protocol), context);
  }

  #opened(ws: UwsWebSocket): void {
    const socket = socketOf(ws);
    socket.opened(ws);
    this.open += 1;
    this.#call(socket, () => this.#handler.open(socket));
  }

  #closed(socket: UwsSocket, code: number): void {
    this.open -= 1;
    socket.markClosed();
    this.#call(socket, () => this.#handler.closed(socket, code));
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
  #ws: UwsWebSocket | undefined;

  constructor(state: unknown, remoteAddress: string) {
    this.state = state;
    this.remoteAddress = remoteAddress;
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

  opened(ws: UwsWebSocket): void {
    this.#ws = ws;
  }

  markClosed(): void {
    this.#ws = undefined;
  }
}

/** 20.30 copies the fields of the user's object, so a class would lose its methods there. */
function socketOf(ws: UwsWebSocket): UwsSocket {
  return ws.getUserData().socket as UwsSocket;
}

/** A protocol the client did not offer would make it fail the handshake [RFC6455 §4.1]. */
function agreedProtocol(request: HttpRequest, chosen: string | undefined): string {
  if (chosen === undefined) return '';
  const offered = offeredProtocols(request.header('sec-websocket-protocol'));
  return offered.includes(chosen) ? chosen : '';
}
