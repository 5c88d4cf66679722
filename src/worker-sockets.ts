/**
 * Whose a WebSocket is, by its path: tables, their code and `/live` come first, as with requests;
 * what is left belongs to the page table that takes the path, and is passed on to its origin.
 */
import type { HttpRequest, WebSocketHandler } from './protocols/http/port.ts';
import type { Accept } from './protocols/mqtt/channel.ts';
import { canFollow, type PageResource, type ServePages } from './protocols/pages/serve-pages.ts';
import { upgradePage } from './protocols/pages/upgrade-page.ts';
import { LIVE_PATH, type WebSocketGateway } from './protocols/websocket/gateway.ts';
import { type CodeSocketParts, openCodeSockets, withCodeSockets } from './worker-code-sockets.ts';
import { withMqtt } from './worker-mqtt.ts';
import { type AppRoutes, routePath } from './worker-routes.ts';

type Routes = Pick<AppRoutes, 'resources' | 'code'> & { readonly pages: ServePages | undefined };

export interface SocketParts extends Routes, CodeSocketParts {
  /** Serves those that speak MQTT. */
  readonly mqtt?: Accept | undefined;
}

/** All WebSockets of the app port, by whose they are. */
export function openSockets<Principal>(gateway: WebSocketGateway<Principal>, parts: SocketParts) {
  const ofCode = openCodeSockets(parts);
  const own = withPageSockets(withCodeSockets(gateway, ofCode), parts);
  return {
    handler: withMqtt(own, parts.mqtt),
    stop() {
      gateway.stop();
      ofCode?.stop();
    },
  };
}

/** The sockets of the node's own, and around them those of pages. */
function withPageSockets<State>(
  own: WebSocketHandler<State>,
  { resources, code, pages }: Routes,
): WebSocketHandler<State> {
  if (pages === undefined) return own;
  const pageOf = (request: HttpRequest): PageResource | undefined => {
    const { path } = request;
    const isOwn =
      path === LIVE_PATH ||
      routePath(resources, path) !== undefined ||
      code?.match(path) !== undefined;
    const page = isOwn ? undefined : pages(request);
    // Pages that are followed here take their sockets; without the export they are the origin's.
    return page === undefined || canFollow(page, path, 'websocket') ? undefined : page;
  };
  return {
    leavesOriginTo: (request) => pageOf(request) !== undefined,
    upgrade(request) {
      const page = pageOf(request);
      return page === undefined ? own.upgrade(request) : upgradePage(request, page);
    },
    open: (socket) => own.open(socket),
    message: (socket, bytes, binary) => own.message(socket, bytes, binary),
    drain: (socket) => own.drain(socket),
    closed: (socket, code) => own.closed(socket, code),
  };
}
