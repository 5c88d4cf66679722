/**
 * X.509 certificates made without any other program: an ECDSA key on P-256, and the few fields that
 * browsers and Node ask for [RFC5280 §4.1]. For development, and for the nodes of a cluster among
 * themselves; not for the internet, where an authority signs that others know.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { der } from '../../base/der.ts';

export interface CertificateRequest {
  readonly commonName: string;
  /** DNS names and IP addresses it is for. */
  readonly names?: readonly string[] | undefined;
  readonly from: Date;
  readonly until: Date;
  /** Who signs; itself when absent. */
  readonly issuer?: Signer | undefined;
  /** It may sign others. */
  readonly isAuthority?: boolean | undefined;
}

/** Who signs: the name and the key of an authority. */
export interface Signer {
  readonly commonName: string;
  readonly privateKey: KeyObject;
}

export interface Issued {
  readonly commonName: string;
  readonly privateKey: KeyObject;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export const SEQUENCE = 0x30;
const SET = 0x31;
export const OID = {
  commonName: Buffer.from('0603550403', 'hex'),
  ecdsaWithSha256: Buffer.from('06082a8648ce3d040302', 'hex'),
  basicConstraints: Buffer.from('0603551d13', 'hex'),
  subjectAltName: Buffer.from('0603551d11', 'hex'),
};
const TRUE = Buffer.from('0101ff', 'hex');
const VERSION_3 = Buffer.from('a003020102', 'hex');

export function issueCertificate(request: CertificateRequest): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = request.issuer ?? { commonName: request.commonName, privateKey };
  return {
    commonName: request.commonName,
    privateKey,
    cert: signedCertificate(request, publicKey, signer),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A certificate, PEM, for a key that somebody else has made and keeps. */
export function signedCertificate(
  request: CertificateRequest,
  publicKey: KeyObject,
  signer: Signer,
): string {
  const algorithm = der(SEQUENCE, OID.ecdsaWithSha256);
  const body = der(
    SEQUENCE,
    VERSION_3,
    serialNumber(),
    algorithm,
    nameOf(signer.commonName),
    der(SEQUENCE, time(request.from), time(request.until)),
    nameOf(request.commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, ...extensions(request))),
  );
  const signature = der(0x03, Buffer.of(0), sign('sha256', body, signer.privateKey));
  return pem('CERTIFICATE', der(SEQUENCE, body, algorithm, signature));
}

function extensions({ isAuthority = false, names = [] }: CertificateRequest): Buffer[] {
  const constraints = der(SEQUENCE, ...(isAuthority ? [TRUE] : []));
  const found = [der(SEQUENCE, OID.basicConstraints, TRUE, der(0x04, constraints))];
  if (names.length === 0) return found;
  const alternatives = der(SEQUENCE, ...names.map(alternativeName));
  return [...found, der(SEQUENCE, OID.subjectAltName, der(0x04, alternatives))];
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 4) return der(0x87, Buffer.from(name.split('.').map(Number)));
  if (name === '::1') return der(0x87, Buffer.concat([Buffer.alloc(15), Buffer.of(1)]));
  return der(0x82, Buffer.from(name, 'ascii'));
}

export const nameOf = (commonName: string): Buffer =>
  der(SEQUENCE, der(SET, der(SEQUENCE, OID.commonName, der(0x0c, Buffer.from(commonName)))));

/** Positive, and never made twice. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return der(0x02, bytes);
}

/** A time to the second. */
export function time(instant: Date): Buffer {
  const text = `${instant.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  // [RFC5280 §4.1.2.5] Years until 2049 are written with two digits.
  return instant.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(text.slice(2)))
    : der(0x18, Buffer.from(text));
}

export function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
