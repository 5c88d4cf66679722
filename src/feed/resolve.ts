/**
 * From a URL to what is subscribed to: `/<name>/<id>` a record, `/<name>/` (or `/<name>`) the
 * collection, with conditions in the query as a `GET` takes them. The same for every protocol that
 * names its subscriptions by path. `lastEventId` in the query is a position to resume from, for
 * clients which cannot send a header. Judges the grant; knows no wire.
 */
import type { RecordId } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { parseRowFilter } from '../table/query/row-filter.ts';
import type { QueryScope } from '../table/query/scope.ts';
import { recordIdFromUrl } from '../table/record-key.ts';
import type { FeedProtocol } from './sink.ts';
import type { SubscriptionRequest } from './subscriber.ts';

export type Resolution =
  | { readonly kind: 'resolved'; readonly request: SubscriptionRequest }
  | { readonly kind: 'refused'; readonly error: NodeError };

export interface Target {
  /** Raw, percent-encoded, beginning with '/'. */
  readonly path: string;
  /** Raw, without '?'. */
  readonly query: string;
  /** Fields of the request, where there is one: the key of a page is made of some. */
  readonly header?: ((name: string) => string | undefined) | undefined;
}

/** The stored page that stands at a path of its own. */
export interface FollowedPage {
  readonly table: TableDefinition;
  readonly id: RecordId;
}

/** Finds what `target` names and whether `principal` may subscribe to it; never throws. */
export type Resolve<Principal> = (
  target: Target,
  principal: Principal,
  protocol: Exclude<FeedProtocol, 'code'>,
) => Resolution;

export interface ResolveParts<Principal> {
  /** The tables that may be subscribed to: what queries may speak of, with its definition. */
  readonly scopes: Iterable<QueryScope>;
  readonly authorise: (
    principal: Principal,
    table: TableDefinition,
    verb: 'subscribe',
  ) => 'allowed' | 'unauthenticated' | 'denied';
  /** The page at a path that is no table's. */
  readonly pageAt?: ((target: Target) => FollowedPage | undefined) | undefined;
}

export function createResolve<Principal>(parts: ResolveParts<Principal>): Resolve<Principal> {
  const byName = new Map<string, QueryScope>();
  for (const scope of parts.scopes) {
    const exported = scope.definition.export;
    if (exported !== undefined) byName.set(exported.name, scope);
  }
  return (target, principal, protocol) => {
    try {
      const found = findTable(byName, target.path);
      const page = found === undefined ? pageFor(target, parts, protocol) : undefined;
      if (page !== undefined) {
        check(parts.authorise(principal, page.table, 'subscribe'), page.table);
        const { from } = withoutPosition(target.query);
        return { kind: 'resolved', request: { ...page, kind: 'record', protocol, from } };
      }
      if (found === undefined || found.scope.definition.export?.protocols.has(protocol) !== true) {
        throw new NodeError('NOT_FOUND', `nothing to subscribe to at ${target.path}`, CLIENT);
      }
      const table = found.scope.definition;
      check(parts.authorise(principal, table, 'subscribe'), table);
      return { kind: 'resolved', request: requestFor(found, target.query, protocol) };
    } catch (error) {
      return { kind: 'refused', error: asNodeError(error) };
    }
  };
}

/** A page at its own address: a position to resume from is no part of its query. */
function pageFor<Principal>(
  target: Target,
  { pageAt }: ResolveParts<Principal>,
  protocol: Exclude<FeedProtocol, 'code'>,
): FollowedPage | undefined {
  const { conditions: query } = withoutPosition(target.query);
  const page = pageAt?.({ ...target, query });
  return page?.table.export?.protocols.has(protocol) === true ? page : undefined;
}

const CLIENT = { blame: 'client' } as const;

interface Found {
  readonly scope: QueryScope;
  /** Raw path after the name: '', '/' or '/id'. */
  readonly rest: string;
}

/** The table with the longest name that the path begins with. */
function findTable(byName: ReadonlyMap<string, QueryScope>, path: string): Found | undefined {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const scope = byName.get(path.slice(1, end));
    if (scope !== undefined) return { scope, rest: path.slice(end) };
  }
  const catchAll = byName.get('*');
  return catchAll && { scope: catchAll, rest: path };
}

function check(verdict: 'allowed' | 'unauthenticated' | 'denied', table: TableDefinition): void {
  if (verdict === 'allowed') return;
  const code = verdict === 'denied' ? 'ACCESS_DENIED' : 'AUTHENTICATION_REQUIRED';
  throw new NodeError(code, `you may not subscribe to ${table.typeName}`, CLIENT);
}

function requestFor(
  { scope, rest }: Found,
  query: string,
  protocol: Exclude<FeedProtocol, 'code'>,
): SubscriptionRequest {
  const table = scope.definition;
  const { conditions, from } = withoutPosition(query);
  if (rest === '' || rest === '/') {
    const filter = parseRowFilter(conditions, scope);
    return { kind: 'collection', table, protocol, from, filter };
  }
  if (rest.endsWith('/')) {
    throw new NodeError('QUERY_INVALID', 'a part of a collection cannot be subscribed to', CLIENT);
  }
  if (conditions !== '') {
    throw new NodeError('QUERY_INVALID', 'a subscription to one record takes no query', CLIENT);
  }
  return { kind: 'record', table, protocol, from, id: recordIdFromUrl(table, rest.slice(1)) };
}

const POSITION = 'lastEventId=';

/** The conditions, and the position which stands among them. */
function withoutPosition(query: string): { conditions: string; from: string | undefined } {
  if (!query.includes(POSITION)) return { conditions: query, from: undefined };
  const terms = query.split('&');
  const positions = terms.filter((term) => term.startsWith(POSITION));
  const from = decode(positions.at(-1)?.slice(POSITION.length) ?? '');
  return {
    conditions: terms.filter((term) => !term.startsWith(POSITION)).join('&'),
    from: from === '' ? undefined : from,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    const message = `${JSON.stringify(text)} is not valid percent-encoding`;
    throw new NodeError('QUERY_INVALID', message, { ...CLIENT, cause });
  }
}
