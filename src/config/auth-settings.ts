/**
 * Settings of who is believed besides the node's own users: issuers of tokens, and client
 * certificates. What is left out is chosen for safety: signatures by private keys only, and no role
 * for anybody whom no rule maps to one.
 */
import type { SourcePlace } from '../schema/definition.ts';
import type { ProblemList } from '../schema/problem.ts';
import {
  flag,
  listOf,
  mapOf,
  nonEmpty,
  oneOf,
  type Reader,
  scalar,
  shape,
  textThat,
} from './readers.ts';
import type { SettingNode } from './setting-node.ts';

/** Signatures that cannot be made with what verifies them. */
const ALGORITHMS = [
  'EdDSA',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const;
export type TokenAlgorithm = (typeof ALGORITHMS)[number];

/** What nodes call themselves in tokens of their own (`access/identity/tokens.ts`). */
const OWN_ISSUER = 'millrace';

export interface IssuerSettings {
  /** Stands before the names of its users: `corp:ann`. */
  readonly name: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  readonly audience: string;
  /** Where its keys are: a JWKS. */
  readonly keys: string;
  readonly algorithms: readonly TokenAlgorithm[];
  /** The claim that names the user. */
  readonly username: string;
  /** The claim that names groups or roles, which `roleMap` turns into roles of this node. */
  readonly roles: string;
  readonly roleMap: Readonly<Record<string, string>>;
  /** Its keys may be at a private address. */
  readonly allowPrivate: boolean;
}

export interface CertificateRule {
  /** `*` stands for any characters. */
  readonly commonName?: string | undefined;
  readonly alternativeName?: string | undefined;
  readonly fingerprint?: string | undefined;
  /** The user it stands for; `${name}` is what matched. */
  readonly user?: string | undefined;
  readonly roles?: readonly string[] | undefined;
}

/** A secret by which URLs are signed; the first signs, all verify. */
export interface UrlKeySettings {
  readonly name: string;
  readonly secret: string;
}

const webAddress: Reader<string> = scalar('an https address', (value) =>
  typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value)
    ? value
    : undefined,
);

const issuerShape = shape({
  name: nonEmpty,
  issuer: nonEmpty,
  audience: nonEmpty,
  keys: webAddress,
  algorithms: listOf(oneOf(ALGORITHMS)),
  username: nonEmpty,
  roles: nonEmpty,
  roleMap: mapOf(nonEmpty),
  allowPrivate: flag,
});

const ALGORITHMS_DEFAULT: readonly TokenAlgorithm[] = ['EdDSA', 'ES256', 'PS256', 'RS256'];

function readIssuer(
  node: SettingNode,
  path: string,
  problems: ProblemList,
): IssuerSettings | undefined {
  const read = issuerShape(node, path, problems);
  if (read === undefined) return undefined;
  const { name, issuer, audience, keys, ...rest } = read;
  if (name === undefined || issuer === undefined || audience === undefined || keys === undefined) {
    problems.add(node.place, `${path} needs name, issuer, audience and keys`, {
      cause: 'a token of an issuer is believed only when it was made for this node',
    });
    return undefined;
  }
  return {
    ...{ name, issuer, audience, keys },
    algorithms: rest.algorithms ?? ALGORITHMS_DEFAULT,
    username: rest.username ?? 'sub',
    roles: rest.roles ?? 'roles',
    roleMap: rest.roleMap ?? {},
    allowPrivate: rest.allowPrivate ?? false,
  };
}

const ruleShape = shape({
  commonName: nonEmpty,
  alternativeName: nonEmpty,
  fingerprint: nonEmpty,
  user: nonEmpty,
  roles: listOf(nonEmpty),
});

function readRule(
  node: SettingNode,
  path: string,
  problems: ProblemList,
): CertificateRule | undefined {
  const rule = ruleShape(node, path, problems);
  if (rule === undefined) return undefined;
  if ((rule.user === undefined) === (rule.roles === undefined)) {
    problems.add(node.place, `${path} needs either user or roles`);
    return undefined;
  }
  return rule;
}

/** Whose word is whose must be plain: users are told apart by the names of their issuers. */
export function checkIssuers(
  issuers: readonly IssuerSettings[],
  place: SourcePlace,
  problems: ProblemList,
): void {
  for (const [index, { name, issuer }] of issuers.entries()) {
    const before = issuers.slice(0, index);
    const path = `auth.issuers[${index}]`;
    if (issuer === OWN_ISSUER) {
      problems.add(place, `${path}.issuer is what this node calls itself in its own tokens`, {
        cure: 'give the other issuer, or the other node, a URL of its own',
      });
    }
    for (const [key, isTaken] of [
      ['name', before.some((one) => one.name === name)],
      ['issuer', before.some((one) => one.issuer === issuer)],
    ] as const) {
      if (!isTaken) continue;
      problems.add(place, `${path}.${key} is that of an issuer above`, {
        cause: 'users of the one could pass for users of the other',
      });
    }
  }
}

const URL_SECRET_CHARS_MIN = 32;
const keyShape = shape({
  name: textThat('letters, digits, . _ -, at most 64', (written) => /^[\w.-]{1,64}$/.test(written)),
  secret: nonEmpty,
});

function readUrlKey(
  node: SettingNode,
  path: string,
  problems: ProblemList,
): UrlKeySettings | undefined {
  const { name, secret } = keyShape(node, path, problems) ?? {};
  if (name === undefined || secret === undefined) {
    problems.add(node.place, `${path} needs name and secret`);
    return undefined;
  }
  if (secret.length >= URL_SECRET_CHARS_MIN) return { name, secret };
  problems.add(node.place, `${path}.secret has less than ${URL_SECRET_CHARS_MIN} characters`, {
    cause: 'a secret that can be guessed lets anybody sign',
    cure: 'make one with: openssl rand -base64 32',
  });
  return undefined;
}

export const urlKeys: Reader<readonly UrlKeySettings[]> = listOf(readUrlKey);
export const issuers: Reader<readonly IssuerSettings[]> = listOf(readIssuer);
export const certificates: Reader<readonly CertificateRule[]> = listOf(readRule);
