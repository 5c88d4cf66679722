/**
 * Errors as HTTP says them: the total table from error code to status, and problem documents
 * (RFC 9457). The document carries `code`, stable for ever, and the message of an error whose text
 * was written for clients; what went wrong inside the node stays in the log.
 */
import type { ErrorCode, NodeError } from '../../base/errors.ts';
import { deniedOf } from '../../base/refusals.ts';
import type { LimitName } from '../../config/limits.ts';
import type { Exchange, HeaderList } from './port.ts';

interface Problem {
  readonly status: number;
  readonly title: string;
}

const problems: Record<ErrorCode, Problem> = {
  ACCESS_CHANGED: { status: 401, title: 'Access changed' },
  ACCESS_DENIED: { status: 403, title: 'Access denied' },
  ADDRESS_REFUSED: { status: 502, title: 'Origin address refused' },
  APPLICATION_INVALID: { status: 500, title: 'Application invalid' },
  AUTHENTICATION_REQUIRED: { status: 401, title: 'Authentication required' },
  BACKUP_INVALID: { status: 422, title: 'Backup invalid' },
  BODY_MALFORMED: { status: 400, title: 'Body malformed' },
  BODY_TOO_LARGE: { status: 413, title: 'Body too large' },
  BODY_ON_ITS_WAY: { status: 503, title: 'Still being fetched from another node' },
  BREAKER_OPEN: { status: 503, title: 'Origin suspended after failures' },
  CATCHING_UP: { status: 503, title: 'Not yet told what other nodes hold' },
  CLOCK_AHEAD: { status: 503, title: 'Clock ahead of other nodes' },
  NAME_TAKEN: { status: 503, title: 'Another node has the name of this one' },
  CONFIG_INVALID: { status: 500, title: 'Configuration invalid' },
  CONTENT_TYPE_UNSUPPORTED: { status: 415, title: 'Content type unsupported' },
  DATA_FOLDER_LOCKED: { status: 500, title: 'Data folder locked' },
  DATA_FOLDER_TOO_NEW: { status: 500, title: 'Data folder of a newer format' },
  DEADLINE_EXCEEDED: { status: 504, title: 'Deadline exceeded' },
  DISCONNECTED: { status: 403, title: 'Disconnected by an operator' },
  ENTRY_UNDECODABLE: { status: 500, title: 'Stored entry undecodable' },
  HEADERS_TOO_LARGE: { status: 431, title: 'Request headers too large' },
  HOST_REFUSED: { status: 421, title: 'Host refused' },
  INDEX_BUILDING: { status: 503, title: 'Index being built' },
  INTERNAL: { status: 500, title: 'Internal error' },
  KEY_INVALID: { status: 400, title: 'Key invalid' },
  KEY_TOO_LONG: { status: 414, title: 'Key too long' },
  LENGTH_REQUIRED: { status: 411, title: 'Length required' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'Method not allowed' },
  NOT_ACCEPTABLE: { status: 406, title: 'Not acceptable' },
  NOT_CACHED: { status: 504, title: 'Not in the cache' }, // [RFC9111 §5.2.1.7]
  NOT_FOUND: { status: 404, title: 'Not found' },
  OPERATION_UNKNOWN: { status: 400, title: 'Operation unknown' },
  ORIGIN_BODY_INVALID: { status: 502, title: 'Origin answered no valid body' },
  ORIGIN_BODY_TOO_LARGE: { status: 502, title: 'Origin answered too large a body' },
  ORIGIN_BUSY: { status: 503, title: 'Origin busy' },
  ORIGIN_FAILED: { status: 502, title: 'Origin failed' },
  // The status is the origin's own; see `statusOf`.
  ORIGIN_REFUSED: { status: 409, title: 'Refused by the origin' },
  ORIGIN_STATUS: { status: 502, title: 'Origin answered an error' },
  ORIGIN_TIMED_OUT: { status: 504, title: 'Origin timed out' },
  ORIGIN_UNREACHABLE: { status: 502, title: 'Origin unreachable' },
  OVERLOADED: { status: 503, title: 'The node is at its limits' },
  PEERS_UNCONFIRMED: { status: 504, title: 'Not confirmed by other nodes' },
  PEER_INVALID: { status: 502, title: 'Another node sent what cannot be read' },
  PEER_REFUSED: { status: 502, title: 'Refused by another node' },
  PEER_UNREACHABLE: { status: 502, title: 'Another node unreachable' },
  PORT_IN_USE: { status: 500, title: 'Port in use' },
  POSITION_UNKNOWN: { status: 410, title: 'Position unknown' },
  PRECONDITION_FAILED: { status: 412, title: 'Precondition failed' },
  QUERY_INVALID: { status: 400, title: 'Query invalid' },
  QUERY_TOO_EXPENSIVE: { status: 422, title: 'Query too expensive' },
  RECORD_EXISTS: { status: 409, title: 'Record exists' },
  RECORD_INVALID: { status: 400, title: 'Record invalid' },
  REQUEST_MALFORMED: { status: 400, title: 'Request malformed' },
  RESOURCE_REFUSED: { status: 400, title: 'Refused by the resource' },
  SCHEMA_INVALID: { status: 500, title: 'Schema invalid' },
  SHUTTING_DOWN: { status: 503, title: 'Shutting down' },
  SIGN_IN_BUSY: { status: 503, title: 'Too many sign-ins at once' },
  SIGN_IN_THROTTLED: { status: 429, title: 'Too many failed sign-ins' },
  STORE_FAILED: { status: 500, title: 'Store failed' },
  STORE_FULL: { status: 507, title: 'Store full' },
  SUBSCRIPTION_LIMIT: { status: 429, title: 'Too many subscriptions' },
  TABLE_UNKNOWN: { status: 404, title: 'Table unknown' },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests' },
  TOO_MANY_WAITERS: { status: 503, title: 'Too many waiters' },
  URL_TOO_LONG: { status: 414, title: 'URL too long' },
  USAGE: { status: 400, title: 'Wrong usage' },
  WRITE_QUEUE_FULL: { status: 503, title: 'Write queue full' },
};

