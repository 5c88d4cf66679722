/**
 * What is refused while memory runs short, the costly first, so that the node lives and goes on
 * answering what it holds:
 *
 *   level 1   queries, large uploads, new streams and sockets, fills (at the origins)
 *   level 2   all writes, and new connections (where the engine can refuse them)
 *   level 3   everything
 *
 * Hits cost nothing that is not given back with the answer, so they go last.
 */
import { NodeError } from '../../base/errors.ts';
import type { PressureLevel } from '../../base/pressure.ts';
import type { Exchange, HttpHandler, HttpRequest } from './port.ts';
import { replyProblem } from './problem.ts';

/** A body above this is a large one, bytes. */
const SMALL_BODY_BYTES_MAX = 64 * 1024;
/** When a client should come back, seconds. */
const RETRY_AFTER_SECONDS = 5;
export const MEMORY_LIMIT = 'memoryBytesMax';

/** Whether a request is one for many records, which only the routes can tell. */
export type IsQuery = (request: HttpRequest) => boolean;

export function withShedding(
  inner: HttpHandler,
  level: () => PressureLevel,
  isQuery: IsQuery,
): HttpHandler {
  return (exchange) => {
    const now = level();
    if (now === 0 || isServed(exchange, now, isQuery)) return inner(exchange);
    return replyProblem(exchange, overloaded());
  };
}

/** The refusal, whatever the protocol. */
export function overloaded(): NodeError {
  const message =
    'the node is short of memory and answers only what costs little; ' +
    `try again in ${RETRY_AFTER_SECONDS} s (limits.${MEMORY_LIMIT})`;
  const details = { limit: MEMORY_LIMIT, retryAfterSeconds: RETRY_AFTER_SECONDS };
  return new NodeError('OVERLOADED', message, { retry: 'later', details });
}

function isServed({ request }: Exchange, level: PressureLevel, isQuery: IsQuery): boolean {
  if (level === 3) return false;
  const { method } = request;
  if (method === 'GET' || method === 'HEAD') {
    return !isQuery(request) && !/text\/event-stream/i.test(request.header('accept') ?? '');
  }
  if (method === 'OPTIONS') return true;
  if (level === 2) return false;
  if (method === 'DELETE') return !isQuery(request);
  const length = request.header('content-length');
  return length !== undefined && Number(length) <= SMALL_BODY_BYTES_MAX;
}
