/**
 * What somebody was not granted, for the audit log: told once a minute for each of who and what, so
 * that a client which asks again and again does not push everything else out of the log. Anonymous
 * clients are not told of: they were asked to sign in.
 */
import type { Asking } from './asking.ts';
import type { Audit } from './audit.ts';
import type { Authenticate } from './authenticate.ts';
import { IMPERSONATE_FIELD } from './impersonate.ts';

export interface Refused {
  readonly by: string;
  readonly address: string;
  readonly protocol: string;
  /** Verb and table, or operation, in words. */
  readonly what: string;
}

const AGAIN_MS = 60_000;
/** Of who and what, remembered at a time. */
const REMEMBERED_MAX = 1_000;
const WHAT_CHARS_MAX = 200;

export class RefusalLog {
  readonly #audit: Audit;
  readonly #nowMs: () => number;
  readonly #told = new Map<string, number>();

  constructor(audit: Audit, nowMs: () => number) {
    this.#audit = audit;
    this.#nowMs = nowMs;
  }

  add({ what, ...who }: Refused): void {
    const now = this.#nowMs();
    const short = what.slice(0, WHAT_CHARS_MAX);
    const key = `${who.by}\n${short}`;
    if (now - (this.#told.get(key) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    if (this.#told.size >= REMEMBERED_MAX) this.#told.clear();
    this.#told.set(key, now);
    this.#audit({ kind: 'refused', ...who, what: short });
  }
}

/** For requests: says who asked, as they signed in; those who act as others are themselves here. */
export function requestRefusals(
  log: RefusalLog,
  authenticate: Authenticate,
  protocol: 'http' | 'operations',
): (request: Asking, what: string) => void {
  return (request, what) => {
    const found = authenticate({
      method: request.method,
      remoteAddress: request.remoteAddress,
      certificate: request.certificate,
      header: (name) => (name === IMPERSONATE_FIELD ? undefined : request.header(name)),
    });
    if (found.kind === 'rejected' || found.principal.kind === 'anonymous') return;
    const { name } = found.principal;
    log.add({ by: name, address: request.remoteAddress, protocol, what });
  };
}
