/**
 * An administrator who acts as somebody lesser, to see what they see: the request says who in the
 * field `Millrace-Impersonate`, and is then judged as theirs on every protocol. It only ever takes
 * rights away, since none has more than an administrator; anybody else who sends it is refused.
 *
 *   Millrace-Impersonate: user=ann
 *   Millrace-Impersonate: role=editor&desk=sport      (what filters may name of the user follows)
 *   Millrace-Impersonate: anonymous
 */
import { NodeError } from '../base/errors.ts';
import type { Roles } from '../config/roles-file.ts';
import type { Asking } from './asking.ts';
import type { Audit } from './audit.ts';
import type { Authentication, Authenticator, Standing, StandingState } from './authenticate.ts';
import { compileGrants } from './grants.ts';
import type { Principal } from './principal.ts';

export const IMPERSONATE_FIELD = 'millrace-impersonate';

export interface ImpersonationParts {
  /** As they are now; another object when one has changed. */
  readonly roles: () => Roles;
  /** Somebody with a name of their own; absent where no users are kept. */
  readonly userNamed?: ((name: string) => Principal | undefined) | undefined;
  readonly audit: Audit;
}

/** Whom an administrator acts as; throws `ACCESS_DENIED` or `NOT_FOUND`. */
export type Impersonate = (
  by: Identified,
  whom: string,
  from: Pick<Asking, 'remoteAddress'>,
) => Identified;

type Identified = Extract<Authentication, { kind: 'principal' }>;

export function createImpersonate(parts: ImpersonationParts): Impersonate {
  return (asked, whom, { remoteAddress: address }) => {
    const by = asked.principal;
    if (by.kind !== 'admin') {
      const message = 'only an administrator may act as somebody else; leave out the impersonation';
      throw new NodeError('ACCESS_DENIED', message, { blame: 'client' });
    }
    const principal = personOf(whom, parts);
    parts.audit({ kind: 'impersonated', by: by.name, as: describe(principal), address });
    // It ends with the sign-in of the administrator, and changes with the roles.
    const roles = parts.roles();
    const standing = bothOf(asked.standing, {
      state: () => (parts.roles() === roles ? 'holds' : 'changed'),
      renewed: () => undefined,
    });
    return { kind: 'principal', principal, standing };
  };
}

/** The same authenticator, for askers of whom some act as others. */
export function withImpersonation(
  authenticator: Authenticator,
  impersonate: Impersonate,
): Authenticator {
  return {
    ...authenticator,
    authenticate(asking) {
      const found = authenticator.authenticate(asking);
      // Anonymous clients have nothing to lose, and pay for no further field.
      if (found.kind === 'rejected' || found.principal.kind === 'anonymous') return found;
      const whom = asking.header(IMPERSONATE_FIELD);
      return whom === undefined ? found : acting(found, whom, asking, impersonate);
    },
  };
}

function bothOf(one: Standing, other: Standing): Standing {
  const state = (): StandingState => {
    const first = one.state();
    return first === 'holds' ? other.state() : first;
  };
  // Acting as somebody else is asked for anew.
  return { state, renewed: () => undefined };
}

function acting(
  asked: Identified,
  whom: string,
  asking: Asking,
  impersonate: Impersonate,
): Authentication {
  try {
    return impersonate(asked, whom, asking);
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    return { kind: 'rejected', method: 'impersonation', error };
  }
}

function personOf(whom: string, { roles: rolesNow, userNamed }: ImpersonationParts): Principal {
  const roles = rolesNow();
  if (whom === 'anonymous') return { kind: 'anonymous', grants: compileGrants(roles, [], {}) };
  const { user, role, ...facts } = Object.fromEntries(new URLSearchParams(whom));
  if (user !== undefined) {
    const found = userNamed?.(user);
    if (found !== undefined) return found;
    throw unknown(`there is no active user ${JSON.stringify(user)}`);
  }
  const names = role?.split(',') ?? [];
  const missing = names.find((name) => !roles.has(name));
  if (names.length > 0 && missing === undefined) {
    const grants = compileGrants(roles, names, facts);
    return { kind: 'user', name: `(${names.join()})`, roles: names, grants };
  }
  const known = [...roles.keys()].join(', ') || 'none';
  throw unknown(
    missing === undefined
      ? 'impersonate user=NAME, role=NAME or anonymous'
      : `there is no role ${JSON.stringify(missing)}; there is ${known}`,
  );
}

const describe = (principal: Principal): string =>
  principal.kind === 'anonymous' ? 'anonymous' : principal.name;

const unknown = (message: string): NodeError =>
  new NodeError('NOT_FOUND', `impersonation: ${message}`, { blame: 'client' });
