/**
 * The authenticator of one thread. Order of what a request may bring: `Authorization`, then the
 * session cookie, then a client certificate; the first that is there decides.
 *
 * Hot path: nothing brought costs up to two look-ups of fields; credentials seen before one hash
 * and one look-up. Verifying is shared by all requests that bring the same.
 */
import { hash, randomBytes } from 'node:crypto';
import { createBoundedCache } from '../../base/bounded-cache.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { Asking, ClientCertificate } from '../asking.ts';
import {
  type Authentication,
  type Authenticator,
  rejection,
  type Standing,
} from '../authenticate.ts';
import type { Principal } from '../principal.ts';
import type { SignInLog } from '../sign-in-log.ts';
import { API_KEY_PREFIX, verifyApiKey } from './api-key.ts';
import { type CertificateMap, verifiedByCertificate } from './certificate-map.ts';
import type { CertificateStatus } from './certificate-status.ts';
import { Credential } from './credential.ts';
import type { Directory } from './directory.ts';
import { type Identities, printOf } from './identities.ts';
import type { Issuers } from './issuers.ts';
import { crossSiteProblem, SESSION_COOKIE, sessionOf } from './session-cookie.ts';
import { type SignIns, sessionId } from './sign-ins.ts';
import { tokenForm } from './token-form.ts';
import { OWN_ISSUER, refusedToken, verifyOwn } from './tokens.ts';
import type { Verified } from './verified.ts';

export interface AuthenticatorParts {
  readonly identities: Identities;
  readonly directory: Directory;
  readonly signIns: SignIns;
  readonly issuers: Issuers;
  readonly certificates: CertificateMap;
  /** Asked about client certificates, where OCSP is. */
  readonly certificateStatus?: CertificateStatus | undefined;
  /** There are lists of revoked certificates, or responders that know of them. */
  readonly mayTakeCertificatesBack: boolean;
  /** Told of tokens, keys and certificates; of passwords the desk of `signIns` tells itself. */
  readonly signInLog: SignInLog;
}

/** An answer whose standing ends when the certificate is revoked. */
function whileItHolds(
  known: Authentication,
  certificate: ClientCertificate,
  status: CertificateStatus,
): Authentication {
  if (known.kind === 'rejected') return known;
  const { standing } = known;
  const state = () => (status.holds(certificate) ? standing.state() : 'gone');
  const { verified } = standing;
  return { ...known, standing: { state, renewed: () => standing.renewed(), verified } };
}

/** What an `Authorization` field says, taken apart. */
type Brought =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'key' | 'token'; readonly text: string }
  | { readonly kind: 'other' };

/** A cached credential: its key, and the objects. */
const CREDENTIAL_BYTES = 1_024;

export function createAuthenticator(parts: AuthenticatorParts): Authenticator {
  const desk = new ThreadDesk(parts);
  return {
    authenticate: (asking) => desk.authenticate(asking),
    settle: (asking) => desk.settle(asking),
    recall: (verified) => recalled(verified, parts),
  };
}

function recalled(verified: Verified, parts: AuthenticatorParts): Principal | undefined {
  const { by } = verified;
  let now: Verified | undefined = verified;
  if (by?.kind === 'issuer') now = parts.issuers.retaken(verified);
  else if (by !== undefined) {
    // Neither a list nor a responder can be asked about one that nobody shows.
    const isTakenBack = parts.mayTakeCertificatesBack;
    now = isTakenBack ? undefined : verifiedByCertificate(by.certificate, parts.certificates);
  }
  return now && parts.identities.principalOf(now, undefined)?.principal;
}

