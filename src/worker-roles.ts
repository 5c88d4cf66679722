/**
 * The roles of `roles.yaml` on one thread, which are followed while the node runs: whoever asks
 * next is judged by the new ones, and connections of those whose rights they change come back.
 */
import type { Audit } from './access/audit.ts';
import type { Identities } from './access/identity/identities.ts';
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
  readonly #identities: Identities;
  readonly #audit: Audit;
  #roles: Roles;

  constructor(identities: Identities, roles: Roles, audit: Audit) {
    this.#identities = identities;
    this.#roles = roles;
    this.#audit = audit;
  }

  prepare({ application: { roles } }: Configuration): PreparedPart {
    const changed = differingPaths(Object.fromEntries(this.#roles), Object.fromEntries(roles));
    if (changed.length === 0) return UNCHANGED;
    return {
      changes: changed.map(({ path }) => `roles.yaml: ${path}`),
      apply: () => {
        this.#roles = roles;
        this.#identities.declare(roles);
        for (const { path } of changed) {
          this.#audit({ kind: 'grantChanged', by: undefined, change: 'reloaded', what: path });
        }
      },
    };
  }
}
