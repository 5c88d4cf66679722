/**
 * Opens a connection to another node: asks, is challenged, proves who it is, and has the other
 * prove the same before anything is sent (`proof.ts`). All of it within one deadline.
 */
import { randomBytes } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { PeerConnection } from './connection.ts';
import {
  LINK_PATH,
  type LinkOptions,
  PROTOCOLS,
  serialOf,
  switchedName,
  tlsOf,
} from './link-options.ts';
import { type Conversation, isProven, PROOF_FIELD, readFields, writeFields } from './proof.ts';
import { Seal } from './sealed.ts';

/** Opens a stream to a node that is reached by another way than its port. */
export type OpenStream = (name: string) => Duplex;

/**
 * `url` is `ws://host:port` or `wss://host:port`, or `nats:NAME` for a node that `open` reaches.
 * Rejects with `PEER_UNREACHABLE` (nobody answers, or not in time) or `PEER_REFUSED` (one of the
 * two does not believe the other, with the reason).
 */
export async function dialPeer(
  url: string,
  options: LinkOptions,
  open?: OpenStream,
): Promise<PeerConnection> {
  const name = switchedName(url);
  if (name !== undefined && open === undefined) {
    throw unreachable(url, 'this node has no cluster.nats.url');
  }
  const target = new URL(name === undefined ? url : `ws://${name}`);
  target.pathname = LINK_PATH;
  if (options.tls !== undefined) target.protocol = 'wss:';
  const deadline = performance.now() + LIMITS.replicationDialMsMax;
  const stream =
    name === undefined || open === undefined ? undefined : () => streamTo(open(name), options);
  const way = { target, stream };
  const first = await attempt(way, options, undefined, deadline);
  if (first.kind === 'opened') throw unproven(url);
  const second = await attempt(way, options, first.conversation, deadline);
  if (second.kind === 'challenged')
    throw unreachable(url, 'it does not take the answer it asked for');
  return second.connection;
}

type Attempt =
  | { readonly kind: 'challenged'; readonly conversation: Conversation }
  | { readonly kind: 'opened'; readonly connection: PeerConnection };

/** Where it goes; `stream` makes the connection, else the network does. */
interface Way {
  readonly target: URL;
  readonly stream: (() => Socket) | undefined;
}

/** A stream will do for an HTTP client, and for TLS, though their types ask for a socket. */
function streamTo(stream: Duplex, { tls }: LinkOptions): Socket {
  const socket = stream as Socket;
  if (tls === undefined) return socket;
  const verified = { rejectUnauthorized: true, checkServerIdentity: () => undefined };
  return connectTls({ socket, ...tlsOf(tls), ...verified });
}

function attempt(
  { target, stream }: Way,
  options: LinkOptions,
  conversation: Conversation | undefined,
  deadline: number,
): Promise<Attempt> {
  const { href: url } = target;
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(target, [...PROTOCOLS], {
      headers: {
        // For logs and proxies on the way; nothing is believed of it.
        'millrace-node': options.name,
        ...(conversation && { authorization: credentials(options, conversation) }),
      },
      handshakeTimeout: Math.max(1, Math.round(deadline - performance.now())),
      maxPayload: LIMITS.replicationFrameBytesMax,
      ...{ perMessageDeflate: false, followRedirects: false },
      ...(stream && { createConnection: stream }),
      ...(options.tls === undefined ? {} : { ...tlsOf(options.tls), rejectUnauthorized: true }),
      // Names are pinned by the certificate's common name below, whatever the address.
      ...(options.tls === undefined ? {} : { checkServerIdentity: () => undefined }),
    });
    let head: IncomingMessage | undefined;
    ws.once('upgrade', (response) => {
      head = response;
    });
    ws.once('error', (error) => reject(unreachable(url, error.message, error)));
    ws.once('unexpected-response', (request, response) => {
      read(request, response, options, url).then(resolve, reject);
    });
    ws.once('open', () => {
      try {
        resolve({ kind: 'opened', connection: opened(ws, head, { options, conversation, url }) });
      } catch (error) {
        ws.terminate();
        reject(error);
      }
    });
  });
}