class ThreadDesk {
  readonly #parts: AuthenticatorParts;
  #nobody: Authentication | undefined;
  #nobodyVersion = -1;
  #nobodyPrint = '';
  readonly #secret = randomBytes(32).toString('base64');
  readonly #known = createBoundedCache<Credential>('credentials', LIMITS.credentialsBytesMax);
  /** Verifying under way, by the same key. */
  readonly #verifying = new Map<string, Promise<Authentication>>();
  /** Answers that were awaited, for the requests that awaited them. */
  readonly #settled = new WeakMap<Asking, Authentication>();
  /** The last request and its answer: a handler asks what `settle` has just found. */
  #lastAsking: Asking | undefined;
  #lastAnswer: Authentication | undefined;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
  }

  /** Nobody in particular, as the roles are now. */
  #anonymous(): Authentication {
    const { identities } = this.#parts;
    const version = identities.version();
    if (this.#nobody !== undefined && version === this.#nobodyVersion) return this.#nobody;
    this.#nobodyVersion = version;
    const roles = identities.roles();
    const print = printOf(roles, []);
    if (this.#nobody === undefined || print !== this.#nobodyPrint) {
      this.#nobodyPrint = print;
      const principal = identities.nobody();
      this.#nobody = { kind: 'principal', principal, standing: this.#standingOf(principal) };
    }
    return this.#nobody;
  }

  /** Connections of anonymous clients end, too, when the roles grant them something else. */
  #standingOf(principal: Principal): Standing {
    const renewed = () => {
      const now = this.#anonymous();
      return now.kind === 'principal' ? now.principal : undefined;
    };
    return { renewed, state: () => (renewed() === principal ? 'holds' : 'changed') };
  }

  authenticate(asking: Asking): Authentication {
    const answer = this.#answered(asking);
    if (answer !== undefined) return answer;
    // Whoever forgets to await `settle` lets nobody in.
    return rejection(methodOf(brought(asking.header('authorization') ?? '')));
  }

  settle(asking: Asking): Promise<void> | undefined {
    if (this.#answered(asking) !== undefined) return undefined;
    const authorization = asking.header('authorization') ?? '';
    const { certificate } = asking;
    const { certificateStatus: status } = this.#parts;
    if (authorization === '' && certificate !== undefined) return status?.settle(certificate);
    return this.#verify(authorization, asking.remoteAddress).then((answer) => {
      this.#settled.set(asking, answer);
    });
  }

  /** The answer that can be given at once. */
  #answered(asking: Asking): Authentication | undefined {
    if (asking === this.#lastAsking) return this.#lastAnswer;
    const answer = this.#find(asking);
    if (answer === undefined) return undefined;
    this.#lastAsking = asking;
    this.#lastAnswer = answer;
    return answer;
  }

  #find(asking: Asking): Authentication | undefined {
    const authorization = asking.header('authorization');
    if (authorization !== undefined && authorization !== '') {
      return (
        this.#seen(authorization) ?? this.#settled.get(asking) ?? this.#byKey(authorization, asking)
      );
    }
    const cookies = asking.header('cookie');
    if (cookies?.includes(SESSION_COOKIE) === true) return this.#bySession(asking, cookies);
    const { certificate } = asking;
    if (certificate === undefined) return this.#anonymous();
    const refusal = this.#parts.certificateStatus?.refusal(certificate);
    if (refusal === 'ask') return undefined;
    if (refusal !== undefined) {
      this.#refused('certificate', asking.remoteAddress);
      return rejection('certificate', refusal);
    }
    const known = this.#byCertificate(certificate, asking.remoteAddress);
    const { certificateStatus: status } = this.#parts;
    return status === undefined ? known : whileItHolds(known, certificate, status);
  }

  #byCertificate(certificate: ClientCertificate, address: string): Authentication {
    const key = `certificate ${certificate.fingerprint}`;
    const found = this.#known.get(key)?.answer();
    if (found !== undefined) return found;
    const verified = verifiedByCertificate(certificate, this.#parts.certificates);
    if (verified === undefined) return this.#anonymous();
    return this.#keep(key, verified, address) ?? this.#anonymous();
  }

  #seen(authorization: string): Authentication | undefined {
    const known = this.#known.get(this.#keyOf(authorization));
    return known === undefined || known.isForgotten ? undefined : known.answer();
  }

  /** API keys are random: one hash and one look-up tell. */
  #byKey(authorization: string, { remoteAddress }: Asking): Authentication | undefined {
    const what = brought(authorization);
    if (what.kind === 'other') return rejection('other');
    if (what.kind !== 'key') return undefined;
    const verified = verifyApiKey(what.text, this.#parts.directory);
    const answer = verified && this.#keep(this.#keyOf(authorization), verified, remoteAddress);
    if (answer === undefined) this.#refused('key', remoteAddress);
    return answer ?? rejection('key');
  }

  /** A cookie that is worth nothing makes nobody: pages for everybody still open. */
  #bySession(asking: Asking, cookies: string): Authentication {
    const value = sessionOf(cookies);
    if (value === undefined) return this.#anonymous();
    const key = this.#keyOf(value);
    const known = this.#known.get(key)?.answer() ?? this.#lookUpSession(key, value);
    if (known === undefined) return this.#anonymous();
    const problem = crossSiteProblem(asking);
    if (problem === undefined) return known;
    return rejection('session', new NodeError('ACCESS_DENIED', problem, { blame: 'client' }));
  }

  #lookUpSession(key: string, value: string): Authentication | undefined {
    const id = sessionId(value);
    const row = this.#parts.directory.session(id);
    if (row === undefined) return undefined;
    const { username, mark, expiresAt: until } = row;
    return this.#keep(key, {
      via: 'session',
      username,
      mark,
      until,
      row: { table: 'session', id },
    });
  }

  #keyOf(text: string): string {
    return hash('sha256', this.#secret + text, 'base64');
  }

  #refused(method: string, address: string): void {
    this.#parts.signInLog.refused({ method, address });
  }

  /** `address`: from where it came, where this is a sign-in that nobody else tells of. */
  #keep(key: string, verified: Verified, address?: string): Authentication | undefined {
    const remembered = LIMITS.credentialSecondsMax * 1_000;
    const credential = new Credential(this.#parts.identities, verified, remembered);
    const answer = credential.answer();
    if (answer === undefined) return undefined;
    this.#known.set(key, credential, CREDENTIAL_BYTES);
    const { username: by, via: method } = verified;
    if (address !== undefined) this.#parts.signInLog.signedIn({ by, method, address });
    return answer;
  }

  #verify(authorization: string, address: string): Promise<Authentication> {
    const key = this.#keyOf(authorization);
    // The same wrong password from two addresses is two tries.
    const shared = `${key} ${address}`;
    const running = this.#verifying.get(shared);
    if (running !== undefined) return running;
    const started = this.#verifyNow(key, authorization, address).finally(() =>
      this.#verifying.delete(shared),
    );
    this.#verifying.set(shared, started);
    return started;
  }

  async #verifyNow(key: string, authorization: string, address: string) {
    const what = brought(authorization);
    const method = methodOf(what);
    if (this.#verifying.size > LIMITS.signInsVerifyingMax) return rejection(method, busy());
    try {
      const verified = await this.#verified(what, address);
      const answer = this.#keep(key, verified, what.kind === 'token' ? address : undefined);
      if (answer !== undefined) return answer;
      this.#refused(method, address);
      return rejection(method);
    } catch (thrown) {
      const error = asNodeError(thrown);
      if (what.kind === 'token' && error.blame === 'client') this.#refused(method, address);
      return rejection(method, error);
    }
  }

  async #verified(what: Brought, address: string): Promise<Verified> {
    const { signIns, directory, issuers, identities } = this.#parts;
    if (what.kind === 'password') return signIns.password({ ...what, address });
    const token = what.kind === 'token' ? what.text : '';
    const form = tokenForm(token);
    const verified =
      form === undefined
        ? undefined
        : form.issuer === OWN_ISSUER
          ? await verifyOwn(token, form, 'operation', { directory, now: identities.now() })
          : await issuers.verify(token, form);
    if (verified === undefined) throw refusedToken();
    return verified;
  }
}

