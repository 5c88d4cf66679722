/**
 * The admin port: health and metrics by `GET`, operations by JSON `POST /`. Only routing and
 * sign-in stand here; what is answered comes from functions the node gives.
 */
import type { Authenticate, Settle } from '../../access/authenticate.ts';
import { NodeError } from '../../base/errors.ts';
import type { Exchange, HttpHandler } from './port.ts';
import { replyProblem } from './problem.ts';

export interface HealthReport {
  readonly status: 'ready' | 'starting' | 'stopping' | 'degraded';
  readonly [fact: string]: unknown;
}

export interface AdminParts {
  readonly authenticate: Authenticate;
  readonly settle: Settle;
  /** `by`: name of the administrator who asks. */
  readonly runOperation: (
    document: Readonly<Record<string, unknown>>,
    by: string,
  ) => Promise<object>;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly health: () => HealthReport;
  /** Metrics need no sign-in while the port can be reached from this machine only. */
  readonly openMetrics: boolean;
  readonly bodyBytesMax: number;
  readonly onRejected: (method: string) => void;
}

const CHALLENGE = ['www-authenticate', 'Basic realm="millrace admin", charset="UTF-8"'];
const NO_STORE = ['cache-control', 'no-store'];
const decoder = new TextDecoder();

export function createAdminHandler(parts: AdminParts): HttpHandler {
  return (exchange) => {
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
  const error = new NodeError('METHOD_NOT_ALLOWED', `the admin port takes GET, and POST at /`, {
    blame: 'client',
  });
  return replyProblem(exchange, error, ['allow', 'GET, HEAD, POST']);
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
    case '/metrics':
      if (!parts.openMetrics && signedIn(exchange, parts) === undefined) return undefined;
      return replyMetrics(exchange, parts);
    default:
      return replyProblem(
        exchange,
        new NodeError(
          'NOT_FOUND',
          `the admin port serves /metrics, /health and POST /, not ${path}`,
          {
            blame: 'client',
          },
        ),
      );
  }
}

async function replyMetrics(exchange: Exchange, parts: AdminParts): Promise<void> {
  const { contentType, text } = await parts.metrics();
  exchange.reply(200, ['content-type', contentType, ...NO_STORE], text);
}

async function operate(exchange: Exchange, parts: AdminParts): Promise<void> {
  const by = signedIn(exchange, parts);
  if (by === undefined) return;
  const type = exchange.request.header('content-type') ?? '';
  // A browser cannot send this type across origins without asking first.
  if (!type.toLowerCase().startsWith('application/json')) {
    throw new NodeError('CONTENT_TYPE_UNSUPPORTED', 'operations are application/json', {
      blame: 'client',
    });
  }
  const document = parseDocument(await exchange.body(parts.bodyBytesMax));
  replyJson(exchange, 200, await parts.runOperation(document, by));
}

/** Name of the administrator; `undefined` when there is none, and that was answered. */
function signedIn(exchange: Exchange, parts: AdminParts): string | undefined {
  const authentication = parts.authenticate(exchange.request);
  if (authentication.kind === 'principal' && authentication.principal.kind === 'admin') {
    return authentication.principal.name;
  }
  if (authentication.kind === 'rejected') {
    parts.onRejected(authentication.method);
    if (authentication.error.code !== 'AUTHENTICATION_REQUIRED') {
      replyProblem(exchange, authentication.error);
      return undefined;
    }
  }
  const message =
    'sign in as the administrator (Basic); ' +
    'it is set by MILLRACE_ADMIN_USERNAME and MILLRACE_ADMIN_PASSWORD';
  replyProblem(
    exchange,
    new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' }),
    CHALLENGE,
  );
  return undefined;
}

function parseDocument(bytes: Uint8Array): Readonly<Record<string, unknown>> {
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
  throw new NodeError('BODY_MALFORMED', 'an operation is a JSON object', { blame: 'client' });
}

function replyJson(exchange: Exchange, status: number, body: object): void {
  exchange.reply(status, ['content-type', 'application/json', ...NO_STORE], JSON.stringify(body));
}
