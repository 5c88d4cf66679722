/**
 * WebSockets at paths of application code whose class takes them are the code's; all others are
 * the gateway's.
 */
import type { Authenticator } from './access/authenticate.ts';
import type { Principal } from './access/principal.ts';
import type { Clock } from './base/clock.ts';
import type { Socket, WebSocketHandler } from './protocols/http/port.ts';
import { CodeSocketState, CodeSockets } from './protocols/websocket/code-sockets.ts';
import type { AppRoutes } from './worker-routes.ts';

export interface CodeSocketParts {
  readonly clock: Clock;
  readonly who: Authenticator & { readonly onRejected: (method: string) => void };
  readonly code?: AppRoutes['code'];
}

/** `undefined` where no class of the application takes part. */
export function openCodeSockets(parts: CodeSocketParts): CodeSockets<Principal> | undefined {
  const { clock, who, code } = parts;
  if (code === undefined) return undefined;
  return new CodeSockets({ clock, ...who, match: (path) => code.match(path)?.value.stream });
}

export function withCodeSockets<State>(
  others: WebSocketHandler<State>,
  sockets: CodeSockets<Principal> | undefined,
): WebSocketHandler<State> {
  if (sockets === undefined) return others;
  const handlerOf = ({ state }: Socket<unknown>): WebSocketHandler<unknown> =>
    (state instanceof CodeSocketState ? sockets : others) as WebSocketHandler<unknown>;
  return {
    upgrade: (request) =>
      sockets.takes(request) ? (sockets.upgrade(request) as never) : others.upgrade(request),
    open: (socket) => handlerOf(socket).open(socket),
    message: (socket, data, binary) => handlerOf(socket).message(socket, data, binary),
    drain: (socket) => handlerOf(socket).drain(socket),
    closed: (socket, code) => handlerOf(socket).closed(socket, code),
  };
}
