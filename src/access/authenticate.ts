/**
 * From what a request brings to a principal. Basic credentials are compared as SHA-256 digests
 * in constant time, so neither the length nor a prefix of the password can be measured.
 *
 * `authenticate` answers at once. What takes time (a password never seen before is hashed, a token
 * verified) is done by `settle`, which protocols await before they ask.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { NodeError } from '../base/errors.ts';
import type { Roles } from '../config/roles-file.ts';
import type { Asking } from './asking.ts';
import { compileGrants } from './grants.ts';
import type { Principal } from './principal.ts';

export interface AdminCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * What has become of verified credentials: they hold; they hold, and what they stand for may do
 * something else by now (its roles changed); or they are worth nothing any more (expired, revoked).
 */
export type StandingState = 'holds' | 'changed' | 'gone';

/** For connections that outlive the request which opened them. */
export interface Standing {
  state(): StandingState;
}

export type Authentication =
  | { readonly kind: 'principal'; readonly principal: Principal; readonly standing: Standing }
  /** `error`: what the client is told, and whether it may come back (429, 503) or not (401). */
  | { readonly kind: 'rejected'; readonly method: string; readonly error: NodeError };

export type Authenticate = (asking: Asking) => Authentication;

/** Resolves when `authenticate` can answer; `undefined` when it can already, as it mostly can. */
export type Settle = (asking: Asking) => Promise<void> | undefined;

export interface Authenticator {
  readonly authenticate: Authenticate;
  readonly settle: Settle;
}

/** Whom a node knows. */
export interface Known {
  readonly admin: AdminCredentials | undefined;
  readonly roles: Roles;
  /** Of what is judged by these roles; for good when absent. */
  readonly standing?: Standing | undefined;
}

/** The standing of those whose rights nothing changes while the node runs. */
export const FOR_GOOD: Standing = Object.freeze({ state: () => 'holds' as const });

/**
 * Knows the configured administrator, or nobody at all. No credentials is anonymous, wrong ones are
 * rejected.
 */
export function createAuthenticator({ admin, roles, standing = FOR_GOOD }: Known): Authenticator {
  const anonymous: Principal = { kind: 'anonymous', grants: compileGrants(roles, [], {}) };
  const nobody: Authentication = { kind: 'principal', principal: anonymous, standing };
  const expected = admin === undefined ? undefined : digest(`${admin.username}:${admin.password}`);
  const authenticate: Authenticate = (asking) => {
    const authorization = asking.header('authorization');
    if (authorization === undefined || authorization === '') return nobody;
    const [scheme = '', credentials = ''] = authorization.split(' ', 2);
    const method = scheme.toLowerCase();
    if (method !== 'basic') return rejected('other');
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'));
    if (admin === undefined || expected === undefined || !timingSafeEqual(given, expected)) {
      return rejected(method);
    }
    const principal: Principal = { kind: 'admin', name: admin.username };
    return { kind: 'principal', principal, standing: FOR_GOOD };
  };
  return { authenticate, settle: () => undefined };
}

const rejected = (method: string): Authentication => ({
  kind: 'rejected',
  method,
  error: new NodeError('AUTHENTICATION_REQUIRED', 'these credentials are not known here', {
    blame: 'client',
  }),
});

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
