/**
 * MQTT over TCP and TLS [MQTT5 §4.2]. A socket is a channel: paused while its packets wait, and
 * said to be full when the kernel and Node's own buffer have taken as much as they should.
 */
import net from 'node:net';
import tls from 'node:tls';
import type { ClientCertificate } from '../../access/asking.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import { SocketPeer } from '../http/node/peer.ts';
import { unmapped } from '../http/remote-address.ts';
import type { TlsCertificates } from '../http/tls-files.ts';
import type { Accept, Channel } from './channel.ts';

export interface TcpOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** PEM; absent: without TLS. */
  readonly tls?: TlsCertificates | undefined;
  readonly accept: Accept;
  /** Who may come in; connections of all ports are counted together. */
  readonly door: Door;
  /** Told of the limit that ended a handshake. */
  readonly limitHit: (limit: LimitName) => void;
}

export interface Door {
  /** Counts a connection and admits it; then `leave` must follow. */
  enter(address: string): boolean;
  leave(address: string): void;
}

export interface TcpListener {
  readonly port: number;
  stopAccepting(): void;
  close(): Promise<void>;
}

/** Rejects with `PORT_IN_USE`. */
export async function listenTcp(options: TcpOptions): Promise<TcpListener> {
  const sockets = new Set<net.Socket>();
  const serve = (socket: net.Socket) => {
    if (socket.destroyed) return;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveSocket(socket, options.accept);
  };
  const common = { noDelay: true, highWaterMark: LIMITS.socketConflateBytesMax };
  // A hello that does not come, or not whole, is a CONNECT that does not come.
  const handshakeTimeout = LIMITS.mqttConnectMsMax;
  const server =
    options.tls === undefined
      ? net.createServer(common, serve)
      : tls.createServer({ ...common, ...options.tls.serverOptions(), handshakeTimeout }, serve);
  // Before the handshake, which is what costs; and before `serve` where there is none.
  server.prependListener('connection', (socket) => admit(socket, options.door));
  if (server instanceof tls.Server) options.tls?.attach(server);
  // A client that breaks its handshake is nobody's concern but its own; Node leaves it open.
  server.on('tlsClientError', ({ code }: NodeJS.ErrnoException, socket: tls.TLSSocket) => {
    socket.destroy();
    if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') options.limitHit('mqttConnectMsMax');
  });
  server.maxConnections = LIMITS.mqttConnectionsMax;
  const port = await listening(server, options);
  return {
    port,
    stopAccepting: () => void server.close(),
    close: () => closed(server, sockets),
  };
}

function admit(socket: net.Socket, door: Door): void {
  const address = unmapped(socket.remoteAddress);
  if (door.enter(address)) socket.once('close', () => door.leave(address));
  else socket.destroy();
}

function listening(server: net.Server, { host, port }: TcpOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const why = `the MQTT port ${host}:${port} cannot be opened: ${cause.message}`;
      const message = `${why}; choose another with --mqtt-port`;
      reject(new NodeError('PORT_IN_USE', message, { cause }));
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function closed(server: net.Server, sockets: ReadonlySet<net.Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

function serveSocket(socket: net.Socket, accept: Accept): void {
  // Without a listener an error would end the process; the close that follows is what counts.
  socket.on('error', ignored);
  const user = accept(new TcpChannel(socket));
  socket.on('data', (chunk: Buffer) => user.received(chunk));
  socket.on('drain', () => user.drained());
  socket.once('close', () => user.gone());
}

const ignored = () => {};

class TcpChannel implements Channel {
  readonly remoteAddress: string;
  readonly certificate: ClientCertificate | undefined;
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    const peer = new SocketPeer(socket);
    this.remoteAddress = peer.peerAddress;
    this.certificate = peer.certificate;
    this.#socket = socket;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.writable && this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    const socket = this.#socket;
    socket.end();
    // What the peer does not take within the time of a CONNECT it does not get.
    socket.setTimeout(LIMITS.mqttConnectMsMax, () => socket.destroy());
  }
}
