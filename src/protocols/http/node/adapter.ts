/**
 * The HTTP port on node:http (node:https with TLS): slower than uWS by half, stricter in parsing,
 * at home on every platform. It takes chunked uploads and 16 KiB of request head.
 *
 * Never with `insecureHTTPParser`. A refused request poisons its connection: what was pipelined
 * behind it has been parsed already and must not be executed.
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket as NetSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket, TlsOptions, Server as TlsServer } from 'node:tls';
import { problemFields, refusalBody, refusalLimit, refusalStatus, runHandler } from '../faults.ts';
import { type FramingRules, hostsOf, inspectHead, type Refusal } from '../framing.ts';
import type { Listen, Listener, ListenOptions } from '../port.ts';
import { listenError } from '../port-probe.ts';
import { unmapped } from '../remote-address.ts';
import { RequestCopy } from '../request-copy.ts';
import { isServed, parseTarget, withAuthority } from '../target.ts';
import { wantsWebSocket } from '../upgrade-checks.ts';
import { writeBareRefusal } from './bare-reply.ts';
import { type ExchangeTerms, NodeExchange } from './exchange.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { Http2Side } from './http2-server.ts';
import { SocketPeer } from './peer.ts';
import { SocketSide } from './sockets.ts';

const TIMEOUT_CHECK_MS = 2_000;
/** Longer, and those who are turned away would hold what is short. */
const TURNED_AWAY_MS = 100;
const tooFarAhead: Refusal = {
  code: 'TOO_MANY_REQUESTS',
  detail: 'too many requests were sent ahead on one connection (limits.pipelinedRequestsMax)',
  limit: 'pipelinedRequestsMax',
};
const noTunnels: Refusal = {
  code: 'REQUEST_MALFORMED',
  status: 501,
  detail: 'this is no proxy: CONNECT opens nothing here',
};
const notSecured: Refusal = {
  code: 'HOST_REFUSED',
  detail: 'https URLs are not served over a connection without TLS',
};

/** `reusePort` came with Node 22.12 and 23.1, and means balancing on Linux only. */
export function nodeSharesPorts(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const known = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
  return known && process.platform === 'linux';
}

/** The `listen` of this engine. */
export const nodeListen: Listen = async (options) => {
  const listener = new NodeListener(options);
  await listener.start();
  return listener;
};