function credentials({ name, secret }: LinkOptions, conversation: Conversation): string {
  const { nonce, own } = conversation;
  const proof = secret?.proofOf('dialler', conversation);
  return writeFields({ name, nonce, own, ...(proof === undefined ? {} : { proof }) });
}

interface Opening {
  readonly options: LinkOptions;
  readonly conversation: Conversation | undefined;
  readonly url: string;
}

function opened(
  ws: WebSocket,
  head: IncomingMessage | undefined,
  { options, conversation, url }: Opening,
): PeerConnection {
  const { secret, watch } = options;
  const why = head && conversation && certificateObjection(head, options)(conversation.listener);
  if (why !== undefined) {
    watch.counts.refused('certificate');
    throw refused(`${url} is not believed: ${why}`);
  }
  const proof = head?.headers[PROOF_FIELD];
  const told = typeof proof === 'string' ? proof : undefined;
  if (conversation === undefined || !isProven(secret, 'listener', conversation, told)) {
    watch.counts.refused('credentials');
    throw unproven(url);
  }
  const keys = secret?.frameKeys(conversation);
  const seals = { outgoing: new Seal(keys?.dialler), incoming: new Seal(keys?.listener) };
  const remoteAddress = head?.socket.remoteAddress ?? '';
  const serial = serialOf(head?.socket);
  const who = { peer: conversation.listener, side: 'dialler' as const, remoteAddress, serial };
  return new PeerConnection(ws, who, seals, watch);
}

const ANSWER_BYTES_MAX = 1_024;

/** What came instead of a WebSocket: the challenge, or a refusal that says why. */
async function read(
  request: ClientRequest,
  response: IncomingMessage,
  options: LinkOptions,
  url: string,
): Promise<Attempt> {
  const pinned = certificateObjection(response, options);
  const fields = readFields(response.headers['www-authenticate']);
  const listener = fields?.get('name');
  const nonce = fields?.get('nonce');
  const text = await shortText(response);
  request.destroy();
  if (response.statusCode !== 401 || listener === undefined || nonce === undefined) {
    options.watch.counts.refused('request');
    throw refused(`${url} refused this node (${response.statusCode}): ${text}`);
  }
  const why = pinned(listener);
  if (why !== undefined) {
    options.watch.counts.refused('certificate');
    throw refused(`${url} is not believed: ${why}`);
  }
  if (listener === options.name) {
    throw refused(`${url} has the name ${listener}, as this node has: it may be this node itself`);
  }
  const own = randomBytes(24).toString('base64url');
  return { kind: 'challenged', conversation: { dialler: options.name, listener, nonce, own } };
}

/** The name must be that of the certificate which the connection was made with. */
function certificateObjection(response: IncomingMessage, { revoked }: LinkOptions) {
  const { socket } = response;
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
  return (name: string): string | undefined => {
    if (certificate === undefined) return undefined;
    const { subject, serialNumber } = certificate;
    if (subject?.CN !== name) return `its certificate is that of ${subject?.CN}, not of ${name}`;
    return revoked().has(serialNumber.toUpperCase()) ? 'its certificate was revoked' : undefined;
  };
}

async function shortText(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  try {
    for await (const chunk of response) {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) break;
    }
  } catch {
    // Cut off: what came says enough.
  }
  return text.slice(0, ANSWER_BYTES_MAX).trim();
}

const unproven = (url: string): NodeError =>
  refused(`${url} opened without a proof that it knows the cluster token; is it another service?`);

const refused = (message: string): NodeError =>
  new NodeError('PEER_REFUSED', message, { blame: 'peer', retry: 'later' });

const unreachable = (url: string, why: string, cause?: unknown): NodeError =>
  new NodeError('PEER_UNREACHABLE', `${url} cannot be reached: ${why}`, {
    ...{ blame: 'peer', retry: 'later', cause },
  });
