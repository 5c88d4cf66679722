/**
 * What is asked of an OCSP responder about one certificate, and what its reply says [RFC6960].
 * Pure. A reply counts only when its signature is that of the certificate's issuer, or of a
 * responder whom the issuer has certified for it; when it is about this certificate; and while it
 * is in force. Everything about keys and certificates is OpenSSL's, by `node:crypto`; what is read
 * here is the frame around it.
 */
import { createHash, verify, X509Certificate } from 'node:crypto';
import { DerReader, type DerValue, der, TAG } from '../../base/der.ts';

/** A certificate and the one that signed it, both in DER. */
export interface Chain {
  readonly certificate: Buffer;
  readonly issuer: Buffer;
}

export interface OcspVerdict {
  readonly status: 'good' | 'revoked' | 'unknown';
  /** Until when it may be believed, milliseconds since 1970. */
  readonly until: number;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const SHA1 = hex('06052b0e03021a');
const BASIC_RESPONSE = '2b0601050507300101';
const NULL = hex('0500');
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
/** Clocks of responders may differ from ours by so much. */
const SKEW_MS = 300_000;
/** How long a reply is believed that names no end. */
const WITHOUT_END_MS = 3_600_000;

/** Hash by OID of the signature: what is not listed (SHA-1 among it) is not believed. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
};

/** The responder that the certificate names; `undefined` when it names none over HTTP. */
export function responderOf(certificate: Buffer): URL | undefined {
  const access = new X509Certificate(certificate).infoAccess ?? '';
  const text = /^OCSP - URI:(https?:\/\/[^\s"]+)$/m.exec(access)?.[1];
  return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
}

/** By SHA-1, by which responders everywhere find a certificate; nothing is signed with it. */
export function ocspRequest(chain: Chain): Buffer {
  const id = certificateId(chain);
  return der(TAG.sequence, der(TAG.sequence, der(TAG.sequence, der(TAG.sequence, id))));
}

function certificateId(chain: Chain): Buffer {
  const { issuerName, serial } = fieldsOf(chain.certificate);
  const sha1 = (bytes: Buffer) => der(TAG.octetString, createHash('sha1').update(bytes).digest());
  const algorithm = der(TAG.sequence, SHA1, NULL);
  return der(TAG.sequence, algorithm, sha1(issuerName), sha1(keyOf(chain.issuer)), serial);
}

/** Throws an `Error` that says why the reply counts for nothing. */
export function readOcspReply(reply: Buffer, chain: Chain, now: number): OcspVerdict {
  const body = successful(reply);
  const data = body.take(TAG.sequence);
  const algorithm = body.enter(TAG.sequence).take(TAG.oid).content.toString('hex');
  const signature = body.take(TAG.bitString).content.subarray(1);
  const certificates = body.takeIf(0xa0);
  const issuer = new X509Certificate(chain.issuer);
  const signers = [issuer, ...delegates(certificates, issuer, now)];
  if (!signers.some((one) => isSignedBy(data, signature, algorithm, one))) {
    throw new Error('it is not signed by the issuer of the certificate, nor by a delegate of it');
  }
  return verdictOf(new DerReader(data.content), certificateId(chain), now);
}

const REFUSALS = ['', 'malformed request', 'internal error', 'try later', '', 'sign', 'refused'];

function successful(reply: Buffer): DerReader {
  const whole = new DerReader(reply).enter(TAG.sequence);
  const status = whole.take(TAG.enumerated).content[0] ?? -1;
  if (status !== 0) throw new Error(`the responder refuses (${REFUSALS[status] ?? status})`);
  const bytes = whole.enter(0xa0).enter(TAG.sequence);
  const kind = bytes.take(TAG.oid).content.toString('hex');
  if (kind !== BASIC_RESPONSE) throw new Error('its form is not known here');
  return bytes.enter(TAG.octetString).enter(TAG.sequence);
}

/** Certificates beside the reply which the issuer has made for signing such replies. */
function delegates(beside: DerValue | undefined, issuer: X509Certificate, now: number) {
  if (beside === undefined) return [];
  const list = new DerReader(beside.content).enter(TAG.sequence);
  const found: X509Certificate[] = [];
  while (!list.isAtEnd && found.length < 8) found.push(new X509Certificate(list.next().whole));
  return found.filter(
    (one) =>
      one.keyUsage?.includes(OCSP_SIGNING) === true &&
      one.checkIssued(issuer) &&
      one.verify(issuer.publicKey) &&
      Date.parse(one.validFrom) <= now + SKEW_MS &&
      Date.parse(one.validTo) >= now,
  );
}

function isSignedBy(
  data: DerValue,
  signature: Buffer,
  algorithm: string,
  signer: X509Certificate,
): boolean {
  const hash = SIGNATURES[algorithm];
  if (hash === undefined) return false;
  try {
    return verify(hash, data.whole, signer.publicKey, signature);
  } catch {
    // A key of another kind than the algorithm.
    return false;
  }
}

function verdictOf(data: DerReader, id: Buffer, now: number): OcspVerdict {
  data.takeIf(0xa0);
  data.next();
  data.take(TAG.generalizedTime);
  const replies = data.enter(TAG.sequence);
  while (!replies.isAtEnd) {
    const one = replies.enter(TAG.sequence);
    if (!one.take(TAG.sequence).whole.equals(id)) continue;
    const status = STATUSES[one.next().tag];
    if (status === undefined) throw new Error('it says a status that is not known here');
    const from = timeOf(one.take(TAG.generalizedTime));
    const end = one.takeIf(0xa0);
    const until =
      end === undefined
        ? Math.min(from, now) + WITHOUT_END_MS
        : timeOf(new DerReader(end.content).take(TAG.generalizedTime));
    if (from > now + SKEW_MS) throw new Error('it begins in the future: compare the clocks');
    if (until + SKEW_MS < now) throw new Error('it is too old');
    return { status, until };
  }
  throw new Error('it is about another certificate');
}

const STATUSES: Readonly<Record<number, OcspVerdict['status']>> = {
  128: 'good',
  161: 'revoked',
  130: 'unknown',
};

function timeOf({ content }: DerValue): number {
  const text = content.toString('latin1');
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (parts === null) throw new RangeError('a time that is none');
  const [, year, month, day, hour, minute, second] = parts.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
}

/** [RFC5280 §4.1] */
function fieldsOf(certificate: Buffer) {
  const body = new DerReader(certificate).enter(TAG.sequence).enter(TAG.sequence);
  body.takeIf(0xa0);
  const serial = body.take(TAG.integer).whole;
  body.take(TAG.sequence);
  return { serial, issuerName: body.take(TAG.sequence).whole };
}

/** The bits of the public key, without what says whose algorithm it is for. */
function keyOf(certificate: Buffer): Buffer {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  const body = new DerReader(spki).enter(TAG.sequence);
  body.take(TAG.sequence);
  return body.take(TAG.bitString).content.subarray(1);
}
