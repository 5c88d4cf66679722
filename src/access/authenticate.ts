/**
 * From an `Authorization` field to a principal. Basic credentials are compared as SHA-256 digests
 * in constant time, so neither the length nor a prefix of the password can be measured.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Roles } from '../config/roles-file.ts';
import { compileGrants } from './grants.ts';
import type { Principal } from './principal.ts';

export interface AdminCredentials {
  readonly username: string;
  readonly password: string;
}

export type Authentication =
  | { readonly kind: 'principal'; readonly principal: Principal }
  | { readonly kind: 'rejected'; readonly method: string };

export type Authenticate = (authorization: string | undefined) => Authentication;

/** Whom a node knows. */
export interface Known {
  readonly admin: AdminCredentials | undefined;
  readonly roles: Roles;
}

/**
 * Knows the configured administrator, or nobody at all. No credentials is anonymous, wrong ones are
 * rejected.
 */
export function createAuthenticate({ admin, roles }: Known): Authenticate {
  const anonymous: Principal = { kind: 'anonymous', grants: compileGrants(roles, [], {}) };
  const nobody: Authentication = { kind: 'principal', principal: anonymous };
  const expected = admin === undefined ? undefined : digest(`${admin.username}:${admin.password}`);
  return (authorization) => {
    if (authorization === undefined || authorization === '') return nobody;
    const [scheme = '', credentials = ''] = authorization.split(' ', 2);
    const method = scheme.toLowerCase();
    if (method !== 'basic') return { kind: 'rejected', method: 'other' };
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'));
    if (admin === undefined || expected === undefined || !timingSafeEqual(given, expected)) {
      return { kind: 'rejected', method };
    }
    return { kind: 'principal', principal: { kind: 'admin', name: admin.username } };
  };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
