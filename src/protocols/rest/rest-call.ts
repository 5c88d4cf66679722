/**
 * A request for a table on its way through REST: who asks, for what, under which limits; and the
 * refusals every verb may give.
 */
import type { Authenticate, Authentication } from '../../access/authenticate.ts';
import { authorise, permitsOf } from '../../access/authorise.ts';
import type { Principal } from '../../access/principal.ts';
import { NodeError } from '../../base/errors.ts';
import type { TableDefinition, Verb } from '../../schema/definition.ts';
import { joinedTables } from '../../table/query/joined-tables.ts';
import type { QueryLimits } from '../../table/query/parse-query.ts';
import type { Query } from '../../table/query/query.ts';
import type { Exchange } from '../http/port.ts';
import { replyProblem } from '../http/problem.ts';
import type { BodyLimits } from './json-body.ts';
import type { RestResource } from './resource.ts';
import type { UploadLimits } from './upload.ts';

export interface RestLimits extends BodyLimits, QueryLimits, UploadLimits {}

/** Finds out who asks. */
export interface Identification {
  readonly authenticate: Authenticate;
  /** Told of credentials that were rejected. */
  readonly onRejected: (method: string) => void;
}

export type Identified = Extract<Authentication, { kind: 'principal' }>;

/** One request for a table. `rest` is the raw path after `/<name>`: '', '/', '/id' or '/id/'. */
export interface RestCall {
  readonly exchange: Exchange;
  readonly resource: RestResource;
  readonly rest: string;
  readonly principal: Principal;
  readonly limits: RestLimits;
}

const CHALLENGE = ['www-authenticate', 'Basic realm="millrace", charset="UTF-8"'] as const;

/** The principal of a request, or `undefined` after a 401 was sent. */
export const identify = (exchange: Exchange, parts: Identification): Principal | undefined =>
  identified(exchange, parts)?.principal;

/** The same with its standing, for what outlives the request. */
export function identified(exchange: Exchange, parts: Identification): Identified | undefined {
  const authentication = parts.authenticate(exchange.request);
  if (authentication.kind === 'principal') return authentication;
  parts.onRejected(authentication.method);
  replyRejected(exchange, authentication.error);
  return undefined;
}

/**
 * For answers that no cache may reuse without asking; those to signed-in clients are nobody else's.
 */
export function unstoredHeaders({ principal, resource }: RestCall): readonly string[] {
  const { publicVary } = resource.headers;
  return principal.kind === 'anonymous'
    ? ['cache-control', 'no-cache', 'vary', publicVary]
    : ['cache-control', 'private, no-cache', 'vary', `${publicVary}, authorization`];
}

/**
 * Whether the answer is to name the groups of what it was made from: always, where the table's
 * policy says so; else for a renderer, which says that it will pass them on with its page.
 */
export const namesGroups = ({ exchange, resource }: RestCall): boolean =>
  resource.headers.namesGroups || exchange.request.header('millrace-groups') === '1';

/** Whether the principal may; answers 401 or 403 when not. */
export function permitted(
  { exchange, resource, principal }: RestCall,
  verb: Verb,
  definition = resource.table.definition,
): boolean {
  const verdict = authorise(principal, definition, verb);
  if (verdict === 'allowed') return true;
  refuse(exchange, definition, verb, verdict);
  return false;
}

/**
 * Whether the principal may read every table that a query looks into besides its own, as if it
 * asked each for itself; answers 401 or 403, which names the first it may not, when not. A grant
 * that is limited to keys, rows or attributes is not enough: what it leaves out could be found out
 * by conditions.
 */
export const mayJoin = (
  call: RestCall,
  query: Pick<Query, 'filter' | 'sort' | 'select'>,
): boolean =>
  [...joinedTables(query)].every((definition) => {
    if (!permitted(call, 'read', definition)) return false;
    if (permitsOf(call.principal, definition, 'read') === undefined) return true;
    refuse(call.exchange, definition, 'join', 'denied');
    return false;
  });

export function refuse(
  exchange: Exchange,
  { typeName: name, pages }: TableDefinition,
  verb: Verb | 'join',
  verdict: 'unauthenticated' | 'denied',
): void {
  if (verdict === 'unauthenticated') {
    replyUnauthenticated(
      exchange,
      `anonymous clients may not ${verb} ${name}; sign in, or ` +
        (pages === undefined
          ? `list it in @export(public: [${verb}])`
          : `grant it to the role anonymous in roles.yaml`),
    );
    return;
  }
  replyProblem(
    exchange,
    new NodeError('ACCESS_DENIED', `your role may not ${verb} ${name}`, { blame: 'client' }),
    ['cache-control', 'private, no-cache'],
  );
}

/** Credentials that are not taken, or not now. */
function replyRejected(exchange: Exchange, error: NodeError): void {
  if (error.code === 'AUTHENTICATION_REQUIRED') replyUnauthenticated(exchange, error.message);
  else replyProblem(exchange, error, ['vary', 'authorization']);
}

/** A 401 with its challenge. */
export function replyUnauthenticated(exchange: Exchange, message: string): void {
  replyProblem(exchange, new NodeError('AUTHENTICATION_REQUIRED', message, { blame: 'client' }), [
    ...CHALLENGE,
    'cache-control',
    'private, no-cache',
    'vary',
    'authorization',
  ]);
}
