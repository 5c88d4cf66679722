/**
 * For `instrumentation` of a Next.js application: every request becomes a page of
 * `millrace/render`, whatever `fetch` reads from the node is named in its answer, and so are the
 * tags and records of what comes out of the cache handler, and the build. When another build is
 * started, the cached pages of the one before become stale by the write of one record.
 */
import { type IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRender } from '../render/render.ts';
import { buildIdOf } from './cache-handler.ts';
import { NodeStore } from './node-store.ts';
import { type NextCacheOptions, settingsOf } from './settings.ts';

const REGISTERED = Symbol.for('millrace.next.registered');
const TRY_AGAIN_MS = 2_000;
/** Files of the build are named by their contents: they belong to no page. */
const ASSETS = /^\/_next\/(static|image)\b/;

/** Once in a process, before the server takes requests. Without a node it does nothing. */
export function register(options: NextCacheOptions = {}): void {
  const shared = globalThis as { [REGISTERED]?: boolean };
  const settings = settingsOf(options);
  if (settings === undefined || shared[REGISTERED] === true) return;
  shared[REGISTERED] = true;
  const render = createRender({ node: settings.url.href, fetch: globalThis.fetch });
  globalThis.fetch = render.fetch;
  const store = new NodeStore(settings);
  const build = announced(store, options.buildId ?? buildIdOf());
  wrapRequests((request, response, next) => {
    if (ASSETS.test(request.url ?? '')) return next();
    render.middleware(request, response, () => {
      render.declare(build());
      next();
    });
  });
}

type Around = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

function wrapRequests(around: Around): void {
  const emit = Server.prototype.emit as (this: Server, ...given: unknown[]) => boolean;
  function emitWithin(this: Server, ...given: unknown[]): boolean {
    const [event, request, response] = given;
    if (event !== 'request' || !(response instanceof ServerResponse)) {
      return emit.apply(this, given);
    }
    let isHeard = true;
    around(request as IncomingMessage, response, () => {
      isHeard = emit.apply(this, given);
    });
    return isHeard;
  }
  Server.prototype.emit = emitWithin as typeof Server.prototype.emit;
}

/** The group of this build; without a version until the node has been told of it. */
function announced(store: NodeStore, buildId: string): () => string {
  let group = store.buildGroup;
  const announce = async (): Promise<void> => {
    const told = await store.announce(buildId);
    if (told !== undefined) group = told;
    else setTimeout(() => void announce(), TRY_AGAIN_MS).unref();
  };
  void announce();
  return () => group;
}
