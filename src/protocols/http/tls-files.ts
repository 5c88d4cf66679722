/**
 * The certificates of the node: read and checked before an engine sees them, one by default and
 * others by host name (SNI), and exchanged while the node runs. One object a thread; listeners take
 * their options from it, and new handshakes see what was last taken over.
 */
import { constants, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createSecureContext,
  type SecureContext,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { NodeError } from '../../base/errors.ts';

export interface CertificateFiles {
  /** PEM: the certificate, then its chain. */
  readonly cert: string;
  readonly key: string;
  readonly passphrase?: string | undefined;
}

export interface TlsFiles extends CertificateFiles {
  /** PEM of the authorities whose client certificates are believed. */
  readonly clientCa?: string | undefined;
  /** PEM of lists of what these authorities have taken back; it goes with `clientCa`. */
  readonly clientCrl?: string | undefined;
  /** Whether a client without one is served. */
  readonly clientCertificates: 'request' | 'require';
  readonly hosts: readonly (CertificateFiles & { readonly host: string })[];
}

export interface Expiry {
  /** Host name it is for; `*` for the default. */
  readonly host: string;
  readonly file: string;
  readonly expiresAt: number;
}

/** The suites of TLS 1.2 with forward secrecy and authenticated encryption; 1.3 has no others. */
export const CIPHERS: string = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

interface Material {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase?: string | undefined;
  readonly ca?: Buffer | undefined;
  readonly crl?: Buffer | undefined;
}

/** What was read at one time. */
interface Loaded {
  readonly files: TlsFiles;
  readonly material: Material;
  readonly context: SecureContext;
  readonly byHost: ReadonlyMap<string, SecureContext>;
  readonly expiries: readonly Expiry[];
  /** Changes with any byte of any file. */
  readonly fingerprints: string;
  /** Changes with whom of the clients is believed. */
  readonly trust: string;
}

export class TlsCertificates {
  #loaded: Loaded;
  readonly #servers = new Set<Server>();
  /** Connections whose clients are known by a certificate. */
  readonly #known = new Set<TLSSocket>();

  /** Throws `CONFIG_INVALID` when a file cannot be read or a pair does not belong together. */
  constructor(files: TlsFiles) {
    this.#loaded = load(files);
  }

  get files(): TlsFiles {
    return this.#loaded.files;
  }

  get expiries(): readonly Expiry[] {
    return this.#loaded.expiries;
  }

  /** For `tls.createServer` and what is made from it. */
  serverOptions(): TlsOptions {
    const { material, files } = this.#loaded;
    return {
      ...material,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      // A client of TLS 1.2 could have the node do the costly half of a handshake again and again.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      requestCert: files.clientCa !== undefined,
      rejectUnauthorized: files.clientCa !== undefined && files.clientCertificates === 'require',
      SNICallback: (name, done) => done(null, this.#contextFor(name)),
    };
  }

  /** Has a server go on with the certificates of the moment. */
  attach(server: Server): void {
    this.#servers.add(server);
    server.on('secureConnection', (socket) => {
      if (!socket.authorized) return;
      this.#known.add(socket);
      socket.once('close', () => this.#known.delete(socket));
    });
    server.once('close', () => this.#servers.delete(server));
  }

  /** Reads anew, changing nothing; `undefined` when nothing is different. Throws as above. */
  prepare(files: TlsFiles): (() => void) | undefined {
    const next = load(files);
    if (next.fingerprints === this.#loaded.fingerprints) return undefined;
    const isTrustChanged = next.trust !== this.#loaded.trust;
    return () => {
      this.#loaded = next;
      for (const server of this.#servers) server.setSecureContext(contextOptions(next.material));
      // Whose certificate was taken back has no connection left; the others come again at once.
      if (isTrustChanged) for (const socket of this.#known) socket.destroy();
    };
  }

  #contextFor(name: string): SecureContext {
    const { byHost, context } = this.#loaded;
    const host = name.toLowerCase();
    const wild = `*${host.slice(host.indexOf('.'))}`;
    return byHost.get(host) ?? byHost.get(wild) ?? context;
  }
}

function load(files: TlsFiles): Loaded {
  const clients = readClients(files);
  const main = pair('tls', files, clients);
  const byHost = new Map<string, SecureContext>();
  const expiries = [expiryOf('*', files.cert, main.material.cert)];
  const trust = [clients.ca, clients.crl, files.clientCertificates].map(String).join('\n');
  const prints = [main.print, trust];
  for (const [index, one] of files.hosts.entries()) {
    const host = one.host.toLowerCase();
    const read = pair(`tls.hosts[${index}]`, one, clients);
    byHost.set(host, read.context);
    expiries.push(expiryOf(host, one.cert, read.material.cert));
    prints.push(host, read.print);
  }
  const { material, context } = main;
  return { files, material, context, byHost, expiries, trust, fingerprints: prints.join('\n') };
}

type Clients = Pick<Material, 'ca' | 'crl'>;

/** Whose clients are believed, and which of them not any more. */
function readClients({ clientCa, clientCrl }: TlsFiles): Clients {
  if (clientCa === undefined && clientCrl !== undefined) {
    const message = 'tls.clientCrl takes back certificates, and no authority is believed';
    throw new NodeError('CONFIG_INVALID', `${message}; set tls.clientCa too`);
  }
  const ca = clientCa === undefined ? undefined : readPem('tls.clientCa', clientCa);
  const crl = clientCrl === undefined ? undefined : readPem('tls.clientCrl', clientCrl);
  try {
    if (crl !== undefined) createSecureContext({ crl });
  } catch (error) {
    const message = `tls.clientCrl (${clientCrl}) is no list of revoked certificates in PEM`;
    throw new NodeError('CONFIG_INVALID', `${message}: ${reason(error)}`, { cause: error });
  }
  return { ca, crl };
}

function pair(key: string, files: CertificateFiles, clients: Clients) {
  const cert = readPem(`${key}.cert`, files.cert);
  const privateKey = readPem(`${key}.key`, files.key);
  const material: Material = { cert, key: privateKey, passphrase: files.passphrase, ...clients };
  try {
    const context = createSecureContext(contextOptions(material));
    return {
      material,
      context,
      print: `${cert.toString('latin1')}${privateKey.toString('latin1')}`,
    };
  } catch (error) {
    const message = `${key}.cert (${files.cert}) and ${key}.key (${files.key}) cannot be used`;
    const cure =
      'the key must be that of the first certificate; an encrypted key needs a passphrase';
    throw new NodeError('CONFIG_INVALID', `${message}: ${reason(error)}; ${cure}`, {
      cause: error,
    });
  }
}

const contextOptions = (material: Material) => ({
  ...material,
  minVersion: 'TLSv1.2' as const,
  ciphers: CIPHERS,
});

function expiryOf(host: string, file: string, cert: Buffer): Expiry {
  return { host, file, expiresAt: Date.parse(new X509Certificate(cert).validTo) };
}

function readPem(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const message = `${key} cannot be read: ${reason(error)}`;
    throw new NodeError('CONFIG_INVALID', message, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
