/**
 * What went wrong with an origin, in the node's error codes. Every failure of a kind's code, of
 * undici, of sockets, TLS and DNS comes through here once, so that the read path, the breaker and
 * the retries judge by code and never by message.
 */
import { NodeError, type NodeErrorOptions } from '../base/errors.ts';

type FailureCode = Extract<
  NodeError['code'],
  | 'ORIGIN_BODY_INVALID'
  | 'ORIGIN_BODY_TOO_LARGE'
  | 'ORIGIN_FAILED'
  | 'ORIGIN_STATUS'
  | 'ORIGIN_TIMED_OUT'
  | 'ORIGIN_UNREACHABLE'
>;

/** An operating error which the origin is to blame for. */
export const originError = (
  code: FailureCode,
  message: string,
  options: NodeErrorOptions = {},
): NodeError => new NodeError(code, message, { blame: 'origin', retry: 'later', ...options });

/** The origin answered, but not with a record: `details.status` is its status. */
export function statusError(
  origin: string,
  status: number,
  retryAfterMs: number | undefined,
  what = 'the request',
): NodeError {
  return originError('ORIGIN_STATUS', `origin ${origin} answered ${what} with status ${status}`, {
    retry: status >= 500 || status === 429 || status === 408 ? 'later' : 'never',
    details: { origin, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });
}

const TIMED_OUT = new Set([
  'ETIMEDOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
]);
const UNREACHABLE = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'UND_ERR_SOCKET',
]);
const NOT_HTTP = new Set(['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_INVALID_RETURN_VALUE']);

/** Any thrown value as the operating error it stands for; our own errors pass unchanged. */
export function asOriginError(origin: string, thrown: unknown): NodeError {
  for (const error of causes(thrown)) {
    if (error instanceof NodeError) return error;
    const known = byErrorCode(origin, error);
    if (known !== undefined) return known;
  }
  return unknownFailure(origin, thrown);
}

/** The chain of causes (and the first of joined errors), at most eight deep. */
function* causes(thrown: unknown): Generator<Error> {
  let current = thrown;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    yield current;
    const joined: unknown = current instanceof AggregateError ? current.errors[0] : undefined;
    current = joined ?? current.cause;
  }
}

function byErrorCode(origin: string, error: Error): NodeError | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const details = { origin, cause: code };
  // The system's own words name the address, which is nobody's business who asks for a record.
  const isSilent = error.message === '' || 'syscall' in error;
  const told = isSilent ? code : `${code}: ${error.message}`;
  if (TIMED_OUT.has(code)) {
    const message = `origin ${origin} did not answer in time (${told})`;
    return originError('ORIGIN_TIMED_OUT', message, { cause: error, details });
  }
  if (UNREACHABLE.has(code) || isTlsFailure(code)) {
    const message = `origin ${origin} could not be reached, or dropped the connection (${told})`;
    return originError('ORIGIN_UNREACHABLE', message, { cause: error, details });
  }
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    const message = `origin ${origin} sent a response head above the limit`;
    return originError('ORIGIN_BODY_TOO_LARGE', message, { cause: error, details });
  }
  // undici leaves the code of a parser's error out; its name is always there.
  if (NOT_HTTP.has(code) || error.name === 'HTTPParserError') {
    const message = `origin ${origin} sent something that is not HTTP (${told})`;
    return originError('ORIGIN_BODY_INVALID', message, { cause: error, details });
  }
  return undefined;
}

const isTlsFailure = (code: string): boolean =>
  code.startsWith('ERR_TLS_') ||
  code.startsWith('ERR_SSL_') ||
  code.startsWith('CERT_') ||
  code.includes('SELF_SIGNED') ||
  code.startsWith('UNABLE_TO_');

/** Code that throws its own errors may say a status, as HTTP libraries do. */
function unknownFailure(origin: string, thrown: unknown): NodeError {
  const status = statusOf(thrown);
  if (status !== undefined) return statusError(origin, status, undefined);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return originError('ORIGIN_FAILED', `origin ${origin} failed: ${message}`, {
    cause: thrown,
    details: { origin },
  });
}

/** `statusCode` or `status` of an error thrown by origin code. */
export function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || thrown instanceof NodeError)
    return undefined;
  const status =
    'statusCode' in thrown ? thrown.statusCode : 'status' in thrown ? thrown.status : undefined;
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : undefined;
}

/** Whether asking again soon may help: the network failed, or a proxy said its backend did. */
export function isRetryable(error: NodeError): boolean {
  if (error.code === 'ORIGIN_UNREACHABLE') return true;
  const status = error.details.status;
  return error.code === 'ORIGIN_STATUS' && (status === 502 || status === 503 || status === 504);
}

/** Whether the breaker counts it: the origin itself is unwell, not this one request. */
export function speaksAgainstOrigin(error: NodeError): boolean {
  if (error.blame !== 'origin') return false;
  if (error.code !== 'ORIGIN_STATUS') return error.code !== 'BREAKER_OPEN';
  const status = error.details.status;
  return typeof status === 'number' && status >= 500;
}

/** `retryAfterMs` of an error, when the origin or the breaker gave one. */
export function retryAfterOf(error: NodeError): number {
  const wait = error.details.retryAfterMs;
  return typeof wait === 'number' ? wait : 0;
}

export function misframed(name: string): NodeError {
  const message =
    `origin ${name} sent a body that may not be whole: its connection was reset, or its ` +
    'Transfer-Encoding is not chunked alone';
  return originError('ORIGIN_BODY_INVALID', message, { details: { origin: name } });
}