const methodOf = ({ kind }: Brought): string => METHODS[kind];

const METHODS: Readonly<Record<Brought['kind'], string>> = {
  password: 'basic',
  key: 'key',
  token: 'bearer',
  other: 'other',
};

function brought(authorization: string): Brought {
  const at = authorization.indexOf(' ');
  const scheme = authorization.slice(0, at < 0 ? undefined : at).toLowerCase();
  const rest = at < 0 ? '' : authorization.slice(at + 1).trim();
  if (scheme === 'bearer') return bearer(rest);
  if (scheme !== 'basic') return { kind: 'other' };
  const text = Buffer.from(rest, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return { kind: 'password', username: text, password: '' };
  const username = text.slice(0, colon);
  const password = text.slice(colon + 1);
  // Protocols that know names and passwords only carry a key or token in the password's place.
  return password.startsWith(API_KEY_PREFIX) || /^eyJ[\w-]+\.[\w-]+\./.test(password)
    ? bearer(password)
    : { kind: 'password', username, password };
}

const bearer = (text: string): Brought => ({
  kind: text.startsWith(API_KEY_PREFIX) ? 'key' : 'token',
  text,
});

const busy = (): NodeError =>
  new NodeError('SIGN_IN_BUSY', 'too many sign-ins are under way; come back in a moment', {
    retry: 'later',
    blame: 'client',
    details: { retryAfterSeconds: 1, limit: 'signInsVerifyingMax' },
  });
