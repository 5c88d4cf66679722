/** Writes which the origin of a table cannot take are refused before their body is read. */
import { NodeError } from '../../base/errors.ts';
import type { WriteVerb } from '../../table/write-through.ts';
import { replyProblem } from '../http/problem.ts';
import type { RestCall } from './rest-call.ts';

/** Answers 405 with what there is, and yields false, when the origin has no such write. */
export function originTakes(call: RestCall, verb: WriteVerb): boolean {
  const { table } = call.resource;
  if (table.takes(verb)) return true;
  const { typeName, sourcedFrom } = table.definition;
  const message =
    `${typeName} is written through its origin ${sourcedFrom?.origin ?? ''}, which has no ` +
    `${verb}(); give it one, or declare @sourcedFrom(write: none)`;
  const error = new NodeError('METHOD_NOT_ALLOWED', message, { blame: 'client' });
  replyProblem(call.exchange, error, ['allow', allowed(call)]); // [RFC9110 §15.5.6]
  return false;
}

function allowed({ rest, resource: { table } }: RestCall): string {
  const isCollection = rest.length <= 1;
  return [
    'GET, HEAD',
    ...(table.takes('put') ? [isCollection ? 'POST' : 'PUT'] : []),
    ...(table.takes('patch') && !isCollection ? ['PATCH'] : []),
    ...(table.takes('delete') && !isCollection ? ['DELETE'] : []),
    'OPTIONS',
  ].join(', ');
}
