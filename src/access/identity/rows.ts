/**
 * What the system tables hold, as it is stored: JSON, read back by `Directory`, written by
 * `Registry`. Instants are milliseconds since the epoch. No row holds a password, a key or a cookie
 * that would let its reader in.
 */
import type { RoleDefinition } from '../../config/roles-file.ts';
import type { UserFacts } from '../row-condition.ts';

export interface UserRow {
  readonly id: string;
  readonly roles: readonly string[];
  readonly active: boolean;
  /** Argon2id, in the PHC form; absent for those who sign in by certificate or key only. */
  readonly password?: string | undefined;
  /** Changes with the password: whatever was issued under another mark is worth nothing. */
  readonly mark: string;
  /** Reached as `${user.NAME}` in the filters of roles. */
  readonly facts?: UserFacts | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface RoleRow {
  readonly id: string;
  readonly definition: RoleDefinition;
  /** As it was given to the operation, to be shown again. */
  readonly permission: unknown;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ApiKeyRow {
  readonly id: string;
  /** SHA-256 of the secret part: it is random, so nothing slower is needed. */
  readonly secretHash: string;
  readonly name: string;
  readonly username: string;
  /** What it may be used for, such as `read:Story`; everything its user may when absent. */
  readonly scopes?: readonly string[] | undefined;
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
}

export interface SessionRow {
  readonly id: string;
  readonly username: string;
  readonly mark: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface RevocationRow {
  readonly id: string;
  readonly revokedAt: number;
  readonly expiresAt: number;
}

export interface SigningKeyRow {
  readonly id: string;
  /** The public key as a JWK. */
  readonly key: Readonly<Record<string, unknown>>;
  /** The node that signs with it. */
  readonly node: string;
  readonly createdAt: number;
  /** When the last token signed with it has expired. */
  readonly expiresAt: number;
}