/**
 * Codes whose message may name files, addresses or code of the node; its title is enough outside.
 */
const unspoken: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'APPLICATION_INVALID',
  'BACKUP_INVALID',
  'CONFIG_INVALID',
  'DATA_FOLDER_LOCKED',
  'DATA_FOLDER_TOO_NEW',
  'INTERNAL',
  'PORT_IN_USE',
  'SCHEMA_INVALID',
  'STORE_FAILED',
]);

const RETRY_AFTER_SECONDS_DEFAULT = '1';

/** The status which `code` has in HTTP. */
export function problemStatus(code: ErrorCode): number {
  return problems[code].status;
}

/** The limit behind a code, where the error does not name it itself. */
const limits: Readonly<Partial<Record<ErrorCode, LimitName>>> = {
  BODY_TOO_LARGE: 'requestBodyBytesMax',
  HEADERS_TOO_LARGE: 'headBytesMax',
  KEY_TOO_LONG: 'recordKeyBytesMax',
  SUBSCRIPTION_LIMIT: 'subscriptionsPerConnectionMax',
  TOO_MANY_WAITERS: 'waitersMax',
  URL_TOO_LONG: 'urlBytesMax',
  WRITE_QUEUE_FULL: 'writeQueueBytesMax',
};

/** The limit that an error is about, for the client and for the metric. */
export function limitOf({ code, details }: NodeError): string | undefined {
  const { limit } = details;
  return typeof limit === 'string' ? limit : limits[code];
}

/** An origin that refuses a write says which of the client's mistakes it was. */
function statusOf({ code, details }: NodeError): number {
  const { status } = details;
  if (code === 'ORIGIN_REFUSED' && typeof status === 'number') return status;
  return problemStatus(code);
}

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string | undefined;
  /** The limit that was reached, by its name in the configuration. */
  readonly limit?: string | undefined;
}

/** The document for `error`; `status` replaces the table's. */
export function problemDocument(error: NodeError, status?: number): ProblemDocument {
  const problem = problems[error.code];
  const limit = limitOf(error);
  return {
    type: `urn:millrace:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: problem.title,
    status: status ?? statusOf(error),
    code: error.code,
    ...(unspoken.has(error.code) ? {} : { detail: withCure(error, limit) }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** Whoever runs the node can raise a limit: the text says where, unless it does so itself. */
function withCure({ message, blame }: NodeError, limit: string | undefined): string {
  if (limit === undefined || blame !== 'client' || message.includes(limit)) return message;
  return `${message} (limits.${limit} of the node)`;
}

/** Answers with the problem document of `error`, and `Retry-After` when waiting may help. */
export function replyProblem(
  exchange: Exchange,
  error: NodeError,
  headers: HeaderList = [],
  status?: number,
): void {
  const problem = problemDocument(error, status);
  if (problem.limit !== undefined) exchange.limitHit(problem.limit);
  if (error.code === 'ACCESS_DENIED') exchange.denied(deniedOf(error));
  const own = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (error.retry !== 'never') own.push('retry-after', retryAfter(error));
  // A caller's own field of the same name wins: two Cache-Control lines would contradict.
  const kept = own.filter((_, i) => !headers.includes(own[i - (i % 2)] as string));
  exchange.reply(problem.status, [...kept, ...headers], `${JSON.stringify(problem)}\n`);
}

/** `details.retryAfterSeconds` when the thrower knows better than a second. */
export function retryAfter(error: NodeError): string {
  const seconds = error.details.retryAfterSeconds;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return RETRY_AFTER_SECONDS_DEFAULT;
  return String(Math.max(0, Math.ceil(seconds)));
}
