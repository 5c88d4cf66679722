/** What PostgreSQL refuses or fails at, in the node's error codes, by SQLSTATE. */
import { NodeError } from 'millrace';
import { DatabaseError } from 'pg';

/** The server went away, is starting, or is going: asking again soon may help. */
const GONE = /^(08|57P0)/;
const CANCELLED = '57014';
/** No more connections, memory or disk. */
const EXHAUSTED = /^53/;
/** The row is not as the write supposed: a key that exists, a row that is referred to. */
const CONFLICT = /^(23503|23505|23P01|P0001)$/;
/** A value that the column does not take. */
const UNACCEPTABLE = /^(22|23)/;

/** A failure of a query as the error to throw; what is no answer of the server passes unchanged. */
export function postgresError(origin: string, thrown: unknown, isWrite: boolean): unknown {
  if (thrown instanceof DatabaseError) return answered(origin, thrown, isWrite);
  if (!(thrown instanceof Error) || thrown instanceof NodeError) return thrown;
  // The library has no codes for these.
  if (/timeout (expired|exceeded)/i.test(thrown.message)) {
    return failure('ORIGIN_TIMED_OUT', origin, thrown);
  }
  if (/connection (terminated|error)|not queryable/i.test(thrown.message)) {
    return failure('ORIGIN_UNREACHABLE', origin, thrown);
  }
  return thrown;
}

function answered(origin: string, error: DatabaseError, isWrite: boolean): NodeError {
  const state = error.code ?? '';
  if (state === CANCELLED) return failure('ORIGIN_TIMED_OUT', origin, error);
  if (GONE.test(state)) return failure('ORIGIN_UNREACHABLE', origin, error);
  if (EXHAUSTED.test(state)) return failure('ORIGIN_BUSY', origin, error);
  if (isWrite && CONFLICT.test(state)) return refusal(origin, 409, error);
  if (isWrite && UNACCEPTABLE.test(state)) return refusal(origin, 422, error);
  return failure('ORIGIN_FAILED', origin, error);
}

function failure(code: NodeError['code'], origin: string, error: Error): NodeError {
  const state = error instanceof DatabaseError ? ` (SQLSTATE ${error.code})` : '';
  return new NodeError(code, `origin ${origin}: PostgreSQL: ${error.message}${state}`, {
    blame: 'origin',
    retry: 'later',
    cause: error,
    details: { origin },
  });
}

/** A write which the database does not take is the client's, told by a status of HTTP. */
export function refusal(origin: string, status: 404 | 409 | 422, why: Error | string): NodeError {
  const told = typeof why === 'string' ? why : `${why.message}${detailOf(why)}`;
  return new NodeError('ORIGIN_STATUS', `origin ${origin} refused the write: ${told}`, {
    blame: 'origin',
    retry: 'never',
    ...(typeof why === 'string' ? {} : { cause: why }),
    details: { origin, status },
  });
}

const detailOf = (error: Error): string =>
  error instanceof DatabaseError && error.detail !== undefined ? ` (${error.detail})` : '';

/** The id is no value of the key's type: there can be no such row. */
export const isImpossibleKey = (thrown: unknown): boolean =>
  thrown instanceof DatabaseError &&
  /^22/.test(thrown.code ?? '') &&
  /parameter \$1\b/.test(thrown.where ?? '');
