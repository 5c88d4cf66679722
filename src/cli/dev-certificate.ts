/**
 * The certificate of `millrace dev --tls`: made once, kept in the application's `.millrace/tls`,
 * made anew when it is near its end. Browsers warn of it, since nobody vouches for it.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { issueCertificate } from '../protocols/http/certificate.ts';

const DAY_MS = 86_400_000;
const LASTS_DAYS = 365;
const RENEW_BEFORE_DAYS = 30;

export interface DevCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Paths of the two files, which are there afterwards. */
export function devCertificate(appFolder: string, now: number): DevCertificate {
  const folder = path.join(appFolder, '.millrace', 'tls');
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
  if (lasts(files, now)) return files;
  const made = issueCertificate({
    commonName: 'localhost',
    names: ['localhost', hostname(), '127.0.0.1', '::1'],
    from: new Date(now - DAY_MS),
    until: new Date(now + LASTS_DAYS * DAY_MS),
  });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(files.key, made.key, { mode: 0o600 });
  writeFileSync(files.cert, made.cert);
  return files;
}

function lasts(files: DevCertificate, now: number): boolean {
  if (!existsSync(files.cert) || !existsSync(files.key)) return false;
  try {
    const until = Date.parse(new X509Certificate(readFileSync(files.cert)).validTo);
    return until - now > RENEW_BEFORE_DAYS * DAY_MS;
  } catch {
    return false;
  }
}