class NodeListener implements Listener {
  readonly engine = 'node';
  port = 0;
  readonly #options: ListenOptions;
  readonly #rules: FramingRules;
  readonly #server: Server;
  readonly #sockets: SocketSide | undefined;
  readonly #http2: Http2Side | undefined;
  readonly #refused = new WeakSet<Duplex>();
  readonly #connections = new Set<NetSocket>();
  readonly #answering = new WeakMap<Duplex, number>();
  draining = false;
  openExchanges = 0;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#rules = {
      ...{ ...options.limits, chunkedUploads: true, expectations: true },
      allowedHosts: hostsOf(options.allowedHosts),
    };
    this.#server = makeServer(options);
    if (options.tls !== undefined && options.http2 !== false) this.#http2 = this.#speakHttp2();
    this.#server.on('connection', (socket) => this.#connected(socket));
    this.#server.on('request', (message, response) => this.#serve(message, response));
    // Otherwise node itself asks for every body, also for those that will be refused.
    this.#server.on('checkContinue', (message, response) => this.#serve(message, response));
    // Nor is an expectation of another kind its own to answer: it would go on with what follows.
    this.#server.on('checkExpectation', (message, response) => this.#serve(message, response));
    this.#server.on('clientError', (error, socket) => this.#unparsable(error, socket));
    this.#server.on('connect', (_, socket) => this.#refuseBare(socket, noTunnels));
    if (options.webSocket === undefined) return;
    this.#sockets = new SocketSide(options, options.webSocket);
    this.#server.on('upgrade', (message, socket, head) => this.#guarded(message, socket, head));
  }

  get connections(): number {
    return this.#connections.size;
  }

  async start(): Promise<void> {
    const { host, port, shared } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(error, host, port)));
      const reusePort = shared && nodeSharesPorts();
      this.#server.listen({ host, port, exclusive: !shared, reusePort }, resolve);
    });
    // Accept errors (out of descriptors) must not end the process.
    this.#server.on('error', () => this.#limitHit('descriptorsReserved'));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  stopAccepting(): void {
    this.draining = true;
    this.#server.close();
    this.#http2?.stopAccepting();
    this.#server.closeIdleConnections();
  }

  async close(): Promise<void> {
    this.stopAccepting();
    this.#sockets?.close();
    for (const socket of this.#connections) socket.destroy();
  }

  /** Both versions on one port: the handshake says which [RFC7301]. */
  #speakHttp2(): Http2Side {
    const side = new Http2Side({
      limits: this.#options.limits,
      serve: (stream, request) => this.#serveStream(stream, request),
      limitHit: (limit) => this.#limitHit(limit),
    });
    const others = this.#server.listeners('secureConnection');
    this.#server.removeAllListeners('secureConnection');
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.alpnProtocol === 'h2') side.take(socket);
      else for (const listener of others) listener.call(this.#server, socket);
    });
    return side;
  }

  #serveStream(stream: ServerHttp2Stream, request: RequestCopy): void {
    const { limits, admission, handler, onFault } = this.#options;
    this.openExchanges += 1;
    stream.once('close', () => {
      this.openExchanges -= 1;
    });
    const exchange = new Http2Exchange(stream, request, this.#terms(request));
    const toTheEnd = request.bodyFraming;
    request.trust = admission?.trust;
    const refusal =
      this.#inspect(request, request.path.length + request.query.length, true) ??
      (admission?.asksRequests === true ? admission.request(request) : undefined);
    if (refusal !== undefined) {
      this.#limitHit(refusalLimit(refusal));
      const headers = [...problemFields, ...(refusal.headers ?? [])];
      exchange.reply(refusalStatus(refusal), headers, refusalBody(refusal));
      return;
    }
    if (request.bodyFraming === 0) request.bodyFraming = toTheEnd;
    if (toTheEnd !== 0) exchange.limitUpload(limits.bodyGraceSeconds, limits.bodyBytesPerSecondMin);
    runHandler(exchange, handler, onFault);
  }

  #terms(request: RequestCopy): ExchangeTerms {
    return {
      stallMs: this.#options.limits.idleTimeoutSeconds * 1000,
      connections: this,
      fault: (error) => this.#options.onFault?.(error, request),
      limitHit: (limit) => this.#limitHit(limit),
      denied: (asked, what) => this.#options.onDenied?.(asked, what),
    };
  }

  #connected(socket: NetSocket): void {
    const { admission } = this.#options;
    const address = unmapped(socket.remoteAddress);
    const refusal = admission?.enter(address);
    if (refusal !== undefined) {
      this.#turnAway(socket, refusal);
      return;
    }
    this.#connections.add(socket);
    socket.once('close', () => {
      this.#connections.delete(socket);
      admission?.leave(address);
    });
  }

  /** Nothing that comes over this connection is executed. */
  #turnAway(socket: NetSocket, refusal: Refusal): void {
    this.#limitHit(refusalLimit(refusal));
    this.#refused.add(socket);
    socket.on('error', () => socket.destroy());
    // Under TLS there is nobody yet who could read an answer.
    if (this.#options.tls === undefined) writeBareRefusal(socket, refusal, TURNED_AWAY_MS);
    else socket.destroy();
  }

  #limitHit(limit: string): void {
    this.#options.onRefused?.(limit);
  }

  #serve(message: IncomingMessage, response: ServerResponse): void {
    // Parsed out of the bytes behind a refused head.
    if (this.#refused.has(message.socket)) return;
    const request = copyRequest(message);
    this.#begin(message.socket, response);
    const exchange = new NodeExchange(message, response, request, this.#terms(request));
    const refusal = this.#inspectMessage(message, request) ?? this.#notAdmitted(message, request);
    if (refusal !== undefined) this.#refuse(exchange, message, refusal);
    const { bodyGraceSeconds, bodyBytesPerSecondMin } = this.#options.limits;
    if (request.bodyFraming !== 0) exchange.limitUpload(bodyGraceSeconds, bodyBytesPerSecondMin);
    if (refusal === undefined) runHandler(exchange, this.#options.handler, this.#options.onFault);
  }

  /** Counts answers under way, so that none is mixed with the refusal of a later request. */
  #begin(socket: NetSocket, response: ServerResponse): void {
    const before = this.#answering.get(socket) ?? 0;
    this.openExchanges += 1;
    this.#answering.set(socket, before + 1);
    response.once('close', () => {
      this.openExchanges -= 1;
      this.#answering.set(socket, (this.#answering.get(socket) ?? 1) - 1);
    });
    if (before > 0) closeWith(socket, response);
  }

  #inspectMessage(message: IncomingMessage, request: RequestCopy): Refusal | undefined {
    const { url = '' } = message;
    const isSecured = this.#options.tls !== undefined;
    // [RFC9110 §7.4] Unless it comes from who is trusted to have ended TLS.
    if (!isSecured && /^https:/i.test(url) && !this.#isTrusted(message)) return notSecured;
    return this.#inspect(request, url.length, isOld(message));
  }

  #isTrusted({ socket }: IncomingMessage): boolean {
    return this.#options.admission?.trust?.trusts(unmapped(socket.remoteAddress)) === true;
  }

  #inspect(request: RequestCopy, urlBytes: number, hostOptional: boolean): Refusal | undefined {
    if (!isServed(request.method, request.path)) {
      const detail = 'the request target must be a path, or an http URL with host and path';
      return { code: 'REQUEST_MALFORMED', detail };
    }
    const head = {
      method: request.method,
      urlBytes,
      fields: request.fields,
      hostOptional,
    };
    const framing = inspectHead(head, this.#rules);
    if (typeof framing !== 'number') return framing;
    request.bodyFraming = framing;
    return undefined;
  }

  #notAdmitted(message: IncomingMessage, request: RequestCopy): Refusal | undefined {
    const { admission, limits } = this.#options;
    if ((this.#answering.get(message.socket) ?? 0) > limits.pipelinedRequestsMax)
      return tooFarAhead;
    if (admission === undefined) return undefined;
    request.trust = admission.trust;
    return admission.asksRequests ? admission.request(request) : undefined;
  }

  #refuse(exchange: NodeExchange, message: IncomingMessage, refusal: Refusal): void {
    this.#options.onRefused?.(refusalLimit(refusal));
    this.#refused.add(message.socket);
    exchange.closeAfterReply();
    const headers = [...problemFields, ...(refusal.headers ?? [])];
    exchange.reply(refusalStatus(refusal), headers, refusalBody(refusal));
  }

  /** What goes wrong here is nobody's answer yet, and must not end the process. */
  #guarded(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    try {
      this.#upgrade(message, socket, head);
    } catch (error) {
      this.#options.onFault?.(error, copyRequest(message));
      socket.destroy();
    }
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (this.#refused.has(socket)) return;
    // [RFC9110 §7.8] Answers to what came before go first, and Node has let go of the connection
    // that they were to go over: what is written now would stand in the midst of them.
    if ((this.#answering.get(socket) ?? 0) > 0) {
      this.#limitHit('requestFraming');
      socket.destroy();
      return;
    }
    if (!wantsWebSocket(message.headers.upgrade)) {
      this.#serveWithoutUpgrade(message, socket);
      return;
    }
    const request = copyRequest(message);
    const refusal = this.#inspectMessage(message, request) ?? this.#notAdmitted(message, request);
    if (refusal === undefined) this.#sockets?.upgrade(message, socket, head, request);
    else writeBareRefusal(socket, refusal);
  }

  /**
   * An upgrade to something else (h2c) is ignored, as RFC 9110 §7.8 allows. Node has let go of the
   * connection by now, so it ends with this answer.
   */
  #serveWithoutUpgrade(message: IncomingMessage, socket: Duplex): void {
    const response = new ServerResponse(message);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as NetSocket);
    response.once('finish', () => socket.end());
    this.#serve(message, response);
  }

  /** The parser gave up; there is no request to answer, only a connection. */
  #unparsable(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET') socket.destroy();
    this.#refuseBare(socket, refusalOf(error));
  }

  /** Of answers under way and after another refusal none can follow: then it is only the end. */
  #refuseBare(socket: Duplex, refusal: Refusal): void {
    this.#limitHit(refusalLimit(refusal));
    const busy = (this.#answering.get(socket) ?? 0) > 0;
    if (!socket.writable || busy || this.#refused.has(socket)) {
      socket.destroy();
      return;
    }
    this.#refused.add(socket);
    socket.on('error', () => socket.destroy());
    writeBareRefusal(socket, refusal);
  }
}

