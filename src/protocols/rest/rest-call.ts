/**
 * A request for a table on its way through REST: who asks, for what, under which limits; and the
 * refusals every verb may give.
 */
import type { Authenticate, Authentication } from '../../access/authenticate.ts';
import { accessTo, authorise, refusalOf } from '../../access/authorise.ts';
import type { Principal } from '../../access/principal.ts';
import type { RowAccess } from '../../access/row-access.ts';
import { NodeError } from '../../base/errors.ts';
import { refusal } from '../../base/refusals.ts';
import type { TableDefinition, Verb } from '../../schema/definition.ts';
import type { QueryLimits } from '../../table/query/parse-query.ts';
import type { Query } from '../../table/query/query.ts';
import {
  type Naming,
  type Refused,
  restrictQuery,
  type ViewOf,
  viewsFor,
} from '../../table/query/restrict.ts';
import type { RowViews } from '../../table/query/row-view.ts';
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

/** Whether the principal may, on the whole table; answers 401 or 403 when not. */
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
 * What of the table the principal may use the verb on: `undefined` after a 401 or 403 was sent,
 * `whole` in the common case, which costs a hit nothing.
 */
export function accessed(call: RestCall, verb: Verb): 'whole' | RowAccess | undefined {
  const { exchange, resource, principal } = call;
  const { definition } = resource.table;
  const access = accessTo(principal, definition, verb);
  if (access.kind === 'whole') return 'whole';
  if (access.kind === 'limited') return access.rows;
  refuse(exchange, definition, verb, refusalOf(principal));
  return undefined;
}

/** What the principal sees of each table. */
export const viewsOf =
  ({ principal }: RestCall): ViewOf =>
  (definition) => {
    const access = accessTo(principal, definition, 'read');
    if (access.kind === 'limited') return access.rows;
    return access.kind === 'whole' ? undefined : 'none';
  };

/**
 * The query as the principal may ask it; `undefined` after a 401 or 403 was sent, which names the
 * first table or attribute that may not be read.
 */
export function seenQuery(call: RestCall, query: Query): Query | undefined {
  const { definition } = call.resource.table;
  const restricted = restrictQuery(definition, query, viewsOf(call));
  if (restricted.kind === 'refused') {
    refuseNaming(call, restricted);
    return undefined;
  }
  if (!query.isExplain || restricted.query.views === undefined) return restricted.query;
  // How many rows lie on which way tells of those that are not seen.
  refuse(call.exchange, definition, 'explain', refusalOf(call.principal));
  return undefined;
}

/** The views by which a part of a record may be answered; `undefined` as `seenQuery` yields it. */
export function seenParts(call: RestCall, naming: Naming): RowViews | undefined {
  const views = viewsFor(call.resource.table.definition, naming, viewsOf(call));
  if (!('refused' in views)) return views;
  refuseNaming(call, views.refused);
  return undefined;
}

function refuseNaming(call: RestCall, { definition, attribute }: Refused['refused']): void {
  const verdict = refusalOf(call.principal);
  if (attribute === undefined) refuse(call.exchange, definition, 'read', verdict);
  else refuse(call.exchange, definition, 'read', verdict, attribute);
}

export function refuse(
  exchange: Exchange,
  { typeName, pages }: TableDefinition,
  verb: Verb | 'explain',
  verdict: 'unauthenticated' | 'denied',
  attribute?: string | undefined,
): void {
  const name = attribute === undefined ? typeName : `${attribute} of ${typeName}`;
  const isListed = pages === undefined && attribute === undefined && verb !== 'explain';
  const opener = isListed ? `@export(public: [${verb}])` : 'a grant to anonymous in roles.yaml';
  const error = refusal(verdict, { verb, what: name, opener });
  if (verdict === 'unauthenticated') replyUnauthenticated(exchange, error.message);
  else replyProblem(exchange, error, ['cache-control', 'private, no-cache']);
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
