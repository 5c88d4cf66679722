/**
 * Whether client certificates still count, by the word of OCSP responders. What one said is kept
 * for as long as it says, an hour at most; what could not be had, for ten seconds. `strict` takes
 * no certificate of which nothing is known; `lenient` takes it, and says so. Revoked ones, and
 * those which the responder does not know, are never taken.
 *
 * Bounds: so many certificates are remembered, so many questions are under way; a question is asked
 * once for all connections with the certificate. Fetching is bounded and guarded by its giver.
 */
import { type BoundedCache, createBoundedCache } from '../../base/bounded-cache.ts';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { ClientCertificate } from '../asking.ts';
import { type Chain, ocspRequest, readOcspReply, responderOf } from './ocsp-message.ts';

export interface OcspSettings {
  readonly mode: 'strict' | 'lenient';
  /** Asked instead of the responder that a certificate names. */
  readonly responder: URL | undefined;
}

export interface OcspParts {
  readonly settings: OcspSettings;
  readonly clock: Clock;
  /** Posts a question and resolves with the bytes of a reply. */
  readonly ask: (responder: URL, question: Buffer) => Promise<Buffer>;
  readonly warn: (facts: object, message: string) => void;
}

export type OcspOutcome = 'good' | 'revoked' | 'unknown' | 'failed';

interface Known {
  readonly outcome: OcspOutcome;
  readonly until: number;
}

const KEPT_MS_MAX = 3_600_000;
/** After a failure, and where a reply ends at once. */
const AGAIN_MS = 10_000;
const KNOWN_BYTES = 256;

export class CertificateStatus {
  readonly #parts: OcspParts;
  readonly #known: BoundedCache<Known> = createBoundedCache('ocsp', LIMITS.ocspBytesMax);
  readonly #asking = new Map<string, Promise<void>>();
  /** Questions by how they ended. */
  readonly outcomes = new Map<OcspOutcome, number>();

  constructor(parts: OcspParts) {
    this.#parts = parts;
  }

  /** Why it does not count, `undefined` when it does; 'ask': `settle` it first. */
  refusal({ fingerprint }: ClientCertificate): NodeError | 'ask' | undefined {
    const known = this.#known.get(fingerprint);
    if (known === undefined || known.until <= this.#parts.clock.now()) return 'ask';
    return this.#refusalOf(known.outcome);
  }

  /** For connections that go on: what was known last, while it is asked for anew. */
  holds(certificate: ClientCertificate): boolean {
    const known = this.#known.get(certificate.fingerprint);
    if (known === undefined || known.until <= this.#parts.clock.now())
      void this.settle(certificate);
    return known === undefined || this.#refusalOf(known.outcome) === undefined;
  }

  /** Asks; never rejects. */
  settle(certificate: ClientCertificate): Promise<void> {
    const key = certificate.fingerprint;
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    const asked = this.#settle(certificate).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #settle(certificate: ClientCertificate): Promise<void> {
    const now = this.#parts.clock.now();
    try {
      const { status, until } = await this.#verdict(certificate, now);
      const kept = Math.max(AGAIN_MS, Math.min(KEPT_MS_MAX, until - now));
      this.#conclude(certificate, { outcome: status, until: now + kept });
    } catch (error) {
      const { mode } = this.#parts.settings;
      const facts = { commonName: certificate.commonName, serial: certificate.serialNumber };
      const why = error instanceof Error ? error.message : String(error);
      const done = mode === 'strict' ? 'it is refused' : 'it is taken all the same';
      const message = `OCSP says nothing of a client certificate: ${why}; ${done} (tls.ocsp)`;
      this.#parts.warn(facts, message);
      this.#conclude(certificate, { outcome: 'failed', until: now + AGAIN_MS });
    }
  }

  async #verdict({ chain }: ClientCertificate, now: number) {
    const { settings, ask } = this.#parts;
    if (chain === undefined) throw new Error('the certificate of its issuer is not at hand');
    if (this.#asking.size > LIMITS.ocspAskingMax) throw new Error('too many are asked about');
    const bytes: Chain = chain;
    const responder = settings.responder ?? responderOf(bytes.certificate);
    if (responder === undefined) throw new Error('it names no responder: set tls.ocspResponder');
    const reply = await ask(responder, ocspRequest(bytes));
    try {
      return readOcspReply(reply, bytes, now);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`the reply of ${responder.origin} counts for nothing: ${why}`);
    }
  }

  #conclude({ fingerprint }: ClientCertificate, known: Known): void {
    this.#known.set(fingerprint, known, KNOWN_BYTES);
    this.outcomes.set(known.outcome, (this.outcomes.get(known.outcome) ?? 0) + 1);
  }

  #refusalOf(outcome: OcspOutcome): NodeError | undefined {
    if (outcome === 'good') return undefined;
    const { mode } = this.#parts.settings;
    if (outcome === 'failed') return mode === 'lenient' ? undefined : unchecked();
    const message =
      outcome === 'revoked'
        ? 'this client certificate was revoked by its issuer: show another one'
        : 'the issuer of this client certificate does not know it: show another one';
    return new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' });
  }
}

function unchecked(): NodeError {
  const message =
    'whether this client certificate was revoked could not be found out, and tls.ocsp is ' +
    '"strict"; try again in 10 s (the log of the node says why)';
  const details = { retryAfterSeconds: 10 };
  return new NodeError('SIGN_IN_BUSY', message, { retry: 'later', details });
}
