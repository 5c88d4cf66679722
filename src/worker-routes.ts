/**
 * What is served where on the app port: tables by the first segment of the path, in the protocol
 * that the request asks for; then the application's static files. One look-up in a map decides for
 * a hit.
 */
import type { Settle } from './access/authenticate.ts';
import { NodeError } from './base/errors.ts';
import type { Exchange, HttpHandler } from './protocols/http/port.ts';
import { replyProblem } from './protocols/http/problem.ts';
import type { StaticFiles } from './protocols/http/static-files.ts';
import {
  canFollow,
  type PageResource,
  type ServePages,
  servePage,
} from './protocols/pages/serve-pages.ts';
import type { ServeCustom } from './protocols/rest/custom-resource.ts';
import type { RestResource } from './protocols/rest/resource.ts';
import type { Rest } from './protocols/rest/rest.ts';
import { wantsEventStream } from './protocols/sse/endpoint.ts';
import { CLIENT_PATH } from './protocols/websocket/client-file.ts';
import { LIVE_PATH } from './protocols/websocket/gateway.ts';
import type { PathMatch, PathTree } from './resource/path-tree.ts';
import type { CodeRoute } from './worker-code.ts';
import { OPENAPI_PATH } from './worker-openapi.ts';

export interface AppRoutes {
  /** Signing in and out; what is there stands before files and pages. */
  readonly signIn: (path: string) => HttpHandler | undefined;
  /** Awaited before what asks who asks; pages and files do not. */
  readonly settle: Settle;
  readonly resources: ReadonlyMap<string, RestResource>;
  readonly rest: Rest;
  /** Serves an event stream for a resource path. */
  readonly events: (exchange: Exchange) => void | Promise<void>;
  readonly files: StaticFiles | undefined;
  /** Page tables, for what nothing else serves. */
  readonly pages?: ServePages | undefined;
  /** Paths that application code has a say in; their first segments are not in `resources`. */
  readonly code?: PathTree<CodeRoute> | undefined;
  readonly serveCode: ServeCustom;
  /** The client of `/live`, for pages. */
  readonly client: HttpHandler;
  /** The description of all this, at `/openapi` unless something else is served there. */
  readonly openApi: HttpHandler;
}

/** A resource and what stands after its name in the path. */
export interface RoutedPath {
  readonly resource: RestResource;
  readonly rest: string;
}

/** Finds the exported table of a path; names of several segments are tried longest first. */
export function routePath(
  resources: ReadonlyMap<string, RestResource>,
  path: string,
): RoutedPath | undefined {
  const slash = path.indexOf('/', 1);
  const name = slash === -1 ? path.slice(1) : path.slice(1, slash);
  const resource = resources.get(name);
  if (resource !== undefined) return { resource, rest: slash === -1 ? '' : path.slice(slash) };
  return nestedRoute(resources, path);
}

function nestedRoute(
  resources: ReadonlyMap<string, RestResource>,
  path: string,
): RoutedPath | undefined {
  let end = path.length;
  while (end > 1) {
    const resource = resources.get(path.slice(1, end));
    if (resource !== undefined) return { resource, rest: path.slice(end) };
    end = path.lastIndexOf('/', end - 1);
  }
  return undefined;
}

export function createAppHandler(routes: AppRoutes): HttpHandler {
  return (exchange) => {
    const { request } = exchange;
    const routed = routePath(routes.resources, request.path);
    if (routed === undefined) return serveOther(exchange, routes);
    // Not by `settled`: a hit makes no closure.
    const settling = routes.settle(request);
    if (settling === undefined) return serveTable(exchange, routed, routes);
    return settling.then(() => serveTable(exchange, routed, routes));
  };
}

/** Serves at once when it is known who asks, else when it is. */
function settled(
  { request }: Exchange,
  { settle }: AppRoutes,
  serve: () => void | Promise<void>,
): void | Promise<void> {
  const settling = settle(request);
  return settling === undefined ? serve() : settling.then(serve);
}

function serveTable(
  exchange: Exchange,
  { resource, rest }: RoutedPath,
  routes: AppRoutes,
): void | Promise<void> {
  const { request } = exchange;
  if (request.method === 'GET' && wantsEventStream(request.header('accept'))) {
    return routes.events(exchange);
  }
  return routes.rest(exchange, resource, rest);
}

