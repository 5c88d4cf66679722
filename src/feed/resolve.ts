/**
 * From a URL to what is subscribed to: `/<name>/<id>` a record, `/<name>/` (or `/<name>`) the
 * collection, with conditions in the query as a `GET` takes them. The same for every protocol that
 * names its subscriptions by path. `lastEventId` in the query is a position to resume from, for
 * clients which cannot send a header. Judges the grant; knows no wire.
 */
import type { RecordId } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { refusal } from '../base/refusals.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { parseRowQuery } from '../table/query/row-filter.ts';
import type { RowView } from '../table/query/row-view.ts';
import type { QueryScope } from '../table/query/scope.ts';
import { recordIdFromUrl } from '../table/record-key.ts';
import { type HistoryWish, historyWish } from './history-wish.ts';
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
  /** What a proxy in front says that the client speaks. */
  readonly toldScheme?: 'http' | 'https' | undefined;
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
  readonly viewOf: (principal: Principal, table: TableDefinition) => SubscribeAccess;
  /** The page at a path that is no table's. */
  readonly pageAt?: ((target: Target) => FollowedPage | undefined) | undefined;
}

/** What of a table somebody may follow: all of it, a part, or nothing and why. */
export type SubscribeAccess = 'whole' | RowView | 'unauthenticated' | 'denied';

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
        const { from } = withoutPosition(target.query);
        const request = { ...page, kind: 'record', protocol, from } as const;
        return { kind: 'resolved', request: within(parts.viewOf(principal, page.table), request) };
      }
      if (found === undefined || found.scope.definition.export?.protocols.has(protocol) !== true) {
        throw new NodeError(
          'NOT_FOUND',
          `nothing to subscribe to at ${target.path}${CURE}`,
          CLIENT,
        );
      }
      const table = found.scope.definition;
      const access = parts.viewOf(principal, table);
      if (typeof access === 'string' && access !== 'whole') throw refused(access, table);
      const request = requestFor(found, target.query, protocol);
      const error = refusedHistory(request);
      if (error !== undefined) throw error;
      return { kind: 'resolved', request: within(access, request) };
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
const CURE =
  ': follow /Table/ or /Table/key of an exported table, or open /live and subscribe there ' +
  '(MQTT clients offer the subprotocol mqtt, at any path)';
const ROLE_OPENS = 'a grant to the role anonymous in roles.yaml';

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

function refused(verdict: 'unauthenticated' | 'denied', table: TableDefinition): NodeError {
  const opener = table.pages === undefined ? '@export(public: [subscribe])' : ROLE_OPENS;
  return refusal(verdict, { verb: 'subscribe', what: `to ${table.typeName}`, opener });
}

/** Conditions on what may not be read would tell of it: the rows which show it are left. */
function within(access: SubscribeAccess, request: SubscriptionRequest): SubscriptionRequest {
  if (access === 'whole') return request;
  if (typeof access === 'string') throw refused(access, request.table);
  const { typeName } = request.table;
  if (request.kind === 'record') {
    if (access.coversKey(request.id)) return { ...request, view: access };
    throw refusal('denied', { verb: 'subscribe', what: `to ${typeName}/${String(request.id)}` });
  }
  const { filter, window } = request;
  const named = new Set([...(filter?.attributes ?? []), ...(window?.attributes ?? [])]);
  const view = access.among(named);
  if (view !== undefined && [...named].every((name) => access.mayName(name))) {
    return { ...request, view };
  }
  const what = `to ${typeName} by ${[...named].join(', ')}`;
  throw refusal('denied', { verb: 'subscribe', what });
}

function requestFor(
  { scope, rest }: Found,
  query: string,
  protocol: Exclude<FeedProtocol, 'code'>,
): SubscriptionRequest {
  const table = scope.definition;
  const { conditions: asked, from } = withoutPosition(query);
  const { conditions, history } = withoutHistory(asked);
  if (rest === '' || rest === '/') {
    const { filter, window } = parseRowQuery(conditions, scope);
    return { kind: 'collection', table, protocol, from, filter, window, history };
  }
  if (rest.endsWith('/')) {
    throw new NodeError('QUERY_INVALID', 'a part of a collection cannot be subscribed to', CLIENT);
  }
  if (conditions !== '') {
    throw new NodeError('QUERY_INVALID', 'a subscription to one record takes no query', CLIENT);
  }
  const id = recordIdFromUrl(table, rest.slice(1));
  return { kind: 'record', table, protocol, from, history, id };
}

/** Why no history goes with the request; `undefined` when none is asked for, or there is one. */
export function refusedHistory(request: SubscriptionRequest): NodeError | undefined {
  const { history, table } = request;
  if (history === undefined) return undefined;
  const isWindow = request.kind === 'collection' && request.window !== undefined;
  if (table.history && !isWindow) return undefined;
  const message = isWindow
    ? 'a subscription with limit() has no history'
    : `${table.typeName} keeps no history: declare it @table(history: true)`;
  return new NodeError('QUERY_INVALID', message, CLIENT);
}

/** The conditions, and `history(20)` or `history(since:2026-01-31T12:00:00Z)` among them. */
function withoutHistory(query: string): {
  conditions: string;
  history: HistoryWish | undefined;
} {
  if (!query.includes('history(')) return { conditions: query, history: undefined };
  const terms = query.split('&');
  const wish = terms.find((term) => HISTORY.test(term));
  if (wish === undefined) return { conditions: query, history: undefined };
  const [, since, last] = HISTORY.exec(wish) ?? [];
  const history = historyWish(last, since === undefined ? undefined : decode(since));
  if (history === undefined) {
    const message = `${wish} is neither history(20) nor history(since:2026-01-31T12:00:00Z)`;
    throw new NodeError('QUERY_INVALID', message, CLIENT);
  }
  return { conditions: terms.filter((term) => term !== wish).join('&'), history };
}

const HISTORY = /^history\((?:since:([^)]*)|([^)]*))\)$/;

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
