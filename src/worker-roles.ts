/**
 * Who may do what on one thread: the configured administrator and the roles of `roles.yaml`, which
 * are followed while the node runs. A request is judged by the roles of the moment it arrived.
 */
import type { Audit } from './access/audit.ts';
import { type Authenticator, createAuthenticator, type Standing } from './access/authenticate.ts';
import { createImpersonate, withImpersonation } from './access/impersonate.ts';
import type { Config } from './config/config.ts';
import { differingPaths } from './config/differences.ts';
import {
  type Configuration,
  type PreparedPart,
  type ReloadPart,
  UNCHANGED,
} from './config/reload.ts';
import type { Roles } from './config/roles-file.ts';

export class ThreadRoles implements ReloadPart {
  readonly name = 'roles';
  readonly #admin: { readonly username: string; readonly password: string } | undefined;
  readonly #audit: Audit;
  #roles: Roles;
  #current: Authenticator;

  constructor({ admin }: Config, roles: Roles, audit: Audit) {
    const { username, password } = admin;
    this.#admin =
      username === undefined || password === undefined ? undefined : { username, password };
    this.#roles = roles;
    this.#audit = audit;
    this.#current = this.#authenticatorOf(roles);
  }

  /** Connections that were judged by earlier roles are told to come back. */
  #authenticatorOf(roles: Roles): Authenticator {
    const standing: Standing = {
      state: () => (this.#roles === roles ? 'holds' : 'changed'),
    };
    const authenticator = createAuthenticator({ admin: this.#admin, roles, standing });
    const impersonate = createImpersonate({ roles, standing, audit: this.#audit });
    return withImpersonation(authenticator, impersonate);
  }

  readonly authenticator: Authenticator = {
    authenticate: (asking) => this.#current.authenticate(asking),
    settle: (asking) => this.#current.settle(asking),
  };

  prepare({ application: { roles } }: Configuration): PreparedPart {
    const changed = differingPaths(Object.fromEntries(this.#roles), Object.fromEntries(roles));
    if (changed.length === 0) return UNCHANGED;
    const current = this.#authenticatorOf(roles);
    return {
      changes: changed.map(({ path }) => `roles.yaml: ${path}`),
      apply: () => {
        this.#roles = roles;
        this.#current = current;
        for (const { path } of changed) {
          this.#audit({ kind: 'grantChanged', by: undefined, change: 'reloaded', what: path });
        }
      },
    };
  }
}
