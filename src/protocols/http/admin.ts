/**
 * The admin port: health and metrics by `GET`, operations by JSON `POST /`. Only routing and
 * sign-in stand here; what is answered comes from functions the node gives.
 */
import type { Authenticate, Authentication, Settle } from '../../access/authenticate.ts';
import { sessionOf } from '../../access/identity/session-cookie.ts';
import type { Impersonate } from '../../access/impersonate.ts';
import { ANONYMOUS, type Principal } from '../../access/principal.ts';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { checkJsonStructure } from './json-structure.ts';
import type { Exchange, HttpHandler } from './port.ts';
import { replyProblem } from './problem.ts';
import { replySetupPage } from './setup-page.ts';

export interface HealthReport {
  readonly status: 'ready' | 'starting' | 'stopping' | 'degraded';
  readonly [fact: string]: unknown;
}

export interface AdminParts {
  readonly authenticate: Authenticate;
  readonly settle: Settle;
  readonly runOperation: (
    document: Readonly<Record<string, unknown>>,
    asker: Asker,
  ) => Promise<object>;
  /** Who may run the operation of this name. */
  readonly needsOf: (operation: unknown) => 'nothing' | 'signedIn' | 'administrator';
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly health: () => HealthReport;
  /** Whether a request with this `Host` is answered. */
  readonly answersHost: (field: string | undefined) => boolean;
  /** Whether the first administrator is still to be made. */
  readonly awaitsSetup: () => boolean;
  /** Metrics need no sign-in while the port can be reached from this machine only. */
  readonly openMetrics: boolean;
  readonly bodyBytesMax: number;
  readonly impersonate: Impersonate;
  readonly onRejected: (method: string) => void;
}

/** Who runs an operation, and how the answer reaches their browser. */
export interface Asker {
  /** '' for nobody in particular. */
  readonly by: string;
  readonly principal: Principal;
  readonly address: string;
  readonly authorization: string | undefined;
  readonly session: string | undefined;
  readonly setCookie: (cookie: string) => void;
}

/** What somebody may send who has not signed in as an administrator: enough to sign in. */
const STRANGER_BYTES_MAX = 16 * 1024;

const CHALLENGE = ['www-authenticate', 'Basic realm="millrace admin", charset="UTF-8"'];
const ALLOW = ['allow', 'GET, HEAD, POST'];
const NO_STORE = ['cache-control', 'no-store'];
/** An operation may carry as many records as `operationRecordsMax`; its bytes are bounded. */
const operationStructure = () => ({
  depthMax: LIMITS.jsonDepthMax,
  keysMax: Number.POSITIVE_INFINITY,
});
const decoder = new TextDecoder();

export function createAdminHandler(parts: AdminParts): HttpHandler {
  return (exchange) => {
    if (!parts.answersHost(exchange.request.header('host'))) return refuseHost(exchange);
    const settling = parts.settle(exchange.request);
    return settling === undefined
      ? serve(exchange, parts)
      : settling.then(() => serve(exchange, parts));
  };
}

function serve(exchange: Exchange, parts: AdminParts): void | Promise<void> {
  const { method, path } = exchange.request;
  if (method === 'POST' && path === '/') return operate(exchange, parts);
  if (method === 'GET' || method === 'HEAD') return look(exchange, path, parts);
  if (method === 'OPTIONS' && path === '*') return exchange.reply(204, ALLOW);
  const error = new NodeError('METHOD_NOT_ALLOWED', `the admin port takes GET, and POST at /`, {
    blame: 'client',
  });
  return replyProblem(exchange, error, ALLOW);
}

function look(exchange: Exchange, path: string, parts: AdminParts): void | Promise<void> {
  switch (path) {
    case '/health/live':
      return replyJson(exchange, 200, { status: 'live' });
    case '/health':
    case '/health/ready':
    case '/health/startup': {
      const report = parts.health();
      const up = report.status === 'ready' || report.status === 'degraded';
      return replyJson(exchange, up ? 200 : 503, report);
    }
    case '/setup':
      if (parts.awaitsSetup()) return replySetupPage(exchange);
      return replyProblem(exchange, nothingToSetUp());
    case '/metrics':
      if (!parts.openMetrics && !signedIn(exchange, parts)) return undefined;
      return replyMetrics(exchange, parts);
    default:
      return replyProblem(
        exchange,
        new NodeError(
          'NOT_FOUND',
          `the admin port serves GET /metrics, GET /health and operations by POST /, not ${path}`,
          {
            blame: 'client',
          },
        ),
      );
  }
}

const nothingToSetUp = (): NodeError =>
  new NodeError(
    'NOT_FOUND',
    'there is nothing to set up: this node has an administrator, or its link has expired and the ' +
      'next start makes a new one',
    { blame: 'client' },
  );

function refuseHost(exchange: Exchange): void {
  const told = JSON.stringify(exchange.request.header('host') ?? '').slice(0, 100);
  const message = `the admin port is not called ${told}; list the name in http.allowedHosts`;
  replyProblem(exchange, new NodeError('HOST_REFUSED', message, { blame: 'client' }));
}

async function replyMetrics(exchange: Exchange, parts: AdminParts): Promise<void> {
  const { contentType, text } = await parts.metrics();
  exchange.reply(200, ['content-type', contentType, ...NO_STORE], text);
}

