/**
 * What is left of credentials once they were verified: whose they are, how they came, and what must
 * still hold for them to be worth anything. Plain data, so that a thread can tell another.
 */
import type { ClientCertificate } from '../asking.ts';
import type { UserFacts } from '../row-condition.ts';

export type SignInMethod = 'basic' | 'bearer' | 'key' | 'session' | 'certificate';

export interface Verified {
  readonly via: SignInMethod;
  readonly username: string;
  /** The user's mark when these were issued; `undefined`: they do not depend on a password. */
  readonly mark?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly until?: number | undefined;
  /** A row that must be there. */
  readonly row?: { readonly table: 'apiKey' | 'session'; readonly id: string } | undefined;
  /** A token that must not be revoked. */
  readonly tokenId?: string | undefined;
  /** Narrow what the user may. */
  readonly scopes?: readonly string[] | undefined;
  /** Said by a trusted issuer or by the map of certificates: no row of a user is needed. */
  readonly claimed?: { readonly roles: readonly string[]; readonly facts: UserFacts } | undefined;
  /** What the configuration made the above of: after a restart it may make something else. */
  readonly by?:
    | { readonly kind: 'certificate'; readonly certificate: ClientCertificate }
    /** `name`: of the issuer in the configuration; `roles`: as it says them. */
    | { readonly kind: 'issuer'; readonly name: string; readonly roles: readonly string[] }
    | undefined;
}
