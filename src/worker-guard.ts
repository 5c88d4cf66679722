/**
 * Puts the guards of a thread around what it serves: who is admitted, what is refused while memory
 * runs short, and how much one user may ask for. Each guard stands aside at the cost of one
 * comparison while it has nothing to refuse.
 */
import type { Authentication, Authenticator } from './access/authenticate.ts';
import type { Principal } from './access/principal.ts';
import type { RefusalLog } from './access/refusal-log.ts';
import type { Clock } from './base/clock.ts';
import { NodeError } from './base/errors.ts';
import { deniedOf } from './base/refusals.ts';
import type { Config } from './config/config.ts';
import type { Resolve } from './feed/resolve.ts';
import { SharedAdmission } from './protocols/http/admission.ts';
import { proxyTrust } from './protocols/http/client-address.ts';
import type { Refusal } from './protocols/http/framing.ts';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import type { HttpHandler } from './protocols/http/port.ts';
import { overloaded, withShedding } from './protocols/http/shedding.ts';
import type { RestResource } from './protocols/rest/resource.ts';
import type { ThreadLimits } from './worker-limits.ts';
import { routePath } from './worker-routes.ts';

export interface GuardParts {
  readonly guard: GuardMemory;
  readonly config: Config;
  readonly clock: Clock;
  /** Those of the thread, as they are now. */
  readonly limits: ThreadLimits;
}

export function createAdmission({ guard, config, clock, limits }: GuardParts): SharedAdmission {
  const trust = proxyTrust(config.http.trustedProxies);
  const nowMs = () => clock.now();
  const admission = new SharedAdmission({ memory: guard, limits: limits.now, trust, nowMs });
  limits.onChange((next) => admission.use(next));
  return admission;
}

interface Identified {
  readonly identity: { readonly authenticator: Authenticator };
}

/** Counts the requests of each user. */
export function limitedAuthenticator(
  admission: SharedAdmission,
  { identity: { authenticator } }: Identified,
): Authenticator {
  return {
    ...authenticator,
    authenticate(asking): Authentication {
      const found = authenticator.authenticate(asking);
      if (found.kind === 'rejected' || found.principal.kind !== 'user') return found;
      const refusal = admission.principal(found.principal.name);
      if (refusal === undefined) return found;
      return { kind: 'rejected', method: 'rate', error: tooMany(refusal) };
    },
  };
}

/** A refusal at the door as an error, for whoever is further inside. */
export function tooMany({ code, detail, limit, headers = [] }: Refusal): NodeError {
  const details = { limit, retryAfterSeconds: Number(headers[1] ?? 1) };
  return new NodeError(code, detail, { blame: 'client', retry: 'later', details });
}

/** No new subscriptions while memory runs short, nor beyond what one user may hold. */
export function limitedResolve(
  resolve: Resolve<Principal>,
  { guard, limits }: Pick<GuardParts, 'guard' | 'limits'>,
): Resolve<Principal> {
  return (target, principal, protocol) => {
    if (guard.level > 0) return { kind: 'refused', error: overloaded() };
    const resolution = resolve(target, principal, protocol);
    if (resolution.kind === 'refused' || principal.kind !== 'user') return resolution;
    const owner = principal.name;
    const most = limits.now.subscriptionsPerPrincipalMax;
    if (guard.subscriptions.of(owner) >= most) {
      return { kind: 'refused', error: tooManySubscriptions(most) };
    }
    return { kind: 'resolved', request: { ...resolution.request, owner } };
  };
}

/** Tells of subscriptions that were not granted to somebody who has signed in. */
export function notingRefusals(
  resolve: Resolve<Principal>,
  refusals: RefusalLog,
): Resolve<Principal> {
  return (target, principal, protocol) => {
    const resolution = resolve(target, principal, protocol);
    if (resolution.kind !== 'refused' || principal.kind === 'anonymous') return resolution;
    const { code } = resolution.error;
    // An event stream is a request, and told of as one.
    if (code === 'ACCESS_DENIED' && protocol !== 'sse') {
      const what = deniedOf(resolution.error);
      refusals.add({ by: principal.name, address: '', protocol, what });
    }
    return resolution;
  };
}

function tooManySubscriptions(most: number): NodeError {
  const limit = 'subscriptionsPerPrincipalMax';
  const message = `a user holds at most ${most} subscriptions (limits.${limit})`;
  return new NodeError('SUBSCRIPTION_LIMIT', message, { blame: 'client', details: { limit } });
}

/** `handler` behind the guard that sheds. */
export function shedding(
  handler: HttpHandler,
  resources: ReadonlyMap<string, RestResource>,
  { guard }: Pick<GuardParts, 'guard'>,
): HttpHandler {
  return withShedding(
    handler,
    () => guard.level,
    ({ path, query }) => {
      const routed = routePath(resources, path);
      if (routed === undefined) return false;
      return query !== '' || routed.rest === '' || routed.rest.endsWith('/');
    },
  );
}
