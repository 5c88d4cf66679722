/** `OPTIONS *`: what the server as a whole can do, whatever its tables and resources allow. */
import type { HttpHandler } from './port.ts';

/** Methods of requests that something here may answer. */
export const METHODS = 'GET, HEAD, PUT, PATCH, POST, DELETE';

/** Answers requests for `*`, which are for no route [RFC9110 §9.3.7]. */
export function withServerOptions(handler: HttpHandler): HttpHandler {
  return (exchange) => {
    if (exchange.request.path !== '*') return handler(exchange);
    return exchange.reply(204, ['allow', `${METHODS}, OPTIONS`]);
  };
}
