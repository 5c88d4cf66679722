/**
 * What both ends of a link are made from: who this node is, how it proves that, and the versions of
 * the protocol it speaks, newest first. Two nodes take the newest that both know; with none in
 * common they part before a frame is sent, so that a fleet can be upgraded node by node.
 */
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import type { LinkWatch } from './connection.ts';
import type { ClusterSecret } from './proof.ts';

export const PROTOCOLS: readonly string[] = ['millrace-replication.1'];

/** The paths of the replication port: for nodes, and for one that is to become one. */
export const LINK_PATH = '/replication';
export const JOIN_PATH = '/join';

/** Certificates of the cluster: every node has one of its own, all of one authority. PEM. */
export interface LinkTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface LinkOptions {
  readonly name: string;
  /** `undefined`: certificates alone say who is who. */
  readonly secret: ClusterSecret | undefined;
  readonly tls: LinkTls | undefined;
  /** Serial numbers of certificates that are not believed any more, upper case. */
  readonly revoked: () => ReadonlySet<string>;
  readonly watch: LinkWatch;
}

/** Both sides show a certificate; neither goes on with one that is not of the authority. */
export const tlsOf = (tls: LinkTls): SecureContextOptions => ({
  // With that of the authority behind it, by which who joins knows the cluster.
  cert: `${tls.cert}\n${tls.ca}`,
  ...{ key: tls.key, ca: tls.ca },
  minVersion: 'TLSv1.3',
});

/** The serial number of the certificate that the other end has shown, as `revoked` has it. */
export const serialOf = (socket: unknown): string | undefined =>
  socket instanceof TLSSocket ? socket.getPeerCertificate().serialNumber?.toUpperCase() : undefined;

/** As `cluster.name` must be. */
export const isNodeName = (name: string): boolean => /^[A-Za-z0-9][\w.-]{0,62}$/.test(name);

/** Of the addresses of nodes that are reached over a NATS server. */
const SWITCHED = 'nats:';

export const switchedAddress = (name: string): string => `${SWITCHED}${name}`;

/** The name in such an address. */
export const switchedName = (address: string): string | undefined =>
  address.startsWith(SWITCHED) && isNodeName(address.slice(SWITCHED.length))
    ? address.slice(SWITCHED.length)
    : undefined;
