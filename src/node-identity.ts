/**
 * The store thread's part of who may sign in: the rows and what writes them, the keys of this node,
 * the desk where passwords are checked for all threads.
 */
import type { AuditEvent } from './access/audit.ts';
import { BackOff } from './access/identity/back-off.ts';
import { Directory } from './access/identity/directory.ts';
import { KeyFolder } from './access/identity/key-folder.ts';
import { PasswordHasher } from './access/identity/password-hash.ts';
import { Registry } from './access/identity/registry.ts';
import { Setup } from './access/identity/setup.ts';
import { createSignIns, type SignInOutcome, type SignIns } from './access/identity/sign-ins.ts';
import { TokenIssuer } from './access/identity/tokens.ts';
import type { Clock } from './base/clock.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import type { Roles } from './config/roles-file.ts';
import { PasswordThread } from './node-passwords.ts';
import type { Log } from './observe/log.ts';
import type { Store } from './store/store-options.ts';
import { type KnownAdmin, type ThreadIdentity, threadIdentity } from './worker-identity.ts';

export interface IdentityParts {
  readonly store: Store;
  readonly config: Config;
  readonly roles: Roles;
  readonly clock: Clock;
  readonly log: Log;
}

export interface NodeIdentity extends ThreadIdentity {
  readonly admin: KnownAdmin;
  readonly registry: Registry;
  readonly hasher: PasswordHasher;
  readonly issuer: TokenIssuer;
  /** While nobody can sign in as an administrator. */
  readonly setup: Setup | undefined;
  /** Writes what is still to be noted. */
  close(): Promise<void>;
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
  const passwords = new PasswordThread();
  const hasher = new PasswordHasher(passwords, LIMITS.signInsConcurrency);
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
    onOutcome: (outcome) => tell(outcome, thread),
  });
  const thread: ThreadIdentity = threadIdentity({
    ...{ ...parts, reader: store, writer: store, signIns, admin },
    thread: 0,
  });
  const setup = Setup.begin({
    ...{ ...thread, registry, hasher, clock },
    dataFolder: config.dataFolder,
    hasConfiguredAdmin: admin !== undefined,
  });
  return {
    ...thread,
    ...{ admin, registry, hasher, issuer, setup },
    async close() {
      setup?.close();
      await thread.auditLog.flush();
      await passwords.close();
    },
  };
}

/** A password that comes with every request is verified again and again, and told now and then. */
function tell(outcome: SignInOutcome, { audit, signInLog }: ThreadIdentity): void {
  const { kind, how: method, username: by, address } = outcome;
  if (kind !== 'signedIn' || method !== 'password' || by === undefined) audit(eventOf(outcome));
  else signInLog.signedIn({ by, method, address });
}

function eventOf({ kind, how, username: by, address }: SignInOutcome): AuditEvent {
  const facts = { by, address, method: how };
  if (kind === 'signedIn') return { kind: 'signedIn', ...facts };
  if (kind === 'signedOut') return { kind: 'signedOut', ...facts };
  const reason = kind === 'throttled' ? 'too many failures' : 'wrong credentials';
  return { kind: 'signInRefused', ...facts, reason };
}
