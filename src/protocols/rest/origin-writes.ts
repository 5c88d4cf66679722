/**
 * Which methods a path of a table takes: by what the path names, and by what an origin that decides
 * on writes can do. Writes which it cannot take are refused before their body is read.
 */
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
  replyProblem(call.exchange, error, ['allow', allowedMethods(call)]); // [RFC9110 §15.5.6]
  return false;
}

/** `/T`, `/T/`, `/T/prefix/` and `/T/id` take different ones. */
export function allowedMethods({ exchange, rest, resource: { table } }: RestCall): string {
  const { query } = exchange.request;
  const isRecord = rest.length > 1 && !rest.endsWith('/');
  // An origin cannot take a list back when a part of it fails.
  const takesMany = rest === '/' && !table.writesThrough;
  const methods = {
    PUT: table.takes('put') && (isRecord || takesMany),
    PATCH: table.takes('patch') && (isRecord || takesMany),
    POST: table.takes('put') && rest.length <= 1,
    // Of many only those which a query names: nobody deletes a table by a slash.
    DELETE: table.takes('delete') && (isRecord || (rest === '/' && query !== '')),
  };
  const taken = Object.entries(methods).flatMap(([name, isTaken]) => (isTaken ? [name] : []));
  return ['GET', 'HEAD', ...taken, 'OPTIONS'].join(', ');
}
