/**
 * The node's own tokens: JWTs signed with Ed25519. Each node signs with a key of its own, whose
 * public half stands in a system table, so that every thread, and every node of a cluster, verifies
 * what another has issued. A key signs for a month and is verified until its last token has ended.
 *
 * A token names its user and the user's mark, but grants nothing by itself: what its bearer may is
 * looked up when it is shown.
 */
import type { JWK } from 'jose';
import { NodeError } from '../../base/errors.ts';
import type { Directory } from './directory.ts';
import type { Registry } from './registry.ts';
import { SYSTEM } from './system-tables.ts';
import type { TokenForm } from './token-form.ts';
import type { Verified } from './verified.ts';

/** Loaded with the first token: a start does not pay for it. */
const jose = () => import('jose');

const ALGORITHM = 'EdDSA';
const DAY_MS = 86_400_000;
/** `iss` and `aud` of own tokens. */
export const OWN_ISSUER = 'millrace';
/** How long a token of each kind is good for. */
export const TOKEN_MS = { operation: DAY_MS, refresh: 30 * DAY_MS } as const;
export type TokenKind = keyof typeof TOKEN_MS;

/** A key signs for so long. */
const SIGNING_MS = 30 * DAY_MS;
/** Clocks of nodes may differ by so much, in seconds. */
const SKEW_SECONDS = 5;

/** The private half, as it is kept in the node's folder. */
export interface SigningKey {
  readonly id: string;
  readonly key: JWK;
  readonly createdAt: number;
}

export interface KeyKeeper {
  load(): SigningKey | undefined;
  save(key: SigningKey): void;
}

export class TokenIssuer {
  readonly #keeper: KeyKeeper;
  readonly #registry: Registry;
  readonly #node: string;
  readonly #now: () => number;
  #current: Promise<SigningKey> | undefined;

  constructor(parts: { keeper: KeyKeeper; registry: Registry; node: string; now: () => number }) {
    this.#keeper = parts.keeper;
    this.#registry = parts.registry;
    this.#node = parts.node;
    this.#now = parts.now;
  }

  async issue(kind: TokenKind, { username, mark }: Pick<Verified, 'username' | 'mark'>) {
    const { id, key } = await this.#signingKey();
    const { importJWK, SignJWT } = await jose();
    const now = Math.floor(this.#now() / 1_000);
    return new SignJWT({ use: kind, mrk: mark })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: id })
      .setIssuer(OWN_ISSUER)
      .setAudience(OWN_ISSUER)
      .setSubject(username)
      .setIssuedAt(now)
      .setExpirationTime(now + TOKEN_MS[kind] / 1_000)
      .setJti(globalThis.crypto.randomUUID())
      .sign(await importJWK(key, ALGORITHM));
  }

  /** Signs with a new key from now on; tokens signed with the one before stay good. */
  async rotate(): Promise<SigningKey> {
    this.#current = this.#make();
    return this.#current;
  }

  async #signingKey(): Promise<SigningKey> {
    this.#current ??= this.#loadOrMake();
    const key = await this.#current;
    return this.#now() - key.createdAt < SIGNING_MS ? key : this.rotate();
  }

  async #loadOrMake(): Promise<SigningKey> {
    return this.#keeper.load() ?? this.#make();
  }

  async #make(): Promise<SigningKey> {
    const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await jose();
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const key = await exportJWK(privateKey);
    const open = await exportJWK(publicKey);
    const id = await calculateJwkThumbprint(open);
    const createdAt = this.#now();
    const expiresAt = createdAt + SIGNING_MS + TOKEN_MS.refresh + DAY_MS;
    // Known everywhere before anything is signed with it.
    const row = { id, key: { ...open }, node: this.#node, createdAt, expiresAt };
    await this.#registry.put(SYSTEM.signingKey, row);
    const made = { id, key, createdAt };
    this.#keeper.save(made);
    return made;
  }
}

/** What an own token says, when its signature, issuer, audience and times are right. */
export async function verifyOwn(
  token: string,
  form: TokenForm,
  kind: TokenKind,
  { directory, now }: { readonly directory: Directory; readonly now: number },
): Promise<Verified | undefined> {
  const row = form.keyId === undefined ? undefined : directory.signingKey(form.keyId);
  if (row === undefined || form.algorithm !== ALGORITHM || row.expiresAt <= now) return undefined;
  const { importJWK, jwtVerify } = await jose();
  try {
    const { payload } = await jwtVerify(token, await importJWK(row.key as JWK, ALGORITHM), {
      algorithms: [ALGORITHM],
      issuer: OWN_ISSUER,
      audience: OWN_ISSUER,
      currentDate: new Date(now),
      clockTolerance: SKEW_SECONDS,
      requiredClaims: ['sub', 'exp', 'iat', 'jti'],
    });
    const { sub, exp, jti, use, mrk } = payload;
    if (sub === undefined || exp === undefined || use !== kind) return undefined;
    const mark = typeof mrk === 'string' ? mrk : '';
    return { via: 'bearer', username: sub, mark, until: exp * 1_000, tokenId: jti };
  } catch {
    // Whatever is wrong with it, its bearer is told no more than that it is not taken.
    return undefined;
  }
}

/** The public keys, for whoever verifies tokens elsewhere [RFC7517 §5]. */
export function publicKeys(
  directory: Directory,
  now: number,
): { readonly keys: readonly object[] } {
  const rows = directory.signingKeys().filter(({ expiresAt }) => expiresAt > now);
  return { keys: rows.map(({ id, key }) => ({ ...key, kid: id, alg: ALGORITHM, use: 'sig' })) };
}

export function refusedToken(): NodeError {
  const message =
    'this token is not taken: it is expired, revoked, or not of this node; sign in again';
  return new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' });
}
