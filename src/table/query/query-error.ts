/** The two refusals of a query: it cannot be read, or it would cost more than one answer may. */
import { NodeError } from '../../base/errors.ts';

/** What is wrong and where, counted in characters of the query text as it stands in the URL. */
export function queryInvalid(what: string, position: number, cause?: unknown): NodeError {
  return new NodeError('QUERY_INVALID', `query, position ${position}: ${what}`, {
    blame: 'client',
    details: { position },
    cause,
  });
}

/** `reason` says which budget was spent and what would make the query cheaper. */
export function queryTooExpensive(reason: string): NodeError {
  return new NodeError('QUERY_TOO_EXPENSIVE', `the query costs too much: ${reason}`, {
    blame: 'client',
  });
}
