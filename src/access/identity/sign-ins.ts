/**
 * What is done once for all threads when somebody signs in: passwords are checked under the
 * back-off and the bounded pool, sessions and tokens are made. Lives on the store thread; workers
 * reach it through a port of the same shape, so arguments and results are plain data.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { NodeError } from '../../base/errors.ts';
import { unknownCredentials } from '../../base/refusals.ts';
import { LIMITS } from '../../config/limits.ts';
import type { AdminCredentials } from '../authenticate.ts';
import type { BackOff } from './back-off.ts';
import type { Directory } from './directory.ts';
import type { ConfiguredAdmin } from './identities.ts';
import type { PasswordHasher } from './password-hash.ts';
import type { Registry } from './registry.ts';
import { SYSTEM } from './system-tables.ts';
import { tokenForm } from './token-form.ts';
import { refusedToken, TOKEN_MS, type TokenIssuer, verifyOwn } from './tokens.ts';
import type { Verified } from './verified.ts';

export interface Presented {
  readonly username: string;
  readonly password: string;
  readonly address: string;
}

/** A token, or what a cookie carries. */
export interface Shown {
  readonly value: string;
  readonly address: string;
}

export interface StartedSession {
  readonly username: string;
  /** What the cookie carries; only its hash is stored. */
  readonly value: string;
  readonly expiresAt: number;
}

/** Shapes as the operations answer them. */
export interface TokenPair {
  readonly operation_token: string;
  readonly refresh_token: string;
}

/**
 * Everything rejects with `AUTHENTICATION_REQUIRED` for what is wrong, whatever it is about it;
 * `SIGN_IN_THROTTLED` and `SIGN_IN_BUSY` when it was not looked at.
 */
export interface SignIns {
  password(presented: Presented): Promise<Verified>;
  startSession(presented: Presented): Promise<StartedSession>;
  endSession(shown: Shown): Promise<void>;
  tokens(presented: Presented): Promise<TokenPair>;
  refresh(shown: Shown): Promise<Pick<TokenPair, 'operation_token'>>;
}

export interface SignInParts {
  readonly directory: Directory;
  readonly registry: Registry;
  readonly hasher: PasswordHasher;
  readonly backOff: BackOff;
  readonly issuer: TokenIssuer;
  readonly admin: (AdminCredentials & ConfiguredAdmin) | undefined;
  readonly clock: Clock;
  readonly onOutcome: (outcome: SignInOutcome) => void;
}

/** For the audit log. */
export interface SignInOutcome {
  readonly kind: 'signedIn' | 'refused' | 'throttled' | 'signedOut';
  readonly how: 'password' | 'session' | 'tokens' | 'refresh';
  /** As it was named; `undefined` where nothing that could be believed names anybody. */
  readonly username: string | undefined;
  readonly address: string;
}

export function createSignIns(parts: SignInParts): SignIns {
  return {
    password: (presented) => checkPassword(parts, presented, 'password'),
    startSession: async (presented) =>
      startSession(parts, await checkPassword(parts, presented, 'session')),
    endSession: (shown) => endSession(parts, shown),
    async tokens(presented) {
      const verified = await checkPassword(parts, presented, 'tokens');
      return {
        operation_token: await parts.issuer.issue('operation', verified),
        refresh_token: await parts.issuer.issue('refresh', verified),
      };
    },
    refresh: (shown) => refresh(parts, shown),
  };
}

async function checkPassword(
  parts: SignInParts,
  { username, password, address }: Presented,
  how: SignInOutcome['how'],
): Promise<Verified> {
  const { backOff, onOutcome } = parts;
  const told = { how, username: username.slice(0, LIMITS.nameCharsMax), address };
  const waitMs = backOff.waitMs(username, address);
  if (waitMs > 0) {
    onOutcome({ kind: 'throttled', ...told });
    throw throttled(waitMs);
  }
  const mark = await markIfRight(parts, { username, password, address });
  if (mark === undefined) {
    backOff.failed(username, address);
    onOutcome({ kind: 'refused', ...told });
    throw unknownCredentials();
  }
  backOff.succeeded(username, address);
  onOutcome({ kind: 'signedIn', ...told });
  return { via: 'basic', username, mark };
}

/** The user's mark. Whoever does not exist costs as much time as who does. */
async function markIfRight(parts: SignInParts, presented: Presented): Promise<string | undefined> {
  const { directory, hasher, admin } = parts;
  const { username, password, address } = presented;
  const isTooLong = password.length > LIMITS.passwordCharsMax;
  const given = isTooLong ? '' : password;
  if (admin !== undefined && admin.username === username) {
    const isRight = timingSafeEqual(digest(given), digest(admin.password));
    await hasher.verify(undefined, given, address);
    return isRight && !isTooLong ? admin.mark : undefined;
  }
  const user = directory.user(username);
  const isRight = await hasher.verify(user?.password, given, address);
  return isRight && !isTooLong && user?.active === true ? user.mark : undefined;
}

async function startSession(parts: SignInParts, verified: Verified): Promise<StartedSession> {
  const { username, mark = '' } = verified;
  const value = randomBytes(32).toString('base64url');
  const createdAt = parts.clock.now();
  const expiresAt = createdAt + LIMITS.sessionSecondsMax * 1_000;
  const row = { id: sessionId(value), username, mark, createdAt, expiresAt };
  await parts.registry.put(SYSTEM.session, row);
  return { username, value, expiresAt };
}

async function endSession(
  { registry, directory, onOutcome }: SignInParts,
  { value, address }: Shown,
): Promise<void> {
  const id = sessionId(value);
  const row = directory.session(id);
  if (row === undefined) return;
  await registry.drop(SYSTEM.session, id);
  onOutcome({ kind: 'signedOut', how: 'session', username: row.username, address });
}

async function refresh(parts: SignInParts, { value: token, address }: Shown) {
  const { directory, clock, admin, issuer, onOutcome } = parts;
  const told = { how: 'refresh', address } as const;
  const form = tokenForm(token);
  const now = clock.now();
  const verified =
    form === undefined ? undefined : await verifyOwn(token, form, 'refresh', { directory, now });
  if (verified === undefined) {
    onOutcome({ kind: 'refused', username: undefined, ...told });
    throw refusedToken();
  }
  const { username, mark, tokenId = '' } = verified;
  const user = admin?.username === username ? { active: true, ...admin } : directory.user(username);
  const isRevoked = directory.revocation(tokenId) !== undefined;
  const isGood = !isRevoked && user?.active === true && user.mark === mark;
  onOutcome({ kind: isGood ? 'signedIn' : 'refused', username, ...told });
  if (!isGood) throw refusedToken();
  return { operation_token: await issuer.issue('operation', verified) };
}

/** Under what a session is stored: a reader of the table learns no cookie. */
export const sessionId = (value: string): string =>
  createHash('sha256').update(`session ${value}`).digest('hex');

/** How long what a token's id names must be remembered as revoked. */
export const REVOKED_MS: number = TOKEN_MS.refresh;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function throttled(waitMs: number): NodeError {
  const seconds = Math.ceil(waitMs / 1_000);
  const message = `too many sign-ins with these credentials failed; wait ${seconds} s`;
  return new NodeError('SIGN_IN_THROTTLED', message, {
    blame: 'client',
    retry: 'later',
    details: { retryAfterSeconds: seconds },
  });
}
