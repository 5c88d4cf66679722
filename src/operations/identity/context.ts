/**
 * What the operations about who may sign in need: the rows, what writes them, what hashes and
 * signs, and the desk where sign-ins are made.
 */

import type { Audit } from '../../access/audit.ts';
import type { Directory } from '../../access/identity/directory.ts';
import type { ConfiguredAdmin, Identities } from '../../access/identity/identities.ts';
import type { PasswordHasher } from '../../access/identity/password-hash.ts';
import type { Registry } from '../../access/identity/registry.ts';
import type { Setup } from '../../access/identity/setup.ts';
import type { SignIns } from '../../access/identity/sign-ins.ts';
import type { TokenIssuer } from '../../access/identity/tokens.ts';

export interface IdentityContext {
  readonly directory: Directory;
  readonly identities: Identities;
  readonly registry: Registry;
  readonly hasher: PasswordHasher;
  readonly issuer: TokenIssuer;
  readonly signIns: SignIns;
  readonly admin: ConfiguredAdmin | undefined;
  /** While there is no administrator. */
  readonly setup: Setup | undefined;
  readonly audit: Audit;
  /** Resolves when what this thread has told the audit log can be read. */
  readonly auditWritten: () => Promise<void>;
  readonly now: () => number;
}