/**
 * Of the answers on a connection that ends Node tells only the one which has its turn; those that
 * wait behind it would be under way for ever, with all that they follow.
 */
function closeWith(socket: NetSocket, response: ServerResponse): void {
  const close = (): void => {
    response.destroy();
    if (response.socket === null) response.emit('close');
  };
  socket.once('close', close);
  response.once('close', () => socket.off('close', close));
}

function makeServer(options: ListenOptions): Server {
  const { limits, tls } = options;
  const settings = {
    maxHeaderSize: limits.headBytesMax,
    headersTimeout: limits.headerTimeoutSeconds * 1000,
    // Bodies have their own limit, since one that is streamed may take as long as it moves.
    requestTimeout: 0,
    keepAliveTimeout: limits.idleTimeoutSeconds * 1000,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    noDelay: true,
    // The guard asks for it: Node itself would go on with what is pipelined behind such a head.
    requireHostHeader: false,
  };
  const server =
    tls === undefined
      ? createServer(settings)
      : createTlsServer({ ...settings, ...tls.serverOptions(), ...handshake(options) });
  tls?.attach(server as TlsServer);
  // All are to be counted, or a field could hide behind the last that was.
  server.maxHeadersCount = 0;
  if (options.admission === undefined) server.maxConnections = limits.connectionsMax;
  return server;
}

