/**
 * Tables by URL: `/<name>` describes, `/<name>/` is the collection, `/<name>/<id>` a record. Finds
 * out who asks, what for, and whether they may; then hands over to the verb. Knows nothing of
 * stores or origins.
 */
import type { Authenticate } from '../../access/authenticate.ts';
import { authorise } from '../../access/authorise.ts';
import type { Principal } from '../../access/principal.ts';
import { NodeError } from '../../base/errors.ts';
import type { Verb } from '../../schema/definition.ts';
import type { Table } from '../../table/table.ts';
import type { Exchange } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';
import { describeTable } from './describe.ts';
import type { BodyLimits } from './json-body.ts';
import type { QueryLimits } from './query.ts';
import { readCollection } from './read-collection.ts';
import { readRecord } from './read-record.ts';
import type { RestResource } from './resource.ts';
import { createRecord, deleteRecord, patchRecord, putRecord } from './write-record.ts';

export interface RestLimits extends BodyLimits, QueryLimits {}

/** Finds out who asks. */
export interface Identification {
  readonly authenticate: Authenticate;
  /** Told of credentials that were rejected. */
  readonly onRejected: (method: string) => void;
}

export interface RestParts extends Identification {
  readonly limits: RestLimits;
}

/** One request for a table. `rest` is the raw path after `/<name>`: '', '/', '/id' or '/id/'. */
export interface RestCall {
  readonly exchange: Exchange;
  readonly resource: RestResource;
  readonly rest: string;
  readonly principal: Principal;
  readonly limits: RestLimits;
}

const CHALLENGE = ['www-authenticate', 'Basic realm="millrace", charset="UTF-8"'] as const;
const ALLOW = 'GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS';

export type Rest = (
  exchange: Exchange,
  resource: RestResource,
  rest: string,
) => void | Promise<void>;

export function createRest(parts: RestParts): Rest {
  return (exchange, resource, rest) => {
    const principal = identify(exchange, parts);
    if (principal === undefined) return undefined;
    return dispatch({ exchange, resource, rest, principal, limits: parts.limits });
  };
}

/** The principal of a request, or `undefined` after a 401 was sent. */
export function identify(exchange: Exchange, parts: Identification): Principal | undefined {
  const authentication = parts.authenticate(exchange.request.header('authorization'));
  if (authentication.kind === 'principal') return authentication.principal;
  parts.onRejected(authentication.method);
  replyUnauthenticated(exchange, 'these credentials are not known here');
  return undefined;
}

function dispatch(call: RestCall): void | Promise<void> {
  switch (call.exchange.request.method) {
    case 'GET':
    case 'HEAD':
      if (!permitted(call, 'read')) return undefined;
      return read(call);
    case 'PUT':
      return putRecord(call);
    case 'PATCH':
      return patchRecord(call);
    case 'POST':
      return createRecord(call);
    case 'DELETE':
      if (!permitted(call, 'delete')) return undefined;
      return deleteRecord(call);
    case 'OPTIONS':
      return call.exchange.reply(204, ['allow', ALLOW]);
    default:
      return replyProblem(
        call.exchange,
        new NodeError('METHOD_NOT_ALLOWED', `a table takes ${ALLOW}`, { blame: 'client' }),
        ['allow', ALLOW],
      );
  }
}

function read(call: RestCall): void | Promise<void> {
  const { rest } = call;
  if (rest.length > 1 && rest.charCodeAt(rest.length - 1) !== SLASH) return readRecord(call);
  if (rest === '' && call.exchange.request.query === '') return describeTable(call);
  return readCollection(call);
}

const SLASH = 0x2f;

/** Whether the principal may; answers 401 or 403 when not. */
export function permitted(call: RestCall, verb: Verb): boolean {
  const { exchange, resource, principal } = call;
  const verdict = authorise(principal, resource.table.definition, verb);
  if (verdict === 'allowed') return true;
  refuse(exchange, resource.table, verb, verdict);
  return false;
}

export function refuse(
  exchange: Exchange,
  table: Table,
  verb: Verb,
  verdict: 'unauthenticated' | 'denied',
): void {
  const name = table.definition.typeName;
  if (verdict === 'unauthenticated') {
    replyUnauthenticated(
      exchange,
      `anonymous clients may not ${verb} ${name}; sign in, or list it in @export(public: [${verb}])`,
    );
    return;
  }
  replyProblem(
    exchange,
    new NodeError('ACCESS_DENIED', `your role may not ${verb} ${name}`, { blame: 'client' }),
    ['cache-control', 'private, no-cache'],
  );
}

function replyUnauthenticated(exchange: Exchange, message: string): void {
  replyProblem(exchange, new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' }), [
    ...CHALLENGE,
    'cache-control',
    'private, no-cache',
    'vary',
    'authorization',
  ]);
}
