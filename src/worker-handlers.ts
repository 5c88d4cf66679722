/**
 * `server.http(handler, { urlPath, host })` on one thread: handlers of the application around the
 * node's own. Requests that no handler wants pass by at the cost of comparing their paths.
 */
import type { Authenticate, Settle } from './access/authenticate.ts';
import { ANONYMOUS } from './access/principal.ts';
import { asNodeError, NodeError } from './base/errors.ts';
import type { Config } from './config/config.ts';
import type { Log } from './observe/log.ts';
import { type CapturedAnswer, CapturedExchange } from './protocols/http/captured-exchange.ts';
import type { Exchange, HttpHandler } from './protocols/http/port.ts';
import { replyProblem } from './protocols/http/problem.ts';
import { sendAnswer } from './protocols/rest/send-answer.ts';
import { toAnswer } from './resource/answer.ts';
import { Call } from './resource/call.ts';
import { placeInCode } from './resource/code-place.ts';
import { failureOf } from './resource/failure.ts';
import type { Registrations, ServerRequest } from './resource/registrations.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { Commit } from './resource/transaction.ts';
import { contextOf, userOf } from './worker-code.ts';

export interface HandlerParts {
  readonly handlers: Registrations['handlers'];
  readonly authenticate: Authenticate;
  readonly settle: Settle;
  readonly commit: Commit;
  readonly config: Config;
  readonly folder: string;
  readonly log: Log;
}

type Chain = Registrations['handlers'];

export function withHandlers(inner: HttpHandler, parts: HandlerParts): HttpHandler {
  const { handlers } = parts;
  if (handlers.length === 0) return inner;
  return (exchange) => {
    const chain = handlers.filter(({ options }) => concerns(exchange, options));
    return chain.length === 0 ? inner(exchange) : runChain(exchange, chain, inner, parts);
  };
}

/** Below `/api` is `/api` and `/api/…`, not `/apiary`. */
function concerns({ request }: Exchange, { urlPath, host }: Chain[number]['options']): boolean {
  if (host !== undefined && request.header('host')?.split(':')[0] !== host) return false;
  if (urlPath === undefined || urlPath === '/') return true;
  const path = urlPath.replace(/\/$/, '');
  return request.path === path || request.path.startsWith(`${path}/`);
}

/** The node's answers that a handler may hand back, as they were. */
type OwnAnswers = Map<Response, CapturedAnswer>;

async function runChain(
  exchange: Exchange,
  chain: Chain,
  inner: HttpHandler,
  parts: HandlerParts,
): Promise<void> {
  const { config, folder, log } = parts;
  const bodyMax = config.limits.requestBodyBytesMax;
  const isWrite = ['PUT', 'PATCH', 'POST'].includes(exchange.request.method);
  const body = isWrite ? exchange.body(bodyMax) : Promise.resolve(new Uint8Array());
  // Whoever reads it hears of its failure.
  body.catch(() => undefined);
  const captured = new CapturedExchange(exchange, () => body);
  const own: OwnAnswers = new Map();
  const run = async (index: number, request: ServerRequest): Promise<unknown> => {
    const one = chain[index];
    if (one === undefined) return answered(captured, inner, own);
    return one.handler(request, (next) => run(index + 1, next ?? request));
  };
  await parts.settle(exchange.request);
  const principal = principalOf(exchange, parts);
  const context = contextOf(exchange, principal, undefined);
  const call = new Call({ context, commit: parts.commit, may: () => principal.kind === 'admin' });
  try {
    const first = serverRequest(exchange, body, userOf(principal));
    const result = await threadScope().calls.run(call, () =>
      beforeDeadline(run(0, first), config.limits.resourceMsMax),
    );
    await call.transaction.commit();
    if (result instanceof Response && sendOwn(exchange, result, own)) return;
    for (const other of own.values()) if (other.kind === 'streamed') other.drop();
    const answer = toAnswer(result, false);
    await sendAnswer(exchange, answer, { reads: call.reads, isAnonymous: true });
  } catch (thrown) {
    call.transaction.abort();
    for (const other of own.values()) if (other.kind === 'streamed') other.drop();
    const { error, status, isFault } = failureOf(thrown);
    if (isFault) {
      const stack = thrown instanceof Error ? thrown.stack : String(thrown);
      log.error({ ...placeInCode(thrown, folder), stack }, 'a handler of server.http failed');
    }
    if (!exchange.replied && !exchange.aborted) replyProblem(exchange, error, [], status);
  }
}

/** Whether the response is the node's own answer; then it is sent, with its present fields. */
function sendOwn(exchange: Exchange, response: Response, own: OwnAnswers): boolean {
  const answer = own.get(response);
  if (answer === undefined) return false;
  const headers = [...response.headers].flat();
  if (answer.kind === 'streamed') answer.begin(response.status, headers);
  else exchange.reply(response.status, headers, answer.body);
  return true;
}

/** The node's own answer as a `Response`; that of a streamed one has no body to be read. */
async function answered(
  captured: CapturedExchange,
  inner: HttpHandler,
  own: OwnAnswers,
): Promise<Response> {
  const running = (async () => inner(captured))();
  running.catch((error: unknown) => {
    if (!captured.replied) replyProblem(captured, asNodeError(error));
  });
  const answer = await captured.answered;
  const headers = new Headers();
  for (let i = 0; i + 1 < answer.headers.length; i += 2) {
    headers.append(answer.headers[i] ?? '', answer.headers[i + 1] ?? '');
  }
  const { status } = answer;
  const hasBody = answer.kind === 'whole' && ![204, 205, 304].includes(status);
  const body = hasBody && answer.body !== undefined ? Buffer.from(answer.body) : null;
  const response = new Response(body, { status, headers });
  own.set(response, answer);
  return response;
}

/** Rejected credentials are refused by what serves the request; here they are nobody. */
function principalOf(exchange: Exchange, { authenticate }: HandlerParts) {
  const authentication = authenticate(exchange.request);
  return authentication.kind === 'principal' ? authentication.principal : ANONYMOUS;
}

function serverRequest(
  exchange: Exchange,
  body: Promise<Uint8Array>,
  user: ServerRequest['user'],
): ServerRequest {
  const { method, url, pathname, headers, ip, signal } = contextOf(exchange, ANONYMOUS, undefined);
  const text = async (): Promise<string> => Buffer.from(await body).toString('utf8');
  return {
    ...{ method, url, pathname, headers, ip, signal, user, text },
    json: async () => JSON.parse(await text()) as unknown,
    arrayBuffer: async () => new Uint8Array(await body).buffer,
  };
}

function beforeDeadline<T>(task: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = new NodeError('DEADLINE_EXCEEDED', `a handler did not answer in ${ms} ms`);
    const timer = setTimeout(() => reject(late), ms);
    timer.unref();
    task.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
