/**
 * From verified credentials to a principal, as of now, on one thread. The roles of `roles.yaml` and
 * those made by operation are put together here. While nothing about a user has changed the same
 * principal is handed out, so that a connection can tell whether its rights are still the same.
 */
import type { Clock } from '../../base/clock.ts';
import type { RoleDefinition, Roles } from '../../config/roles-file.ts';
import { compileGrants } from '../grants.ts';
import type { Principal } from '../principal.ts';
import type { UserFacts } from '../row-condition.ts';
import type { Directory } from './directory.ts';
import type { RoleRow } from './rows.ts';
import { narrowed } from './scopes.ts';
import type { Verified } from './verified.ts';

/** The administrator of the configuration; `mark` changes with the password. */
export interface ConfiguredAdmin {
  readonly username: string;
  readonly mark: string;
}

export interface IdentityParts {
  readonly directory: Directory;
  /** Of `roles.yaml`. */
  readonly roles: Roles;
  readonly admin: ConfiguredAdmin | undefined;
  readonly clock: Clock;
}

/** What a principal is made of; equal ones need no new principal. */
interface Found {
  readonly isAdmin: boolean;
  readonly roles: readonly string[];
  readonly facts: UserFacts;
}

const CONFIGURED: Found = { isAdmin: true, roles: [], facts: {} };

export class Identities {
  readonly #parts: IdentityParts;
  #declared: Roles;
  #declarations = 0;
  #roles: Roles;
  #rolesPrint = '';
  #rolesVersion = -1;

  constructor(parts: IdentityParts) {
    this.#parts = parts;
    this.#declared = parts.roles;
    this.#roles = parts.roles;
  }

  /** Moves with every change that may concern a credential. */
  version(): number {
    return this.#parts.directory.version() + this.#declarations;
  }

  /** `roles.yaml` says something else now. */
  declare(roles: Roles): void {
    this.#declared = roles;
    this.#declarations += 1;
    this.#rolesPrint = '';
  }

  now(): number {
    return this.#parts.clock.now();
  }

  /** All roles there are; the same object while none has changed. */
  roles(): Roles {
    const version = this.version();
    if (version === this.#rolesVersion) return this.#roles;
    const rows = this.#parts.directory.roles();
    const print = JSON.stringify(rows.map(({ id, definition }) => [id, definition]));
    if (print !== this.#rolesPrint) {
      this.#rolesPrint = print;
      this.#roles = new Map([...rows.map(entryOf), ...this.#declared]);
    }
    this.#rolesVersion = version;
    return this.#roles;
  }

  /**
   * The principal, or `undefined` when the credentials hold no more; `before` itself when it would
   * be the same again.
   */
  principalOf(verified: Verified, before: Made | undefined): Made | undefined {
    const found = this.#holds(verified) ? this.#find(verified) : undefined;
    if (found === undefined) return undefined;
    const roles = this.roles();
    const print = JSON.stringify(found) + printOf(roles, found.roles);
    if (before?.print === print) return before;
    const principal = principalFor(verified.username, found, roles);
    const { scopes } = verified;
    return {
      principal: scopes === undefined ? principal : narrowed(principal, scopes),
      print,
    };
  }

  /** Somebody by name, as if they had signed in; `undefined` when there is no active such user. */
  named(username: string): Principal | undefined {
    return this.principalOf({ via: 'basic', username }, undefined)?.principal;
  }

  /** Who did not sign in, as the roles are now. */
  nobody(): Principal {
    return { kind: 'anonymous', grants: compileGrants(this.roles(), [], {}) };
  }

  #holds({ until, row, tokenId }: Verified): boolean {
    const { directory } = this.#parts;
    if (until !== undefined && until <= this.now()) return false;
    if (row?.table === 'apiKey' && directory.apiKey(row.id) === undefined) return false;
    if (row?.table === 'session' && directory.session(row.id) === undefined) return false;
    return tokenId === undefined || directory.revocation(tokenId) === undefined;
  }

  #find({ username, mark, claimed, via }: Verified): Found | undefined {
    const { admin, directory } = this.#parts;
    if (claimed !== undefined) return this.#withAdmin(claimed.roles, claimed.facts);
    if (admin !== undefined && admin.username === username) {
      // No authority of certificates makes somebody the administrator of the configuration.
      return via === 'key' || mark === admin.mark ? CONFIGURED : undefined;
    }
    const user = directory.user(username);
    if (user?.active !== true || (mark !== undefined && mark !== user.mark)) return undefined;
    return this.#withAdmin(user.roles, { ...user.facts, username });
  }

  #withAdmin(roles: readonly string[], facts: UserFacts): Found {
    const all = this.roles();
    return { isAdmin: roles.some((name) => all.get(name)?.admin === true), roles, facts };
  }
}

/** A principal and what it was made from. */
export interface Made {
  readonly principal: Principal;
  readonly print: string;
}

function principalFor(name: string, found: Found, roles: Roles): Principal {
  if (found.isAdmin) return { kind: 'admin', name };
  const grants = compileGrants(roles, found.roles, found.facts);
  return { kind: 'user', name, roles: found.roles, grants };
}

/** What these roles grant, and what everybody is granted, as a text to be compared. */
export const printOf = (roles: Roles, names: readonly string[]): string =>
  JSON.stringify(['anonymous', ...names].map((name) => roles.get(name)));

const entryOf = ({ id, definition }: RoleRow): [string, RoleDefinition] => [id, definition];
