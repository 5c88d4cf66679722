/**
 * Limits that a reload takes over while a node runs: who may connect and ask how often, and what
 * one user may follow. One on each thread that holds them; what is under way goes on by those it
 * began with. Other limits are the size of something that was made at the start, and need a
 * restart.
 */
import type { Config } from './config/config.ts';
import { differences } from './config/differences.ts';
import type { Limits } from './config/limits.ts';
import type { Configuration, PreparedPart, ReloadPart } from './config/reload.ts';

const FOLLOWED = [
  'connectionsMax',
  'connectionsPerAddressMax',
  'connectionsPerAddressSecondMax',
  'requestsPerAddressSecondMax',
  'requestsPerCredentialSecondMax',
  'requestsPerPrincipalSecondMax',
  'rateBurstSeconds',
  'subscriptionsPerPrincipalMax',
] as const satisfies readonly (keyof Limits)[];

export type FollowedLimits = Readonly<Pick<Limits, (typeof FOLLOWED)[number]>>;

export class ThreadLimits implements ReloadPart {
  readonly name = 'limits';
  readonly settings: readonly string[];
  #now: FollowedLimits;
  readonly #users: ((limits: FollowedLimits) => void)[] = [];

  constructor({ limits }: Config) {
    this.#now = followed(limits);
    this.settings = FOLLOWED.map((name) => `limits.${name}`);
  }

  /** Those in force. */
  get now(): FollowedLimits {
    return this.#now;
  }

  /** Told of newer ones; must not throw. */
  onChange(use: (limits: FollowedLimits) => void): void {
    this.#users.push(use);
  }

  prepare({ config }: Configuration): PreparedPart {
    const next = followed(config.limits);
    return {
      changes: differences({ limits: this.#now }, { limits: next }),
      apply: () => {
        this.#now = next;
        for (const use of this.#users) use(next);
      },
    };
  }
}

const followed = (limits: Limits): FollowedLimits =>
  Object.fromEntries(FOLLOWED.map((name) => [name, limits[name]])) as unknown as FollowedLimits;