/** Application code by the longest of its paths, else a file. */
function serveOther(exchange: Exchange, routes: AppRoutes): void | Promise<void> {
  const found = routes.code?.match(exchange.request.path);
  if (found === undefined) {
    const signIn = routes.signIn(exchange.request.path);
    if (signIn !== undefined) return signIn(exchange);
    if (exchange.request.path === CLIENT_PATH) return routes.client(exchange);
    return exchange.request.path === OPENAPI_PATH
      ? settled(exchange, routes, () => routes.openApi(exchange))
      : serveFileOrPage(exchange, routes);
  }
  return settled(exchange, routes, () => serveCode(exchange, found, routes));
}

function serveCode(
  exchange: Exchange,
  found: PathMatch<CodeRoute>,
  routes: AppRoutes,
): void | Promise<void> {
  const { custom, table, untouched, stream } = found.value;
  const { method, header } = exchange.request;
  const isEvents = method === 'GET' && wantsEventStream(header.call(exchange.request, 'accept'));
  // Events of a table whose class has a `connect` of its own are the class's.
  if (
    table !== undefined &&
    (custom === undefined || (isEvents && stream === undefined) || untouched.has(method))
  ) {
    return serveTable(exchange, { resource: table, rest: found.rest }, routes);
  }
  return custom === undefined ? undefined : routes.serveCode(exchange, custom, found);
}

/** A static file, else a page; without files a page that is stored is answered at once. */
function serveFileOrPage(exchange: Exchange, routes: AppRoutes): void | Promise<void> {
  if (routes.files !== undefined) return serveFile(exchange, routes, routes.files);
  return servePageOrNothing(exchange, routes);
}

async function serveFile(exchange: Exchange, routes: AppRoutes, files: StaticFiles): Promise<void> {
  if ((await files.serve(exchange)) || exchange.aborted) return;
  await servePageOrNothing(exchange, routes);
}

function servePageOrNothing(exchange: Exchange, routes: AppRoutes): void | Promise<void> {
  const page = routes.pages?.(exchange.request);
  if (page !== undefined) {
    return isFollowing(exchange, page)
      ? settled(exchange, routes, () => routes.events(exchange))
      : servePage(exchange, page);
  }
  return replyNothing(exchange, routes);
}

const TOLD_PATHS_MAX = 20;
const NOTHING_EXPORTED =
  'no table is exported: schema.graphql of the application needs a type with @table @export ' +
  '(npx millrace init NAME makes an application to begin with)';

function replyOpenSocket(exchange: Exchange): void {
  const text = `${LIVE_PATH} is a WebSocket: open it by GET with Upgrade: websocket`;
  replyProblem(exchange, new NodeError('REQUEST_MALFORMED', text, { blame: 'client' }));
}

function replyNothing(exchange: Exchange, { resources, code: ofCode }: AppRoutes): void {
  const { method, path } = exchange.request;
  if (path === LIVE_PATH) {
    replyOpenSocket(exchange);
    return;
  }
  const tables = [...resources.keys()].map((name) => `/${name}/`);
  const known = [...tables, ...(ofCode?.paths ?? []).map((name) => `/${name}`)];
  const told =
    known.slice(0, TOLD_PATHS_MAX).join(' ') + (known.length > TOLD_PATHS_MAX ? ' …' : '');
  const nothing = `nothing is served at ${path}`;
  const message =
    known.length === 0 ? `${nothing}; ${NOTHING_EXPORTED}` : `${nothing}; there are: ${told}`;
  const code = method === 'GET' || method === 'HEAD' ? 'NOT_FOUND' : 'TABLE_UNKNOWN';
  replyProblem(exchange, new NodeError(code, message, { blame: 'client' }));
}

/** Whether a page is to be followed rather than read; its own stream is the origin's otherwise. */
function isFollowing({ request }: Exchange, page: PageResource): boolean {
  return (
    page.follows.size > 0 &&
    request.method === 'GET' &&
    wantsEventStream(request.header('accept')) &&
    canFollow(page, request.path, 'sse')
  );
}