/** A hello that does not come, or not whole, holds a connection no longer than a head may. */
function handshake({ limits, http2 }: ListenOptions): TlsOptions {
  const ALPNProtocols = http2 === false ? ['http/1.1'] : ['h2', 'http/1.1'];
  return { handshakeTimeout: limits.headerTimeoutSeconds * 1000, ALPNProtocols };
}

/** HTTP/1.0, where a Host may be absent. */
const isOld = (message: IncomingMessage): boolean => message.httpVersion === '1.0';

function copyRequest(message: IncomingMessage): RequestCopy {
  const { method = '', url = '' } = message;
  const { path, query, authority } = parseTarget(method, url);
  const told = message.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
  const fields = authority === undefined ? told : withAuthority(told, authority, isOld(message));
  const request = new RequestCopy(method, path, query, fields);
  request.peer = new SocketPeer(message.socket);
  return request;
}

const TOO_LATE = new Set(['ERR_HTTP_REQUEST_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT']);

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return {
      code: 'HEADERS_TOO_LARGE',
      detail: 'the request head is too large',
      limit: 'headBytesMax',
    };
  }
  if (TOO_LATE.has(error.code ?? '')) {
    return {
      code: 'REQUEST_MALFORMED',
      status: 408,
      detail: 'the request took too long to arrive',
      limit: 'headerTimeoutSeconds',
    };
  }
  return { code: 'REQUEST_MALFORMED', detail: 'the request is not well-formed HTTP/1.1' };
}
