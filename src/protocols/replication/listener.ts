/**
 * The replication port: other nodes dial it and prove who they are before a WebSocket is opened
 * (`proof.ts`), so that whoever cannot costs the head of a request. Names are unique: the name a
 * node gives must be that of its certificate where there are certificates, and cannot be our own.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { offeredProtocols, refusedUpgrade } from '../http/upgrade-checks.ts';
import type { JoinRequest } from './cluster-folder.ts';
import { PeerConnection } from './connection.ts';
import type { Refusal } from './counts.ts';
import { answerJoin, type JoinAnswer } from './join.ts';
import {
  isNodeName,
  JOIN_PATH,
  LINK_PATH,
  type LinkOptions,
  type LinkTls,
  PROTOCOLS,
  serialOf,
  tlsOf,
} from './link-options.ts';
import {
  type Conversation,
  isNonce,
  isProven,
  PROOF_FIELD,
  readFields,
  SCHEME,
  writeFields,
} from './proof.ts';
import { Seal } from './sealed.ts';

export interface ListenOptions extends LinkOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly accept: (connection: PeerConnection) => void;
  /** Signs for who shows an invitation; throws `PEER_REFUSED`. Absent: nobody can join here. */
  readonly admit?: ((request: JoinRequest) => JoinAnswer) | undefined;
}

export interface LinkListener {
  readonly port: number;
  /** A connection that came by another way than the port. */
  take(stream: Duplex): void;
  /** For connections from now on; of a listener that began with certificates. */
  useCertificates(tls: LinkTls): void;
  close(): Promise<void>;
}

const HEAD_BYTES_MAX = 8 * 1024;
/** Challenges that are out at once; a flood pushes out the oldest, not memory. */
const NONCES_MAX = 1_024;

/** Rejects with `PORT_IN_USE`. */
export async function listenForPeers(options: ListenOptions): Promise<LinkListener> {
  const door = new Door(options);
  const patience = LIMITS.replicationDialMsMax;
  const plain = {
    maxHeaderSize: HEAD_BYTES_MAX,
    ...{ headersTimeout: patience, requestTimeout: patience, keepAliveTimeout: patience },
    connectionsCheckingInterval: patience / 5,
  };
  const server: Server =
    options.tls === undefined
      ? createServer(plain)
      : // Who is to join has no certificate yet: what one is worth is judged below.
        createTlsServer({
          ...plain,
          ...tlsOf(options.tls),
          ...{ requestCert: true, rejectUnauthorized: false },
        });
  server.maxConnections = LIMITS.replicationConnectionsMax;
  server.on('drop', () => options.watch.counts.refused('connections'));
  server.on('tlsClientError', () => options.watch.counts.refused('certificate'));
  server.on('clientError', (_error, socket) => {
    options.watch.counts.refused('request');
    socket.destroy();
  });
  server.on('request', (request, response) => door.plainRequest(request, response));
  server.on('upgrade', (request, socket, head) => door.upgrade(request, socket, head));
  const port = await listening(server, options);
  return {
    port,
    take: (stream) => void server.emit('connection', stream),
    useCertificates(tls) {
      if (server instanceof TlsServer) server.setSecureContext(tlsOf(tls));
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        door.close();
      }),
  };
}

