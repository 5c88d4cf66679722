/**
 * The guards of the other ports, held by MQTT too: who may connect, how many requests a second an
 * address, a credential and a user may make (CONNECT, SUBSCRIBE and PUBLISH are requests), and what
 * is refused while memory runs short. All counts are shared with the app port.
 */
import type { Asking } from './access/asking.ts';
import type { Principal } from './access/principal.ts';
import type { NodeError } from './base/errors.ts';
import type { Refusal } from './protocols/http/framing.ts';
import { MEMORY_LIMIT, overloaded } from './protocols/http/shedding.ts';
import type { Door } from './protocols/mqtt/tcp.ts';
import { createAdmission, type GuardParts, tooMany } from './worker-guard.ts';

export interface MqttPacing {
  /** Why this CONNECT comes too early. */
  signIn(asking: Asking): NodeError | undefined;
  /** Why somebody who has signed in has to wait. */
  ask(verb: 'subscribe' | 'publish', principal: Principal, asking: Asking): NodeError | undefined;
}

export interface MqttGuard extends MqttPacing, Door {}

/** `hit` is told the name of each limit that refuses something. */
export function createMqttGuard(parts: GuardParts, hit: (limit: string) => void): MqttGuard {
  const { guard } = parts;
  const admission = createAdmission(parts);
  const counted = (refusal: Refusal | undefined): NodeError | undefined => {
    if (refusal === undefined) return undefined;
    if (refusal.limit !== undefined) hit(refusal.limit);
    return tooMany(refusal);
  };
  const short = (level: number): NodeError | undefined => {
    if (guard.level < level) return undefined;
    hit(MEMORY_LIMIT);
    return overloaded();
  };
  return {
    enter(address) {
      const refusal = admission.enter(address);
      if (refusal?.limit !== undefined) hit(refusal.limit);
      return refusal === undefined;
    },
    leave: (address) => admission.leave(address),
    signIn: (asking) => (admission.asksRequests ? counted(admission.request(asking)) : undefined),
    ask(verb, principal, { remoteAddress }) {
      const shortage = short(verb === 'publish' ? 2 : 1);
      if (shortage !== undefined) return shortage;
      // What was shown is counted when it is shown: at CONNECT.
      const asked = { remoteAddress, header: () => undefined };
      const early = admission.asksRequests ? counted(admission.request(asked)) : undefined;
      if (early !== undefined || principal.kind !== 'user') return early;
      return counted(admission.principal(principal.name));
    },
  };
}
