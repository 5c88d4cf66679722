/**
 * `millrace/render`: for a server that renders pages from records of a Millrace node and stands
 * behind a Millrace page cache. Whatever a page reads through `fetch` here is named in the page's
 * `Cache-Groups` [RFC9875], so that a change of a record makes the pages that showed it stale, on
 * every thread, and nobody writes purge code.
 *
 * It runs in the renderer's process, on Node 20 and later, in any framework, and needs nothing of
 * the node but its URL. A page is a scope: what runs within `run`, `middleware`, `nodeHandler` or
 * `webHandler`. Outside of one `fetch` is the fetch it was given.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseCacheGroups } from '../cache/reply-fields.ts';
import { formatCacheGroups } from '../table/record-groups.ts';
import { GROUP_BOUNDS, type GroupBounds, type ToldGroups } from './group-set.ts';
import { GROUPS_FIELD, tellOnHead, UNTELLABLE } from './node-response.ts';
import { createNotices, type RenderNotice } from './notices.ts';
import { currentScope, RenderScope, runInScope } from './scope.ts';

export type { GroupBounds, ToldGroups } from './group-set.ts';
export type { RenderNotice } from './notices.ts';

export type Fetch = typeof globalThis.fetch;

export interface RenderOptions {
  /**
   * Where the node is, such as `http://127.0.0.1:9926`; several when there are several. Requests to
   * other places are left as they are. Without it, `MILLRACE_URL`, which a node gives to the
   * renderer that it runs.
   */
  readonly node?: string | readonly string[] | undefined;
  /** What is wrapped; the global one, as it is when it is called, by default. */
  readonly fetch?: Fetch | undefined;
  /** How much one header may say; beyond it records are named by their table. */
  readonly bounds?: Partial<GroupBounds> | undefined;
  /** Told when groups were widened, lost or came too late; by default a warning, once for each. */
  readonly onNotice?: ((notice: RenderNotice) => void) | undefined;
}

export interface Render {
  /** Reads from the node, and has the page that is being rendered name what it read. */
  readonly fetch: Fetch;
  /** Runs what makes up one page. */
  readonly run: <T>(page: () => T) => T;
  /** The groups that the page names so far, as its header will say them. */
  readonly groups: () => readonly string[];
  /**
   * Names groups beforehand or besides: a table (`'Product'`) for every record of it, a record
   * (`'Product/7'`), or a tag of your own. For pages that stream, whose head leaves before all is
   * read: what was declared covers what is read later.
   */
  readonly declare: (...groups: readonly string[]) => void;
  /** For Express, Connect, and Fastify's `onRequest` with the raw request and response. */
  readonly middleware: (
    request: IncomingMessage,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ) => void;
  /** For `http.createServer`. */
  readonly nodeHandler: (
    handler: (request: IncomingMessage, response: ServerResponse) => unknown,
  ) => (request: IncomingMessage, response: ServerResponse) => void;
  /** For servers that take a `Request` and give a `Response`. */
  readonly webHandler: <Given extends readonly unknown[]>(
    handler: (...given: Given) => Response | Promise<Response>,
  ) => (...given: Given) => Promise<Response>;
}

export function createRender(options: RenderOptions = {}): Render {
  const bounds = { ...GROUP_BOUNDS, ...options.bounds };
  const notices = createNotices(options.onNotice);
  const isNode = placesOf(options.node ?? process.env.MILLRACE_URL);
  const newScope = (page: string) => {
    const scope = new RenderScope();
    scope.onLate = (groups) => notices.late(page, groups);
    return scope;
  };
  const open = (request: IncomingMessage, response: ServerResponse) => {
    const page = pathOf(request.url ?? '');
    const scope = newScope(page);
    tellOnHead(response, scope, { bounds, onTold: (told) => notices.told(page, told) });
    return scope;
  };
  return {
    fetch: (input, init) => readFrom(options.fetch ?? globalThis.fetch, isNode, input, init),
    run: (page) => runInScope(newScope('run()'), page),
    groups: () => currentScope()?.groups.told(bounds).names ?? [],
    declare: (...groups) => currentScope()?.read(groups),
    middleware: (request, response, next) => runInScope(open(request, response), () => next()),
    nodeHandler: (handler) => (request, response) => {
      runInScope(open(request, response), () => handler(request, response));
    },
    webHandler:
      (handler) =>
      async (...given) => {
        const page = given[0] instanceof Request ? pathOf(given[0].url) : 'webHandler()';
        const scope = newScope(page);
        const response = await runInScope(scope, () => handler(...given));
        const told = toldOn(response, scope, bounds);
        if (told !== undefined) notices.told(page, told.groups);
        return told?.response ?? response;
      },
  };
}

type IsNode = (url: string) => boolean;

/** Complains when a page reads, not before: a build has no node, and reads nothing for a page. */
function placesOf(node: RenderOptions['node']): IsNode {
  let isNode: IsNode | undefined;
  return (url) => {
    isNode ??= originsOf(node);
    return isNode(url);
  };
}

function originsOf(node: RenderOptions['node']): IsNode {
  const places = [node ?? []].flat().map((url) => {
    if (!URL.canParse(url)) {
      throw new TypeError(
        `millrace/render: node: ${JSON.stringify(url)} is no URL; give it as http://host:port`,
      );
    }
    return new URL(url).origin;
  });
  if (places.length === 0) {
    throw new TypeError(
      'millrace/render: where is the node? Give createRender({ node: "http://host:port" }), or ' +
        'set MILLRACE_URL, which a node does for the renderer it runs',
    );
  }
  return (url) => URL.canParse(url) && places.includes(new URL(url).origin);
}

async function readFrom(
  base: Fetch,
  isNode: IsNode,
  input: Parameters<Fetch>[0],
  init: Parameters<Fetch>[1],
): Promise<Response> {
  const scope = currentScope();
  const given = input instanceof Request ? input : undefined;
  if (scope === undefined || !isNode(given?.url ?? String(input))) return base(input, init);
  const headers = new Headers(init?.headers ?? given?.headers);
  headers.set('millrace-groups', '1');
  const response = await base(input, { ...init, headers });
  const named = response.headers.get(GROUPS_FIELD);
  if (named !== null) scope.read(parseCacheGroups(named));
  return response;
}

function toldOn(
  response: Response,
  scope: RenderScope,
  bounds: GroupBounds,
): { readonly response: Response; readonly groups: ToldGroups } | undefined {
  const own = response.headers.get(GROUPS_FIELD);
  if (own !== null) scope.groups.add(parseCacheGroups(own));
  scope.isToldAlready = true;
  if (scope.groups.size === 0) return undefined;
  const groups = scope.groups.told(bounds);
  const told = settable(response);
  told.headers.set(GROUPS_FIELD, formatCacheGroups(groups.names));
  if (groups.lost > 0) told.headers.set(...UNTELLABLE);
  return { response: told, groups };
}

/** Headers of a fetched or redirecting response cannot be set: it is built anew around its body. */
function settable(response: Response): Response {
  const { body, status, statusText } = response;
  const headers = new Headers(response.headers);
  return new Response(body, { status, statusText, headers });
}

/** A page by its path: queries are too many to say one thing once for each. */
const pathOf = (url: string): string =>
  URL.canParse(url) ? new URL(url).pathname : (url.split('?')[0] ?? url);
