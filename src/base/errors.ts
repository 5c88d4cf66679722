/**
 * Operating errors (STYLE §errors, second kind): something outside our code failed or was refused.
 * One class; `code` comes from one closed union and is stable for ever, the message is free to
 * improve: what was tried, on what, the likely cause, what to do. Outcomes (miss, not found,
 * conflict) are return values and never travel as errors.
 */

/** Every code, each mapped by every protocol's own total table. */
export type ErrorCode =
  | 'ACCESS_CHANGED'
  | 'ACCESS_DENIED'
  | 'ADDRESS_REFUSED'
  | 'APPLICATION_INVALID'
  | 'AUTHENTICATION_REQUIRED'
  | 'BACKUP_INVALID'
  | 'BODY_MALFORMED'
  | 'BODY_TOO_LARGE'
  | 'BODY_ON_ITS_WAY'
  | 'BREAKER_OPEN'
  | 'CATCHING_UP'
  | 'CLOCK_AHEAD'
  | 'NAME_TAKEN'
  | 'CONFIG_INVALID'
  | 'CONTENT_TYPE_UNSUPPORTED'
  | 'DATA_FOLDER_LOCKED'
  | 'DATA_FOLDER_TOO_NEW'
  | 'DEADLINE_EXCEEDED'
  | 'DISCONNECTED'
  | 'ENTRY_UNDECODABLE'
  | 'HEADERS_TOO_LARGE'
  | 'HOST_REFUSED'
  | 'INDEX_BUILDING'
  | 'INTERNAL'
  | 'KEY_INVALID'
  | 'KEY_TOO_LONG'
  | 'LENGTH_REQUIRED'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_ACCEPTABLE'
  | 'NOT_CACHED'
  | 'NOT_FOUND'
  | 'OPERATION_UNKNOWN'
  | 'ORIGIN_BODY_INVALID'
  | 'ORIGIN_BODY_TOO_LARGE'
  | 'ORIGIN_BUSY'
  | 'ORIGIN_FAILED'
  | 'ORIGIN_REFUSED'
  | 'ORIGIN_STATUS'
  | 'ORIGIN_TIMED_OUT'
  | 'ORIGIN_UNREACHABLE'
  | 'OVERLOADED'
  | 'PEERS_UNCONFIRMED'
  | 'PEER_INVALID'
  | 'PEER_REFUSED'
  | 'PEER_UNREACHABLE'
  | 'PORT_IN_USE'
  | 'POSITION_UNKNOWN'
  | 'PRECONDITION_FAILED'
  | 'QUERY_INVALID'
  | 'QUERY_TOO_EXPENSIVE'
  | 'RECORD_EXISTS'
  | 'RECORD_INVALID'
  | 'REQUEST_MALFORMED'
  | 'RESOURCE_REFUSED'
  | 'SCHEMA_INVALID'
  | 'SHUTTING_DOWN'
  | 'SIGN_IN_BUSY'
  | 'SIGN_IN_THROTTLED'
  | 'STORE_FAILED'
  | 'STORE_FULL'
  | 'SUBSCRIPTION_LIMIT'
  | 'TABLE_UNKNOWN'
  | 'TOO_MANY_REQUESTS'
  | 'TOO_MANY_WAITERS'
  | 'URL_TOO_LONG'
  | 'USAGE'
  | 'WRITE_QUEUE_FULL';

export type Blame = 'client' | 'origin' | 'peer' | 'node';
export type Retry = 'never' | 'later' | 'now';

export interface NodeErrorOptions {
  readonly blame?: Blame | undefined;
  readonly retry?: Retry | undefined;
  readonly cause?: unknown;
  /**
   * Facts for programs: status of the origin, the field at fault, line and column, limit and value.
   */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The one error class of the project. */
export class NodeError extends Error {
  override name = 'NodeError';
  readonly code: ErrorCode;
  readonly blame: Blame;
  readonly retry: Retry;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: NodeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.blame = options.blame ?? 'node';
    this.retry = options.retry ?? 'never';
    this.details = options.details ?? {};
  }
}

/** `error` itself when it is ours; otherwise an `INTERNAL` error which keeps it as its cause. */
export function asNodeError(error: unknown): NodeError {
  if (error instanceof NodeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new NodeError('INTERNAL', message, { cause: error });
}
