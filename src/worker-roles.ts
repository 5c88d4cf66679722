/**
 * Who may do what on one thread: the configured administrator and the roles of `roles.yaml`, which
 * are followed while the node runs. A request is judged by the roles of the moment it arrived.
 */
import { type Authenticator, createAuthenticator } from './access/authenticate.ts';
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
  #roles: Roles;
  #current: Authenticator;

  constructor({ admin }: Config, roles: Roles) {
    const { username, password } = admin;
    this.#admin =
      username === undefined || password === undefined ? undefined : { username, password };
    this.#roles = roles;
    this.#current = createAuthenticator({ admin: this.#admin, roles });
  }

  readonly authenticator: Authenticator = {
    authenticate: (asking) => this.#current.authenticate(asking),
    settle: (asking) => this.#current.settle(asking),
  };

  prepare({ application: { roles } }: Configuration): PreparedPart {
    const changed = differingPaths(Object.fromEntries(this.#roles), Object.fromEntries(roles));
    if (changed.length === 0) return UNCHANGED;
    const current = createAuthenticator({ admin: this.#admin, roles });
    return {
      changes: changed.map(({ path }) => `roles.yaml: ${path}`),
      apply: () => {
        this.#roles = roles;
        this.#current = current;
      },
    };
  }
}
