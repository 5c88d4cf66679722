/** Replies of OCSP responders that are too old, from the future, broken, or signed by others. */
import { createHash, sign, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ocspRequest, readOcspReply } from '../../../src/access/identity/ocsp-message.ts';
import { DerReader, der, TAG } from '../../../src/base/der.ts';
import { type Issued, issueCertificate, OID } from '../../../src/protocols/http/certificate.ts';
import { seededRandom } from '../../support/random.ts';

const NOW = Date.UTC(2030, 0, 2);
const LASTS = { from: new Date(NOW - 86_400_000), until: new Date(NOW + 86_400_000) };
const authority = issueCertificate({ commonName: 'Clients', ...LASTS, isAuthority: true });
const stranger = issueCertificate({ commonName: 'Clients', ...LASTS, isAuthority: true });
const rawOf = ({ cert }: Issued): Buffer => new X509Certificate(cert).raw;
const client = issueCertificate({ commonName: 'one', ...LASTS, issuer: authority });
const chain = { certificate: rawOf(client), issuer: rawOf(authority) };

const timeOf = (instant: number): Buffer =>
  der(
    TAG.generalizedTime,
    Buffer.from(`${new Date(instant).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`),
  );

/** The id that a request names is what its reply must be about. */
const idOf = (request: Buffer): Buffer =>
  new DerReader(request)
    .enter(TAG.sequence)
    .enter(TAG.sequence)
    .enter(TAG.sequence)
    .enter(TAG.sequence)
    .take(TAG.sequence).whole;

interface Said {
  readonly from?: number;
  readonly until?: number;
  readonly signer?: Issued;
  readonly status?: Buffer;
}

function replyOf({ from = NOW, until = NOW + 3_600_000, signer = authority, status }: Said = {}) {
  const one = der(
    TAG.sequence,
    idOf(ocspRequest(chain)),
    status ?? Buffer.of(0x80, 0),
    timeOf(from),
    der(0xa0, timeOf(until)),
  );
  const responder = der(0xa2, der(TAG.octetString, createHash('sha1').update('key').digest()));
  const data = der(TAG.sequence, responder, timeOf(from), der(TAG.sequence, one));
  const algorithm = der(TAG.sequence, OID.ecdsaWithSha256);
  const signature = der(TAG.bitString, Buffer.of(0), sign('sha256', data, signer.privateKey));
  const basic = der(TAG.sequence, data, algorithm, signature);
  const kind = der(TAG.oid, Buffer.from('2b0601050507300101', 'hex'));
  const bytes = der(TAG.sequence, kind, der(TAG.octetString, basic));
  return der(TAG.sequence, der(TAG.enumerated, Buffer.of(0)), der(0xa0, bytes));
}

describe('a reply of a responder', () => {
  it('says good or revoked, and until when', () => {
    const until = NOW + 3_600_000;
    expect(readOcspReply(replyOf(), chain, NOW)).toEqual({ status: 'good', until });
    const revoked = replyOf({ status: der(0xa1, timeOf(NOW - 1_000)) });
    expect(readOcspReply(revoked, chain, NOW).status).toBe('revoked');
  });

  it('counts for nothing when it is old, from the future, or signed by another', () => {
    const day = 86_400_000;
    const judged = (said: Said) => () => readOcspReply(replyOf(said), chain, NOW);
    expect(judged({ from: NOW - day, until: NOW - day / 2 })).toThrow('too old');
    expect(judged({ from: NOW + day, until: NOW + day * 2 })).toThrow('in the future');
    expect(judged({ signer: stranger })).toThrow('not signed by the issuer');
    expect(judged({ signer: client })).toThrow('not signed by the issuer');
    expect(judged({ status: Buffer.of(0x83, 0) })).toThrow('not known here');
  });

  it('counts for nothing about another certificate, and when the responder refuses', () => {
    const other = issueCertificate({ commonName: 'two', ...LASTS, issuer: authority });
    const about = { ...chain, certificate: rawOf(other) };
    expect(() => readOcspReply(replyOf(), about, NOW)).toThrow('about another certificate');
    const refused = der(TAG.sequence, der(TAG.enumerated, Buffer.of(3)));
    expect(() => readOcspReply(refused, chain, NOW)).toThrow('try later');
  });

  it('with any byte changed or missing never says more than the whole did', () => {
    const whole = replyOf({ status: der(0xa1, timeOf(NOW - 1_000)) });
    const random = seededRandom(7);
    for (let round = 0; round < 400; round += 1) {
      const broken = Buffer.from(whole);
      const at = random(broken.length);
      broken[at] = random(256);
      const bytes = round % 2 === 0 ? broken : broken.subarray(0, at);
      try {
        expect(readOcspReply(bytes, chain, NOW).status).toBe('revoked');
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect((error as Error).name).not.toBe('AssertionError');
      }
    }
  });
});
