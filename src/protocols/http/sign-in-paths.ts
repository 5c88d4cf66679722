/**
 * Signing in on the app port, for browsers and for clients that cannot reach the admin port:
 *
 *   POST   /.well-known/millrace/session   {username, password} → a cookie
 *   GET    /.well-known/millrace/session   who the client is
 *   DELETE /.well-known/millrace/session   signs out
 *   POST   /.well-known/millrace/token     {username, password}, or {refresh_token} → tokens
 *   GET    /.well-known/millrace/jwks.json the public keys of the tokens [RFC7517 §5]
 */
import type { Authenticate, Settle } from '../../access/authenticate.ts';
import type { Directory } from '../../access/identity/directory.ts';
import { clearCookie, sessionOf, setCookie } from '../../access/identity/session-cookie.ts';
import type { SignIns } from '../../access/identity/sign-ins.ts';
import { publicKeys } from '../../access/identity/tokens.ts';
import type { Clock } from '../../base/clock.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import type { Exchange, HttpHandler } from './port.ts';
import { replyProblem } from './problem.ts';

export interface SignInPathParts {
  readonly authenticate: Authenticate;
  readonly settle: Settle;
  readonly signIns: SignIns;
  readonly directory: Directory;
  readonly clock: Clock;
  /** Told of credentials that were rejected. */
  readonly onRejected: (method: string) => void;
}

const PREFIX = '/.well-known/millrace/';
const BODY_BYTES_MAX = 16 * 1024;
const NO_STORE = ['content-type', 'application/json', 'cache-control', 'no-store'];
const KEYS_CACHED = ['content-type', 'application/jwk-set+json', 'cache-control', 'max-age=300'];

type Route = (exchange: Exchange, parts: SignInPathParts) => void | Promise<void>;

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  session: { GET: whoAmI, POST: signIn, DELETE: signOut },
  token: { POST: tokens },
  'jwks.json': { GET: keys, HEAD: keys },
};

/** Answers what is below `/.well-known/millrace/`; `undefined` leaves the request to others. */
export function createSignInPaths(
  parts: SignInPathParts,
): (path: string) => HttpHandler | undefined {
  return (path) => {
    if (!path.startsWith(PREFIX)) return undefined;
    const routes = ROUTES[path.slice(PREFIX.length)];
    if (routes === undefined) return undefined;
    return (exchange) => serve(exchange, routes, parts);
  };
}

async function serve(
  exchange: Exchange,
  routes: Readonly<Record<string, Route>>,
  parts: SignInPathParts,
): Promise<void> {
  const { method } = exchange.request;
  const route = Object.hasOwn(routes, method) ? routes[method] : undefined;
  if (route === undefined) {
    const allow = Object.keys(routes).join(', ');
    const error = new NodeError('METHOD_NOT_ALLOWED', `${exchange.request.path} takes ${allow}`, {
      blame: 'client',
    });
    replyProblem(exchange, error, ['allow', allow]);
    return;
  }
  try {
    await route(exchange, parts);
  } catch (thrown) {
    const error = asNodeError(thrown);
    if (error.blame !== 'client' || exchange.replied) throw thrown;
    if (error.code === 'AUTHENTICATION_REQUIRED' || error.code === 'SIGN_IN_THROTTLED') {
      parts.onRejected('sign-in');
    }
    if (!exchange.aborted) replyProblem(exchange, error);
  }
}

async function whoAmI(exchange: Exchange, { authenticate, settle }: SignInPathParts) {
  await settle(exchange.request);
  const asked = authenticate(exchange.request);
  if (asked.kind === 'rejected') throw asked.error;
  const { principal } = asked;
  const roles = principal.kind === 'user' ? { roles: principal.roles } : {};
  const who =
    principal.kind === 'anonymous'
      ? { signedIn: false }
      : { signedIn: true, username: principal.name, admin: principal.kind === 'admin', ...roles };
  if (!exchange.aborted) exchange.reply(200, NO_STORE, JSON.stringify(who));
}

async function signIn(exchange: Exchange, { signIns, clock }: SignInPathParts): Promise<void> {
  const { username, password } = credentialsIn(await documentOf(exchange));
  const address = exchange.request.remoteAddress;
  const session = await signIns.startSession({ username, password, address });
  if (exchange.aborted) return;
  const seconds = Math.floor((session.expiresAt - clock.now()) / 1_000);
  const cookie = ['set-cookie', setCookie(session.value, seconds)];
  const body = JSON.stringify({ username: session.username, seconds });
  exchange.reply(200, [...NO_STORE, ...cookie], body);
}

/** A page of another site cannot sign anybody out: the cookie does not come with its requests. */
async function signOut(exchange: Exchange, { signIns }: SignInPathParts): Promise<void> {
  const value = sessionOf(exchange.request.header('cookie'));
  if (value !== undefined)
    await signIns.endSession({ value, address: exchange.request.remoteAddress });
  if (exchange.aborted) return;
  exchange.reply(200, [...NO_STORE, 'set-cookie', clearCookie()], '{"signedIn":false}');
}

async function tokens(exchange: Exchange, { signIns }: SignInPathParts): Promise<void> {
  const document = await documentOf(exchange);
  const { refresh_token: token } = document;
  const address = exchange.request.remoteAddress;
  const answer =
    typeof token === 'string'
      ? await signIns.refresh({ value: token, address })
      : await signIns.tokens({ ...credentialsIn(document), address });
  if (!exchange.aborted) exchange.reply(200, NO_STORE, JSON.stringify(answer));
}

function keys(exchange: Exchange, { directory, clock }: SignInPathParts): void {
  exchange.reply(200, KEYS_CACHED, JSON.stringify(publicKeys(directory, clock.now())));
}

type Document = Readonly<Record<string, unknown>>;

async function documentOf(exchange: Exchange): Promise<Document> {
  const type = exchange.request.header('content-type')?.toLowerCase() ?? '';
  // No form of another site can send this type.
  if (!type.startsWith('application/json')) {
    const message = 'signing in takes application/json';
    throw new NodeError('CONTENT_TYPE_UNSUPPORTED', message, { blame: 'client' });
  }
  const bytes = await exchange.body(BODY_BYTES_MAX);
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === 'object' && value !== null) return value as Document;
  } catch {
    // Said below.
  }
  throw new NodeError('BODY_MALFORMED', 'write {"username": …, "password": …}', {
    blame: 'client',
  });
}

function credentialsIn({ username, password }: Document) {
  if (typeof username === 'string' && typeof password === 'string') return { username, password };
  throw new NodeError('BODY_MALFORMED', 'write {"username": …, "password": …}', {
    blame: 'client',
  });
}