function listening(server: Server, { host, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const why = `the replication port ${host}:${port} cannot be opened: ${cause.message}`;
      const message = `${why}; choose another with --replication-port`;
      reject(new NodeError('PORT_IN_USE', message, { cause }));
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

interface Admitted {
  readonly conversation: Conversation;
  readonly protocol: string;
}

class Door {
  readonly #options: ListenOptions;
  readonly #nonces = new Map<string, number>();
  readonly #sockets = new Set<WebSocket>();
  readonly #server: WebSocketServer;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false },
      maxPayload: LIMITS.replicationFrameBytesMax,
      handleProtocols: (offered) => PROTOCOLS.find((one) => offered.has(one)) ?? false,
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  /** A node that is to join; or a browser or a probe, which is told what this is. */
  plainRequest(request: IncomingMessage, response: ServerResponse): void {
    const { admit, watch } = this.#options;
    if (request.method === 'POST' && request.url === JOIN_PATH && admit !== undefined) {
      void answerJoin(request, response, { admit, counts: watch.counts });
      return;
    }
    request.resume();
    this.#options.watch.counts.refused('request');
    response.writeHead(426, { connection: 'close', upgrade: 'websocket' });
    response.end(
      'This is the port on which the nodes of a Millrace cluster talk to one another.\n',
    );
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const admitted = this.#admit(request, socket);
    if (admitted === undefined) return;
    const { conversation } = admitted;
    const { secret, watch } = this.#options;
    const proof = secret?.proofOf('listener', conversation);
    const answerProof = (headers: string[]) => {
      if (proof !== undefined) headers.push(`${PROOF_FIELD}: ${proof}`);
    };
    this.#server.once('headers', answerProof);
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      this.#sockets.add(ws);
      ws.once('close', () => this.#sockets.delete(ws));
      const keys = secret?.frameKeys(conversation);
      const seals = { outgoing: new Seal(keys?.listener), incoming: new Seal(keys?.dialler) };
      const who = {
        peer: conversation.dialler,
        side: 'listener' as const,
        remoteAddress: request.socket.remoteAddress ?? '',
        serial: serialOf(request.socket),
      };
      this.#options.accept(new PeerConnection(ws, who, seals, watch));
    });
    this.#server.off('headers', answerProof);
  }

  #admit(request: IncomingMessage, socket: Duplex): Admitted | undefined {
    const header = (name: string) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(',') : value;
    };
    const unsound = refusedUpgrade({ method: request.method ?? '', header }, undefined);
    if (unsound !== undefined || request.url !== LINK_PATH) {
      return this.#refuse(socket, 'request', 400, unsound?.detail ?? `dial ${LINK_PATH}`);
    }
    const offered = offeredProtocols(header('sec-websocket-protocol'));
    const protocol = PROTOCOLS.find((one) => offered.includes(one));
    if (protocol === undefined) {
      const why = `this node speaks ${PROTOCOLS.join(', ')}; upgrade the older of the two`;
      return this.#refuse(socket, 'protocol', 400, why);
    }
    const fields = readFields(header('authorization'));
    if (fields === undefined) return this.#challenge(socket);
    const conversation = {
      dialler: fields.get('name') ?? '',
      listener: this.#options.name,
      nonce: fields.get('nonce') ?? '',
      own: fields.get('own') ?? '',
    };
    // Answered late, or a second time: it may try again.
    if (!this.#takeNonce(conversation.nonce)) return this.#challenge(socket);
    const why = this.#objection(request, conversation, fields.get('proof'));
    if (why === undefined) return { conversation, protocol };
    return this.#refuse(socket, why.refusal, 403, why.text);
  }

  #objection(
    request: IncomingMessage,
    conversation: Conversation,
    proof: string | undefined,
  ): { readonly refusal: Refusal; readonly text: string } | undefined {
    const { name, secret, revoked } = this.#options;
    if (!isNonce(conversation.own) || !isProven(secret, 'dialler', conversation, proof)) {
      const text = 'the cluster token is not that of this node; all nodes need the same';
      return { refusal: 'credentials', text };
    }
    if (!isNodeName(conversation.dialler) || conversation.dialler === name) {
      const text = `this node has the name ${name} itself; give each node a --node-name of its own`;
      return { refusal: 'name', text };
    }
    if (!(request.socket instanceof TLSSocket)) return undefined;
    const { subject, serialNumber } = request.socket.getPeerCertificate();
    if (!request.socket.authorized) {
      const text = 'no certificate of this cluster was shown; see millrace cluster join';
      return { refusal: 'certificate', text };
    }
    if (subject?.CN !== conversation.dialler) {
      const text = `the certificate is that of ${subject?.CN}, not of ${conversation.dialler}`;
      return { refusal: 'certificate', text };
    }
    if (!revoked().has(serialNumber.toUpperCase())) return undefined;
    return { refusal: 'certificate', text: `the certificate ${serialNumber} has been revoked` };
  }

  #challenge(socket: Duplex): undefined {
    const nonce = randomBytes(24).toString('base64url');
    const [oldest] = this.#nonces.keys();
    if (this.#nonces.size >= NONCES_MAX && oldest !== undefined) this.#nonces.delete(oldest);
    this.#nonces.set(nonce, performance.now());
    const fields = writeFields({ name: this.#options.name, nonce });
    answer(socket, 401, [`www-authenticate: ${fields}`], `prove who you are by ${SCHEME}`);
    return undefined;
  }

  /** A nonce is good once, and not for long. */
  #takeNonce(nonce: string): boolean {
    const since = this.#nonces.get(nonce);
    this.#nonces.delete(nonce);
    return since !== undefined && performance.now() - since < LIMITS.replicationDialMsMax;
  }

  #refuse(socket: Duplex, refusal: Refusal, status: number, why: string): undefined {
    this.#options.watch.counts.refused(refusal);
    answer(socket, status, [], why);
    return undefined;
  }
}

function answer(socket: Duplex, status: number, headers: readonly string[], text: string): void {
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    ...headers,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
  setTimeout(() => socket.destroy(), LIMITS.replicationDialMsMax).unref();
}