async function operate(exchange: Exchange, parts: AdminParts): Promise<void> {
  const { request } = exchange;
  const asked = parts.authenticate(request);
  if (asked.kind === 'rejected' && !bringsRefreshToken(request)) {
    return refuseStranger(exchange, parts, asked);
  }
  let principal = asked.kind === 'principal' ? asked.principal : ANONYMOUS;
  const type = request.header('content-type') ?? '';
  // A browser cannot send this type across origins without asking first.
  if (!type.toLowerCase().startsWith('application/json')) {
    if (principal.kind === 'user') return refuseStranger(exchange, parts, asked);
    const message = "operations are application/json: curl -H 'content-type: application/json'";
    throw new NodeError('CONTENT_TYPE_UNSUPPORTED', message, { blame: 'client' });
  }
  const isKnown = principal.kind !== 'anonymous';
  const bytesMax = isKnown ? parts.bodyBytesMax : Math.min(STRANGER_BYTES_MAX, parts.bodyBytesMax);
  const { impersonate, ...document } = parseDocument(await exchange.body(bytesMax));
  if (impersonate !== undefined) principal = acting(parts, asked, impersonate, request);
  const needs = parts.needsOf(document.operation);
  if (principal.kind !== 'admin' && !mayRun(principal, needs, document.operation)) {
    return refuseStranger(exchange, parts, { ...asked, principal } as Authentication);
  }
  const cookies: string[] = [];
  const answer = await signingIn(parts, needs, document, {
    by: principal.kind === 'anonymous' ? '' : principal.name,
    principal,
    address: request.remoteAddress,
    authorization: request.header('authorization'),
    session: sessionOf(request.header('cookie')),
    setCookie: (cookie) => cookies.push('set-cookie', cookie),
  });
  replyJson(exchange, 200, answer, cookies);
}

/** Whom an administrator acts as, by the argument `impersonate`; as the field of a request says. */
function acting(
  parts: AdminParts,
  asked: Authentication,
  whom: unknown,
  request: Exchange['request'],
): Principal {
  if (typeof whom !== 'string' || whom === '') {
    const text = 'impersonate: user=NAME, role=NAME&desk=sport, or anonymous';
    throw new NodeError('USAGE', text, { blame: 'client' });
  }
  if (asked.kind === 'rejected' || asked.principal.kind === 'anonymous') throw refusalOf(asked);
  return parts.impersonate(asked, whom, request).principal;
}

/** Runs the operation; counts those that were to sign somebody in and did not. */
async function signingIn(
  parts: AdminParts,
  needs: string,
  document: Readonly<Record<string, unknown>>,
  asker: Asker,
): Promise<object> {
  try {
    return await parts.runOperation(document, asker);
  } catch (thrown) {
    const { code } = asNodeError(thrown);
    const isRefused = code === 'AUTHENTICATION_REQUIRED' || code === 'SIGN_IN_THROTTLED';
    if (needs === 'nothing' && isRefused) parts.onRejected('sign-in');
    throw thrown;
  }
}

/** A refresh token is no credential but for its own operation, which looks at it. */
const bringsRefreshToken = (request: Exchange['request']): boolean =>
  /^bearer eyJ/i.test(request.header('authorization') ?? '');

/** Whether an administrator asks; answers when not. */
function signedIn(exchange: Exchange, parts: AdminParts): boolean {
  const asked = parts.authenticate(exchange.request);
  if (asked.kind === 'principal' && asked.principal.kind === 'admin') return true;
  refuseStranger(exchange, parts, asked);
  return false;
}

function refuseStranger(exchange: Exchange, parts: AdminParts, asked: Authentication): void {
  if (asked.kind === 'rejected') parts.onRejected(asked.method);
  const error = refusalOf(asked);
  // A page that signs in by a form must not make the browser ask as well.
  const isPage = exchange.request.header('sec-fetch-site') === 'same-origin';
  const isChallenged = error.code === 'AUTHENTICATION_REQUIRED' && !isPage;
  replyProblem(exchange, error, isChallenged ? CHALLENGE : []);
}

function refusalOf(asked: Authentication): NodeError {
  if (asked.kind === 'rejected' && asked.error.code !== 'AUTHENTICATION_REQUIRED') {
    return asked.error;
  }
  if (asked.kind === 'principal' && asked.principal.kind === 'user') {
    const message =
      `this is for administrators, and ${asked.principal.name} is none: sign in as one, or have ` +
      'the operation added to the role (operations: in roles.yaml)';
    return new NodeError('ACCESS_DENIED', message, { blame: 'client' });
  }
  const message =
    'sign in as an administrator: Basic credentials, a Bearer token, or the operation login; the ' +
    'first one is made by the setup link, or set by MILLRACE_ADMIN_USERNAME and _PASSWORD';
  return new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' });
}

/** Of those who are no administrators; what an operation does is judged by itself as well. */
function mayRun(principal: Principal, needs: string, operation: unknown): boolean {
  if (needs === 'nothing') return true;
  if (principal.kind !== 'user') return false;
  if (needs === 'signedIn') return true;
  return typeof operation === 'string' && principal.grants.runs(operation);
}

function parseDocument(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  checkJsonStructure(bytes, operationStructure());
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Readonly<Record<string, unknown>>;
    }
  } catch (cause) {
    throw new NodeError('BODY_MALFORMED', `the operation is not JSON: ${String(cause)}`, {
      blame: 'client',
      cause,
    });
  }
  throw new NodeError(
    'BODY_MALFORMED',
    'an operation is a JSON object, as {"operation": "describe_all"}',
    { blame: 'client' },
  );
}

function replyJson(
  exchange: Exchange,
  status: number,
  body: object,
  fields: readonly string[] = [],
): void {
  const headers = ['content-type', 'application/json', ...NO_STORE, ...fields];
  exchange.reply(status, headers, JSON.stringify(body));
}
