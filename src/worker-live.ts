/**
 * What `/live` needs of its thread: the handler that answers writes as it answers requests, with
 * messages to records beside it, and the presence that is counted over all threads.
 */
import type { Authenticator } from './access/authenticate.ts';
import type { Principal } from './access/principal.ts';
import { NodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import { LIMITS } from './config/limits.ts';
import type { ThreadPresence } from './feed/presence.ts';
import { type AccessLogParts, withAccessLog } from './protocols/http/access-log.ts';
import type { Admission } from './protocols/http/admission.ts';
import { type FaultListener, refusalError } from './protocols/http/faults.ts';
import { askHandler, MESSAGE_METHOD } from './protocols/http/internal-exchange.ts';
import type { Exchange, HttpHandler, HttpRequest } from './protocols/http/port.ts';
import { replyProblem } from './protocols/http/problem.ts';
import type { Rest, RestParts } from './protocols/rest/rest.ts';
import { identify } from './protocols/rest/rest-call.ts';
import { type GatewayParts, WebSocketGateway } from './protocols/websocket/gateway.ts';
import type { AskNode } from './protocols/websocket/live-desk.ts';
import type { PathMatch } from './resource/path-tree.ts';
import type { CodeRoute } from './worker-code.ts';
import { type AppRoutes, routePath } from './worker-routes.ts';

export interface LiveAssembly {
  readonly push: Pick<GatewayParts<Principal>, 'fanout' | 'clock' | 'resolve'>;
  readonly who: Authenticator & Pick<RestParts, 'onRejected'>;
  readonly presence: ThreadPresence;
  readonly config: Config;
  /** What answers requests. */
  readonly handler: HttpHandler;
  /** Puts what sheds when memory runs short around a handler. */
  readonly shed: (handler: HttpHandler) => HttpHandler;
  readonly admission: Admission;
  readonly publish: Rest;
  readonly routes: Pick<AppRoutes, 'resources' | 'code'>;
  readonly onFault: FaultListener;
  readonly onLimit: (limit: string) => void;
  readonly onDenied: (request: HttpRequest, what: string) => void;
  /** What is asked on a socket stands beside what is asked by requests. */
  readonly accessLog: AccessLogParts | undefined;
}

export function openGateway(parts: LiveAssembly): WebSocketGateway<Principal> {
  const { push, who, presence, config, routes } = parts;
  const { subscriptionsPerConnectionMax } = config.limits;
  return new WebSocketGateway<Principal>({
    ...{ ...push, ...who, subscriptionsPerConnectionMax },
    isSame: isSamePrincipal,
    onLimit: parts.onLimit,
    follow: (followed, told) => presence.follow(followed, told),
    ask: askThread(parts),
    code: routes.code && ((path) => routes.code?.match(path)?.value.stream),
    admitAt: routes.code && ((path) => routes.code?.match(path)?.value.admit),
  });
}

function askThread(parts: LiveAssembly): AskNode {
  const { handler, shed, admission, onFault, onLimit, onDenied, accessLog } = parts;
  const judged = shed((exchange) => {
    const refused = admission.asksRequests ? admission.request(exchange.request) : undefined;
    if (refused !== undefined) return replyProblem(exchange, refusalError(refused));
    return exchange.request.method === MESSAGE_METHOD
      ? publishing(exchange, parts)
      : handler(exchange);
  });
  const serve = withAccessLog(judged, accessLog);
  return (request, body) => {
    const answerBytesMax = LIMITS.messageBytesMax;
    return askHandler(serve, { request, body, answerBytesMax, onLimit, onDenied }, onFault);
  };
}

async function publishing(exchange: Exchange, parts: LiveAssembly): Promise<void> {
  const { publish, who, routes } = parts;
  const { resources, code } = routes;
  const { request } = exchange;
  await who.settle(request);
  const routed = routePath(resources, request.path);
  if (routed !== undefined) return publish(exchange, routed.resource, routed.rest);
  const found = code?.match(request.path);
  if (found?.value.publish !== undefined) return publishedToCode(exchange, parts, found);
  if (found?.value.table !== undefined) return publish(exchange, found.value.table, found.rest);
  const message = `there is no table to publish to at ${request.path}`;
  throw new NodeError('TABLE_UNKNOWN', message, { blame: 'client' });
}

/** Messages to a class that has a `publish` of its own. */
async function publishedToCode(
  exchange: Exchange,
  { who, config }: LiveAssembly,
  found: PathMatch<CodeRoute>,
): Promise<void> {
  const principal = identify(exchange, who);
  if (principal === undefined) return;
  const body = await exchange.body(config.limits.requestBodyBytesMax);
  await found.value.publish?.(exchange, principal, found, spoken(body));
  exchange.reply(204, []);
}

/** A message of another type than JSON is a text. */
function spoken(body: Uint8Array): unknown {
  const text = Buffer.from(body).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whoever was nobody in particular may sign in; anybody else stays who they are. */
const isSamePrincipal = (before: Principal, after: Principal): boolean =>
  before.kind === 'anonymous' || (after.kind !== 'anonymous' && before.name === after.name);
