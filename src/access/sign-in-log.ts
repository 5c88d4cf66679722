/**
 * Sign-ins by what comes with every request (passwords of Basic, tokens, keys, certificates), for
 * the audit log: that one counted is told once an hour for each of who, how and from where, since a
 * client shows it again and again; that one did not count once a minute for each of how and from
 * where. What is signed in once, for a cookie or for tokens, is told each time, elsewhere.
 */
import type { Audit } from './audit.ts';

export interface SignedIn {
  readonly by: string;
  /** `password`, `bearer`, `key` or `certificate`. */
  readonly method: string;
  readonly address: string;
}

const SIGNED_IN_AGAIN_MS = 3_600_000;
const REFUSED_AGAIN_MS = 60_000;
/** Of each, remembered at a time. */
const REMEMBERED_MAX = 10_000;

export class SignInLog {
  readonly #audit: Audit;
  readonly #nowMs: () => number;
  readonly #signedIn = new Map<string, number>();
  readonly #refused = new Map<string, number>();

  constructor(audit: Audit, nowMs: () => number) {
    this.#audit = audit;
    this.#nowMs = nowMs;
  }

  signedIn({ by, method, address }: SignedIn): void {
    const key = `${method}\n${address}\n${by}`;
    if (!this.#isNew(this.#signedIn, key, SIGNED_IN_AGAIN_MS)) return;
    this.#audit({ kind: 'signedIn', by, address, method });
  }

  /** Who it would have been is not known: nothing that it says of itself is to be believed. */
  refused({ method, address }: Omit<SignedIn, 'by'>): void {
    if (!this.#isNew(this.#refused, `${method}\n${address}`, REFUSED_AGAIN_MS)) return;
    const reason = 'unknown, expired or revoked';
    this.#audit({ kind: 'signInRefused', by: undefined, address, method, reason });
  }

  #isNew(told: Map<string, number>, key: string, againMs: number): boolean {
    const now = this.#nowMs();
    if (now - (told.get(key) ?? Number.NEGATIVE_INFINITY) < againMs) return false;
    if (told.size >= REMEMBERED_MAX) told.clear();
    told.set(key, now);
    return true;
  }
}
