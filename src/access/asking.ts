/**
 * What a request or connection brings to say who asks, whatever its protocol. The request of the
 * HTTP port is one as it is; protocols with a user name and a password of their own make one.
 */

/** A client's certificate which TLS has verified against the configured authorities. */
export interface ClientCertificate {
  /** Common name of the subject. */
  readonly commonName: string | undefined;
  /** DNS names, mail addresses and URIs of the subject's alternative names. */
  readonly alternativeNames: readonly string[];
  /** Upper-case hexadecimal. */
  readonly serialNumber: string;
  /** SHA-256 of the certificate, upper-case hexadecimal with colons. */
  readonly fingerprint: string;
  /** It and the certificate of its issuer, in DER; absent where the issuer's is not at hand. */
  readonly chain?: { readonly certificate: Buffer; readonly issuer: Buffer } | undefined;
}

export interface Asking {
  /** Upper case; protocols other than HTTP say `CONNECT`. */
  readonly method: string;
  /** Textual address of the peer on the socket. */
  readonly remoteAddress: string;
  header(name: string): string | undefined;
  /** Absent without TLS, and when the client showed none. */
  readonly certificate?: ClientCertificate | undefined;
}

/** How a protocol that is not HTTP asks: a name and a password, as Basic would carry them. */
export interface NamedCredentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly remoteAddress: string;
  readonly certificate?: ClientCertificate | undefined;
}

export function askingWith(credentials: NamedCredentials): Asking {
  const { username, password, remoteAddress, certificate } = credentials;
  const authorization =
    username === undefined && password === undefined
      ? undefined
      : `Basic ${Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')}`;
  return {
    method: 'CONNECT',
    remoteAddress,
    certificate,
    header: (name) => (name === 'authorization' ? authorization : undefined),
  };
}
