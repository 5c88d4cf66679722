/**
 * The store thread's part of who may sign in: the rows and what writes them, the keys of this node,
 * the desk where passwords are checked for all threads.
 */
import type { Audit } from './access/audit.ts';
import { BackOff } from './access/identity/back-off.ts';
import { Directory } from './access/identity/directory.ts';
import { KeyFolder } from './access/identity/key-folder.ts';
import { PasswordHasher } from './access/identity/password-hash.ts';
import { Registry } from './access/identity/registry.ts';
import { createSignIns, type SignInOutcome, type SignIns } from './access/identity/sign-ins.ts';
import { TokenIssuer } from './access/identity/tokens.ts';
import type { Clock } from './base/clock.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import type { Roles } from './config/roles-file.ts';
import type { Log } from './observe/log.ts';
import type { Store } from './store/store-options.ts';
import { type KnownAdmin, type ThreadIdentity, threadIdentity } from './worker-identity.ts';

export interface IdentityParts {
  readonly store: Store;
  readonly config: Config;
  readonly roles: Roles;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly onOutcome: (outcome: SignInOutcome) => void;
}

export interface NodeIdentity extends ThreadIdentity {
  readonly admin: KnownAdmin;
  readonly registry: Registry;
  readonly hasher: PasswordHasher;
  readonly issuer: TokenIssuer;
}

export function openIdentity(parts: IdentityParts): NodeIdentity {
  const { store, config, clock } = parts;
  const keys = new KeyFolder(config.dataFolder);
  const { username, password } = config.admin;
  const admin =
    username === undefined || password === undefined
      ? undefined
      : keys.marked({ username, password });
  const registry = new Registry(store, clock);
  const hasher = new PasswordHasher(LIMITS.signInsConcurrency);
  const issuer = new TokenIssuer({
    keeper: keys,
    registry,
    node: config.cluster.name,
    now: () => clock.now(),
  });
  const signIns: SignIns = createSignIns({
    ...parts,
    ...{ registry, hasher, issuer, admin },
    directory: new Directory(store),
    backOff: new BackOff(clock),
  });
  return {
    ...threadIdentity({ ...parts, reader: store, signIns, admin }),
    ...{ admin, registry, hasher, issuer },
  };
}
