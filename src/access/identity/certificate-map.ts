/**
 * Client certificates that TLS has verified, as users: by the rules of the configuration, first
 * that matches; without rules the common name is the user's name. A certificate is never more than
 * the user or the roles that a rule names.
 */
import type { CertificateRule } from '../../config/auth-settings.ts';
import type { ClientCertificate } from '../asking.ts';
import type { Verified } from './verified.ts';

/** Stands for what matched. */
const NAME = '$' + '{name}';

export type CertificateMap = readonly CertificateRule[];

export function verifiedByCertificate(
  certificate: ClientCertificate,
  rules: CertificateMap,
): Verified | undefined {
  const { commonName } = certificate;
  const { chain, ...kept } = certificate;
  const by = { kind: 'certificate', certificate: kept } as const;
  if (rules.length === 0) {
    return commonName === undefined ? undefined : { via: 'certificate', username: commonName, by };
  }
  for (const rule of rules) {
    const name = matchedName(certificate, rule);
    if (name === undefined) continue;
    if (rule.user !== undefined) {
      return { via: 'certificate', username: rule.user.replaceAll(NAME, name), by };
    }
    const claimed = { roles: rule.roles ?? [], facts: { username: name, name } };
    return { via: 'certificate', username: `certificate:${name}`, claimed, by };
  }
  return undefined;
}

/** What of the certificate the rule matches. */
function matchedName(
  { commonName, alternativeNames, fingerprint }: ClientCertificate,
  rule: CertificateRule,
): string | undefined {
  if (rule.fingerprint !== undefined && rule.fingerprint !== fingerprint) return undefined;
  if (rule.commonName !== undefined) {
    return commonName !== undefined && matches(rule.commonName, commonName)
      ? commonName
      : undefined;
  }
  if (rule.alternativeName !== undefined) {
    const { alternativeName } = rule;
    return alternativeNames.find((name) => matches(alternativeName, name));
  }
  return commonName ?? alternativeNames[0];
}

/** `*` stands for any run of characters. */
function matches(pattern: string, name: string): boolean {
  const pieces = pattern.split('*');
  const [first = '', ...rest] = pieces;
  if (rest.length === 0) return name === pattern;
  if (!name.startsWith(first)) return false;
  const last = rest.pop() ?? '';
  let at = first.length;
  for (const piece of rest) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
