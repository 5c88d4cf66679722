/**
 * Verified credentials which a thread remembers, so that showing them again costs a look-up. Every
 * use compares the clock and one number in shared memory; only when some user, role or token has
 * changed since are the rows looked at again. Nothing is hashed twice.
 */
import type { Authentication, Standing, StandingState } from '../authenticate.ts';
import type { Principal } from '../principal.ts';
import type { Identities, Made } from './identities.ts';
import type { Verified } from './verified.ts';

export class Credential {
  readonly verified: Verified;
  readonly #identities: Identities;
  /** Remembered no longer, whatever becomes of it. */
  readonly #forgetAt: number;
  #version = -1;
  #made: Made | undefined;
  #answer: Authentication | undefined;

  constructor(identities: Identities, verified: Verified, rememberedMs: number) {
    this.#identities = identities;
    this.verified = verified;
    this.#forgetAt = identities.now() + rememberedMs;
  }

  /** Whether it should be verified anew. */
  get isForgotten(): boolean {
    return this.#identities.now() >= this.#forgetAt;
  }

  /** The answer as of now; `undefined` when it is worth nothing any more. */
  answer(): Authentication | undefined {
    const { until } = this.verified;
    if (until !== undefined && until <= this.#identities.now()) return undefined;
    const version = this.#identities.version();
    if (version !== this.#version) this.#look(version);
    return this.#answer;
  }

  #look(version: number): void {
    const made = this.#identities.principalOf(this.verified, this.#made);
    this.#version = version;
    if (made === this.#made) return;
    this.#made = made;
    if (made === undefined) {
      this.#answer = undefined;
      return;
    }
    const { principal } = made;
    this.#answer = { kind: 'principal', principal, standing: new Stand(this, principal) };
  }

  /** What has become of somebody who came in as `principal`. */
  stateOf(principal: Principal): StandingState {
    const answer = this.answer();
    if (answer?.kind !== 'principal') return 'gone';
    return answer.principal === principal ? 'holds' : 'changed';
  }
}

class Stand implements Standing {
  readonly #credential: Credential;
  readonly #principal: Principal;

  get verified(): Verified {
    return this.#credential.verified;
  }

  constructor(credential: Credential, principal: Principal) {
    this.#credential = credential;
    this.#principal = principal;
  }

  state(): StandingState {
    return this.#credential.stateOf(this.#principal);
  }

  renewed(): Principal | undefined {
    const answer = this.#credential.answer();
    return answer?.kind === 'principal' ? answer.principal : undefined;
  }
}
