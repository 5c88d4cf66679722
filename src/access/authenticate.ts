/**
 * From what a request brings to a principal, on one thread. Credentials that were seen before are
 * found by a keyed hash, so that no password or token is kept; those that were not are verified by
 * `settle`, which protocols await before they ask. `authenticate` itself answers at once.
 *
 *   nothing ─► anonymous      seen before ─► as of now      key, cookie ─► looked up at once
 *                             else: settle ─► password or token verified ─► as above, or rejected
 */
import type { NodeError } from '../base/errors.ts';
import { unknownCredentials } from '../base/refusals.ts';
import type { Asking } from './asking.ts';
import type { Verified } from './identity/verified.ts';
import type { Principal } from './principal.ts';

export interface AdminCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * What has become of verified credentials: they hold; they hold, and what they stand for may do
 * something else by now (its roles changed); or they are worth nothing any more (expired, revoked).
 */
export type StandingState = 'holds' | 'changed' | 'gone';

/** For connections that outlive the request which opened them. */
export interface Standing {
  state(): StandingState;
  /** Who it is by now, with what it may do by now; `undefined` when it is nobody any more. */
  renewed(): Principal | undefined;
  /** What was verified, for what outlives the process; `undefined`: nothing was. */
  readonly verified?: Verified | undefined;
}

export type Authentication =
  | { readonly kind: 'principal'; readonly principal: Principal; readonly standing: Standing }
  /** `error`: what the client is told, and whether it may come back (429, 503) or not (401). */
  | { readonly kind: 'rejected'; readonly method: string; readonly error: NodeError };

export type Authenticate = (asking: Asking) => Authentication;

/** Resolves when `authenticate` can answer; `undefined` when it can already, as it mostly can. */
export type Settle = (asking: Asking) => Promise<void> | undefined;

export interface Authenticator {
  readonly authenticate: Authenticate;
  readonly settle: Settle;
  /**
   * Whom credentials that were verified by an earlier run of the node stand for by now, judged by
   * the configuration of now; `undefined`: for nobody that is known any more.
   */
  readonly recall: (verified: Verified) => Principal | undefined;
}

/** The standing of those whose rights nothing changes while the node runs. */
export const FOR_GOOD: Standing = Object.freeze({
  state: () => 'holds' as const,
  // It never changes: nobody asks.
  renewed: () => undefined,
});

export const rejection = (
  method: string,
  error: NodeError = unknownCredentials(),
): Authentication => ({
  kind: 'rejected',
  method,
  error,
});
