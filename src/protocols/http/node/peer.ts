/**
 * Who is at the other end of a connection: the address, and the certificate that the client showed,
 * when TLS verified it against the configured authorities. The certificate is read when somebody
 * asks for it, once a connection.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../../../access/asking.ts';
import { unmapped } from '../remote-address.ts';
import type { Peer } from '../request-copy.ts';

const read = new WeakMap<TLSSocket, ClientCertificate | undefined>();

/** A class, made for every request: a literal with a getter is a shape of its own each time. */
export class SocketPeer implements Peer {
  readonly peerAddress: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.peerAddress = unmapped(socket.remoteAddress);
    this.#socket = socket;
  }

  get certificate(): ClientCertificate | undefined {
    return this.#socket instanceof TLSSocket ? certificateOf(this.#socket) : undefined;
  }
}

/** `undefined` for one that was not asked for, not shown, or not verified. */
function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined;
  if (!read.has(socket)) read.set(socket, readCertificate(socket));
  return read.get(socket);
}

function readCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const shown = socket.getPeerCertificate(true);
  if (shown.fingerprint256 === undefined) return undefined;
  const { CN: name } = shown.subject;
  // Quoted is what holds the separator: such a name might pass for another, and counts for none.
  const listed = shown.subjectaltname ?? '';
  const names = listed.includes('"') ? [] : listed.split(', ');
  const issuer: Buffer | undefined = shown.issuerCertificate?.raw;
  return {
    commonName: typeof name === 'string' ? name : undefined,
    // `DNS:`, `URI:` and `email:` are names; an address of a network is none.
    alternativeNames: names.flatMap((text) => /^(?:DNS|URI|email):(.+)$/.exec(text)?.[1] ?? []),
    serialNumber: shown.serialNumber,
    fingerprint: shown.fingerprint256,
    chain: issuer && { certificate: shown.raw, issuer },
  };
}
