/**
 * Who asks, and what they were granted. Principals are made by `authenticate` and judged by
 * `authorise`; protocols only carry them. A principal carries its grants, so a verdict needs
 * nothing else; a long-lived connection asks `authenticate` again for a newer one.
 */
import { type Grants, PUBLIC_GRANTS } from './grants.ts';

export type Principal =
  | { readonly kind: 'anonymous'; readonly grants: Grants }
  /** Somebody with roles: a user, an API key, a certificate. */
  | {
      readonly kind: 'user';
      readonly name: string;
      readonly roles: readonly string[];
      readonly grants: Grants;
    }
  /** The configured administrator, or a user with a role marked `admin`: may do everything. */
  | { readonly kind: 'admin'; readonly name: string };

/** Nobody in particular, where no roles are declared: what the exports list as `public`. */
export const ANONYMOUS: Principal = Object.freeze({ kind: 'anonymous', grants: PUBLIC_GRANTS });
