/**
 * The files by which the nodes of a cluster know one another, in the folder `cluster` of a node's
 * data: its own certificate with its key, the certificate of the authority that signed it, and, on
 * the node that founded the cluster, the key of that authority with the invitations that are open.
 *
 * An invitation is good once and for an hour; of its secret only the hash is kept. It admits a
 * name that has no certificate yet, or the one it was made for: nobody joins as another node.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { NodeError } from '../../base/errors.ts';
import { issueCertificate, signedCertificate } from '../http/certificate.ts';
import type { LinkTls } from './link-options.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const NODE_DAYS = 825;
const INVITATION_MS = 3_600_000;
const INVITATIONS_MAX = 256;
const TOKEN_HEAD = 'millrace-join';

interface Invitation {
  /** Milliseconds since 1970. */
  readonly until: number;
  /** Only for this node, which may have a certificate. */
  readonly name?: string | undefined;
}

/** By the hash of the secret. */
type Invitations = Readonly<Record<string, Invitation>>;

export interface JoinToken {
  /** SHA-256 of the authority's certificate. */
  readonly authority: string;
  readonly secret: string;
}

export class ClusterFolder {
  readonly #folder: string;

  constructor(dataFolder: string) {
    this.#folder = path.join(dataFolder, 'cluster');
  }

  /** `undefined` when this node has no certificate. Throws `CONFIG_INVALID`. */
  certificates(): LinkTls | undefined {
    if (!this.hasCertificates) return undefined;
    return { cert: this.#read('node.pem'), key: this.#read('node.key'), ca: this.#read('ca.pem') };
  }

  get hasCertificates(): boolean {
    return this.#has('node.pem');
  }

  get mayInvite(): boolean {
    return this.#has('ca.key');
  }

  /** Makes the authority and the certificate of this node. Throws `USAGE`. */
  found(name: string, now: number): void {
    if (this.#has('ca.pem')) {
      throw usage(`${this.#folder} belongs to a cluster already; remove it to found another`);
    }
    const authority = issueCertificate({
      commonName: `millrace cluster ${randomBytes(6).toString('hex')}`,
      ...lasting(now, AUTHORITY_DAYS),
      isAuthority: true,
    });
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#write('ca.key', authority.key);
    this.#write('ca.pem', authority.cert);
    const own = issueCertificate({
      ...{ commonName: name, names: [name], issuer: authority },
      ...lasting(now, NODE_DAYS),
    });
    this.#writeJson('issued.json', [name]);
    this.keep({ cert: own.cert, key: own.key, ca: authority.cert });
  }

  /** Takes over a certificate that the founder has signed. */
  keep({ cert, key, ca }: LinkTls): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#write('node.key', key);
    this.#write('ca.pem', ca);
    this.#write('node.pem', cert);
  }

  /** A token with which one other node may join. Throws `USAGE` on any node but the founder. */
  invite(now: number, name?: string): string {
    if (!this.mayInvite) {
      throw usage(
        `${this.#folder} has no ca.key: invite on the node where the cluster was founded`,
      );
    }
    const secret = randomBytes(24).toString('base64url');
    const open = Object.entries(this.#invitations()).filter(([, { until }]) => until > now);
    if (open.length >= INVITATIONS_MAX) throw usage('too many invitations are open; wait an hour');
    const invitation = { until: now + INVITATION_MS, name };
    this.#writeJson(
      'invitations.json',
      Object.fromEntries([...open, [hashOf(secret), invitation]]),
    );
    return `${TOKEN_HEAD}.${fingerprintOf(this.#read('ca.pem'))}.${secret}`;
  }

  /** Signs for whoever shows an open invitation; the invitation is gone then. */
  admit(request: JoinRequest, now: number): { readonly cert: string; readonly ca: string } {
    const invitations = this.#invitations();
    const hash = hashOf(request.secret);
    const found = Object.hasOwn(invitations, hash) ? invitations[hash] : undefined;
    if (!this.mayInvite || found === undefined || found.until < now) {
      throw denied('the join token is not open here: it is good once, for an hour, at the founder');
    }
    const issued = this.#json<readonly string[]>('issued.json', []);
    if (found.name === undefined ? issued.includes(request.name) : found.name !== request.name) {
      throw denied(
        `the token does not admit the name ${request.name}: for a node that had a certificate, ` +
          `run cluster invite --node-name ${request.name}`,
      );
    }
    const ca = this.#read('ca.pem');
    const cert = signedCertificate(
      { commonName: request.name, names: [request.name], ...lasting(now, NODE_DAYS) },
      createPublicKey(request.publicKey),
      { commonName: commonNameOf(ca), privateKey: createPrivateKey(this.#read('ca.key')) },
    );
    const { [hash]: _taken, ...left } = invitations;
    this.#writeJson('issued.json', [...new Set([...issued, request.name])]);
    this.#writeJson('invitations.json', left);
    return { cert, ca };
  }

  #invitations(): Invitations {
    return this.#json('invitations.json', {});
  }

  #json<T>(file: string, absent: T): T {
    return this.#has(file) ? (JSON.parse(this.#read(file)) as T) : absent;
  }

  #writeJson(file: string, value: unknown): void {
    this.#write(file, `${JSON.stringify(value)}\n`);
  }

  #has(file: string): boolean {
    return existsSync(path.join(this.#folder, file));
  }

  #read(file: string): string {
    const whole = path.join(this.#folder, file);
    try {
      return readFileSync(whole, 'utf8');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const cure = 'join the cluster anew, or restore the folder';
      throw new NodeError('CONFIG_INVALID', `${whole} cannot be read: ${why}; ${cure}`, { cause });
    }
  }

  /** Whole or not at all: a node that dies while it writes finds the file before. */
  #write(file: string, text: string): void {
    const whole = path.join(this.#folder, file);
    writeFileSync(`${whole}.new`, text, { mode: 0o600 });
    renameSync(`${whole}.new`, whole);
  }
}

export interface JoinRequest {
  readonly name: string;
  readonly secret: string;
  /** PEM (SPKI). */
  readonly publicKey: string;
}

export function readJoinToken(text: string): JoinToken {
  const [head, authority, secret, ...more] = text.trim().split('.');
  if (head === TOKEN_HEAD && authority && secret && more.length === 0) {
    return { authority, secret };
  }
  throw usage(`that is no join token; it begins with ${TOKEN_HEAD}. and comes of cluster invite`);
}

export const fingerprintOf = (pem: string | Buffer): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('base64url');

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

function commonNameOf(pem: string): string {
  const line = new X509Certificate(pem).subject.split('\n').find((one) => one.startsWith('CN='));
  return (line ?? 'CN=').slice('CN='.length);
}

/** From yesterday: clocks of nodes differ. */
const lasting = (now: number, days: number) => ({
  from: new Date(now - DAY_MS),
  until: new Date(now + days * DAY_MS),
});

const usage = (message: string): NodeError => new NodeError('USAGE', message, { blame: 'client' });

const denied = (message: string): NodeError =>
  new NodeError('PEER_REFUSED', message, { blame: 'client' });
