/**
 * Who may sign in, over a store in memory: for tests that need somebody to be let in, and for those
 * of signing in itself.
 */
import { type Asking, askingWith } from '../../src/access/asking.ts';
import type { AuditEvent } from '../../src/access/audit.ts';
import type { AdminCredentials, Authentication } from '../../src/access/authenticate.ts';
import { argon2id } from '../../src/access/identity/argon2id.ts';
import { createAuthenticator } from '../../src/access/identity/authenticator.ts';
import { BackOff } from '../../src/access/identity/back-off.ts';
import { Directory } from '../../src/access/identity/directory.ts';
import { Identities } from '../../src/access/identity/identities.ts';
import { Issuers } from '../../src/access/identity/issuers.ts';
import { PasswordHasher } from '../../src/access/identity/password-hash.ts';
import { Registry } from '../../src/access/identity/registry.ts';
import { createSignIns, type SignInOutcome } from '../../src/access/identity/sign-ins.ts';
import { SYSTEM_TABLES, WATCHED_TABLES } from '../../src/access/identity/system-tables.ts';
import { type SigningKey, TokenIssuer } from '../../src/access/identity/tokens.ts';
import { SignInLog } from '../../src/access/sign-in-log.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { CertificateRule, IssuerSettings } from '../../src/config/auth-settings.ts';
import type { Roles } from '../../src/config/roles-file.ts';
import { openMemoryStore } from '../../src/store/memory/open.ts';

export interface IdentityOptions {
  readonly admin?: AdminCredentials | undefined;
  readonly roles?: Roles | undefined;
  readonly clock?: Clock | undefined;
  readonly issuers?: readonly IssuerSettings[] | undefined;
  readonly fetchKeys?: (() => Promise<unknown>) | undefined;
  readonly certificates?: readonly CertificateRule[] | undefined;
  readonly mayTakeCertificatesBack?: boolean | undefined;
}

export function openTestIdentity(options: IdentityOptions = {}) {
  const clock = options.clock ?? systemClock;
  const store = openMemoryStore({
    definitions: SYSTEM_TABLES,
    watched: WATCHED_TABLES,
    clock,
    checkRecord: () => undefined,
    indexedValues: () => ({}),
  });
  const directory = new Directory(store);
  const registry = new Registry(store, clock);
  const hasher = new PasswordHasher(argon2id, 2);
  const admin = options.admin === undefined ? undefined : { ...options.admin, mark: 'configured' };
  const roles = options.roles ?? new Map();
  let kept: SigningKey | undefined;
  const keeper = {
    load: () => kept,
    save: (key: SigningKey) => {
      kept = key;
    },
  };
  const issuer = new TokenIssuer({ keeper, registry, node: 'n1', now: () => clock.now() });
  const outcomes: SignInOutcome[] = [];
  const events: AuditEvent[] = [];
  const signIns = createSignIns({
    ...{ directory, registry, hasher, issuer, admin, clock },
    backOff: new BackOff(clock),
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  const identities = new Identities({ directory, roles, admin, clock });
  const fetchKeys = options.fetchKeys ?? (() => Promise.reject(new Error('no keys')));
  const authenticator = createAuthenticator({
    ...{ identities, directory, signIns },
    issuers: new Issuers(options.issuers ?? [], fetchKeys, clock),
    certificates: options.certificates ?? [],
    signInLog: new SignInLog(
      (event) => void events.push(event),
      () => clock.now(),
    ),
    mayTakeCertificatesBack: options.mayTakeCertificatesBack ?? false,
  });
  const ask = async (asking: Asking): Promise<Authentication> => {
    await authenticator.settle(asking);
    return authenticator.authenticate(asking);
  };
  return {
    ...{ store, directory, registry, hasher, issuer, signIns, identities, authenticator, outcomes },
    ask,
  };
}

export type TestIdentity = ReturnType<typeof openTestIdentity>;

/** A request with these fields. */
export const asking = (
  fields: Readonly<Record<string, string>> = {},
  rest: Partial<Asking> = {},
): Asking => ({
  method: 'GET',
  remoteAddress: '192.0.2.1',
  header: (name) => fields[name],
  ...rest,
});

export const basic = (username: string, password: string, remoteAddress = '192.0.2.1'): Asking =>
  askingWith({ username, password, remoteAddress });

export const bearer = (token: string): Asking => asking({ authorization: `Bearer ${token}` });
