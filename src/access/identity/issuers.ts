/**
 * Tokens of other issuers, such as a company's identity provider. Each issuer is configured with
 * its name, audience, algorithms and the address of its keys; nothing a token says chooses any of
 * them. Keys are fetched when one is missing, not more often than every half minute however many
 * unknown keys are named, and kept for ten minutes; the fetch is bounded and guarded by its giver.
 */
import type { createLocalJWKSet, JSONWebKeySet } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import type { IssuerSettings } from '../../config/auth-settings.ts';
import type { TokenForm } from './token-form.ts';
import type { Verified } from './verified.ts';

export type FetchKeys = (issuer: IssuerSettings) => Promise<unknown>;

const KEPT_MS = 10 * 60_000;
const COOLDOWN_MS = 30_000;
const SKEW_SECONDS = 5;
const ROLES_MAX = 64;

interface Keys {
  readonly set: ReturnType<typeof createLocalJWKSet>;
  readonly ids: ReadonlySet<string>;
}

interface Known {
  readonly settings: IssuerSettings;
  keys: Keys | undefined;
  /** By the monotonic clock; when the last fetch began. */
  fetchedAt: number;
  fetching: Promise<void> | undefined;
}

export class Issuers {
  readonly #known: ReadonlyMap<string, Known>;
  readonly #fetchKeys: FetchKeys;
  readonly #clock: Clock;

  constructor(settings: readonly IssuerSettings[], fetchKeys: FetchKeys, clock: Clock) {
    const fresh = { keys: undefined, fetchedAt: Number.NEGATIVE_INFINITY, fetching: undefined };
    this.#known = new Map(
      settings.map((one) => [one.issuer, { settings: one, ...fresh } satisfies Known]),
    );
    this.#fetchKeys = fetchKeys;
    this.#clock = clock;
  }

  has(issuer: string | undefined): boolean {
    return issuer !== undefined && this.#known.has(issuer);
  }

  /**
   * Who its bearer is by the issuer's word; `undefined` when it is not to be believed. Rejects with
   * `SIGN_IN_BUSY` while there are no keys to tell that by.
   */
  async verify(token: string, form: TokenForm): Promise<Verified | undefined> {
    const known = this.#known.get(form.issuer ?? '');
    const isPinned = known?.settings.algorithms.some((one) => one === form.algorithm);
    if (known === undefined || isPinned !== true) return undefined;
    const keys = await this.#keysFor(known, form.keyId);
    const { settings } = known;
    if (keys === undefined) throw keyless(settings);
    const { jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, keys.set, {
        algorithms: [...settings.algorithms],
        issuer: settings.issuer,
        audience: settings.audience,
        currentDate: new Date(this.#clock.now()),
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ['exp'],
      });
      return verifiedBy(settings, payload);
    } catch {
      return undefined;
    }
  }

  /** The same bearer by the configuration of now; `undefined`: the issuer is believed no more. */
  retaken(verified: Verified): Verified | undefined {
    const { by, claimed } = verified;
    if (by?.kind !== 'issuer' || claimed === undefined) return undefined;
    const known = [...this.#known.values()].find(({ settings }) => settings.name === by.name);
    if (known === undefined) return undefined;
    return { ...verified, claimed: { ...claimed, roles: rolesOf(known.settings, by.roles) } };
  }

  async #keysFor(known: Known, keyId: string | undefined): Promise<Keys | undefined> {
    const age = this.#clock.monotonic() - known.fetchedAt;
    const isMissing =
      known.keys === undefined || (keyId !== undefined && !known.keys.ids.has(keyId));
    if (age > KEPT_MS || (isMissing && age > COOLDOWN_MS)) {
      known.fetching ??= this.#fetch(known).finally(() => {
        known.fetching = undefined;
      });
    }
    // Old keys do while new ones come, unless the key is not among them.
    if (isMissing) await known.fetching;
    return known.keys;
  }

  async #fetch(known: Known): Promise<void> {
    known.fetchedAt = this.#clock.monotonic();
    try {
      const set = (await this.#fetchKeys(known.settings)) as JSONWebKeySet;
      const ids = new Set(set.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid])));
      const { createLocalJWKSet } = await import('jose');
      known.keys = { set: createLocalJWKSet(set), ids };
    } catch {
      // The keys that are known stay good; whoever fetches has counted and logged it.
    }
  }
}

function verifiedBy(
  settings: IssuerSettings,
  payload: Readonly<Record<string, unknown>>,
): Verified | undefined {
  const name = payload[settings.username];
  if (typeof name !== 'string' || name === '') return undefined;
  const { exp, jti } = payload;
  const facts = Object.fromEntries(
    Object.entries(payload).filter(([, value]) => typeof value !== 'object'),
  );
  const said = saidRoles(payload[settings.roles]);
  return {
    via: 'bearer',
    // Nobody else's users can take the name of one of ours.
    username: `${settings.name}:${name}`,
    until: Number(exp) * 1_000,
    ...(typeof jti === 'string' ? { tokenId: `${settings.name}:${jti}` } : {}),
    claimed: { roles: rolesOf(settings, said), facts },
    by: { kind: 'issuer', name: settings.name, roles: said },
  };
}

function keyless({ name }: IssuerSettings): NodeError {
  const message =
    `the keys of the issuer ${name} could not be had, so nobody knows whether this token is ` +
    'good; try again in 30 s (the log of the node says why)';
  const details = { retryAfterSeconds: COOLDOWN_MS / 1_000 };
  return new NodeError('SIGN_IN_BUSY', message, { retry: 'later', details });
}

function saidRoles(claim: unknown): readonly string[] {
  const said: unknown[] =
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return said.slice(0, ROLES_MAX).filter((one) => typeof one === 'string');
}

/** Only roles which the configuration maps are granted: an issuer's word alone makes no role. */
function rolesOf({ roleMap }: IssuerSettings, said: readonly string[]): readonly string[] {
  const mapped = said.flatMap((one) => {
    const role = Object.hasOwn(roleMap, one) ? roleMap[one] : undefined;
    return role === undefined ? [] : [role];
  });
  const everybody = Object.hasOwn(roleMap, '*') ? roleMap['*'] : undefined;
  return [...new Set(everybody === undefined ? mapped : [...mapped, everybody])];
}
