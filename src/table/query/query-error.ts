/** The two refusals of a query: it cannot be read, or it would cost more than one answer may. */
import { NodeError } from '../../base/errors.ts';
import type { LimitName } from '../../config/limits.ts';

/** What is wrong and where, counted in characters of the query text as it stands in the URL. */
export function queryInvalid(what: string, position: number, cause?: unknown): NodeError {
  return new NodeError('QUERY_INVALID', `query, position ${position}: ${what}`, {
    blame: 'client',
    details: { position },
    cause,
  });
}

/** A query that is written larger than `limit` allows. */
export function queryBeyond(limit: LimitName, what: string, position: number): NodeError {
  return new NodeError('QUERY_INVALID', `query, position ${position}: ${what}`, {
    blame: 'client',
    details: { position, limit },
  });
}

/** `reason` says which budget, `limit`, was spent and what would make the query cheaper. */
export function queryTooExpensive(limit: LimitName, reason: string): NodeError {
  return new NodeError('QUERY_TOO_EXPENSIVE', `the query costs too much: ${reason}`, {
    blame: 'client',
    details: { limit },
  });
}
