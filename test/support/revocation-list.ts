/** A list of revoked certificates, version 1 [RFC5280 §5.1], of an authority of the tests. */
import { sign, X509Certificate } from 'node:crypto';
import { der } from '../../src/base/der.ts';
import {
  type Issued,
  nameOf,
  OID,
  pem,
  SEQUENCE,
  time,
} from '../../src/protocols/http/certificate.ts';

export interface Period {
  readonly from: Date;
  readonly until: Date;
}

export function issueRevocations(
  authority: Issued,
  revoked: readonly Issued[],
  { from, until }: Period,
): string {
  const algorithm = der(SEQUENCE, OID.ecdsaWithSha256);
  const rows = revoked.map(({ cert }) => {
    const serial = Buffer.from(new X509Certificate(cert).serialNumber, 'hex');
    return der(SEQUENCE, der(0x02, serial), time(from));
  });
  const list = rows.length === 0 ? [] : [der(SEQUENCE, ...rows)];
  const issuer = nameOf(authority.commonName);
  const body = der(SEQUENCE, algorithm, issuer, time(from), time(until), ...list);
  const signature = der(0x03, Buffer.of(0), sign('sha256', body, authority.privateKey));
  return pem('X509 CRL', der(SEQUENCE, body, algorithm, signature));
}
