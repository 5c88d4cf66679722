/**
 * Application code by URL: reads the request, asks the resource (a port; the composition hands over
 * what runs the code) and sends its answer. Whatever goes wrong is the answer of this request only.
 */
import type { Principal } from '../../access/principal.ts';
import { NodeError } from '../../base/errors.ts';
import type { ResourceAnswer } from '../../resource/answer.ts';
import type { ReadFacts } from '../../resource/call.ts';
import type { Exchange } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { readAnyBody } from './any-body.ts';
import type { BodyLimits } from './json-body.ts';
import type { RequestMeter } from './resource.ts';
import { type Identification, identify, replyUnauthenticated } from './rest-call.ts';
import { sendAnswer } from './send-answer.ts';

/** Where in a resource a request goes. */
export interface CustomTarget {
  /** Raw path after the resource's own. */
  readonly rest: string;
  readonly params: Readonly<Record<string, string>>;
  readonly wildcard: string | undefined;
}

export interface CustomRequest extends CustomTarget {
  readonly exchange: Exchange;
  readonly principal: Principal;
  readonly body: unknown;
}

export interface CustomFailure {
  readonly error: NodeError;
  /** Instead of the one which the error's code stands for. */
  readonly status: number | undefined;
}

export interface CustomResource {
  /** In upper case; others are answered 405. */
  readonly methods: readonly string[];
  readonly meter: RequestMeter;
  readonly monotonic: () => number;
  answer(
    request: CustomRequest,
  ): Promise<{ readonly answer: ResourceAnswer; readonly reads: ReadFacts }>;
  /** What a rejection of `answer` or of its rows means; logs what is a fault of the code. */
  failure(thrown: unknown, exchange: Exchange): CustomFailure;
}

export type ServeCustom = (
  exchange: Exchange,
  resource: CustomResource,
  target: CustomTarget,
) => void | Promise<void>;

const WITH_BODY: ReadonlySet<string> = new Set(['PUT', 'PATCH', 'POST']);

export function createServeCustom(
  parts: Identification & { readonly limits: BodyLimits },
): ServeCustom {
  return (exchange, resource, target) => {
    const { method } = exchange.request;
    const allow = ['allow', resource.methods.join(', ')];
    if (method === 'OPTIONS') return exchange.reply(204, allow);
    if (!resource.methods.includes(method)) {
      const message = `this resource takes ${resource.methods.join(', ')}`;
      const error = new NodeError('METHOD_NOT_ALLOWED', message, { blame: 'client' });
      return replyProblem(exchange, error, allow);
    }
    const principal = identify(exchange, parts);
    if (principal === undefined) return undefined;
    return serve(exchange, resource, { ...target, exchange, principal }, parts.limits);
  };
}

async function serve(
  exchange: Exchange,
  resource: CustomResource,
  asked: Omit<CustomRequest, 'body'>,
  limits: BodyLimits,
): Promise<void> {
  const startedAt = resource.monotonic();
  const { method } = exchange.request;
  const count = (status: number, bytes: number): void =>
    resource.meter.answered(method, status, 'code', startedAt, bytes);
  // A body that cannot be read is the client's mistake, not the code's.
  const body = WITH_BODY.has(method) ? await readAnyBody(exchange, limits) : undefined;
  try {
    const { answer, reads } = await resource.answer({ ...asked, body });
    if (exchange.aborted) return;
    const bytes = await sendAnswer(exchange, answer, {
      reads,
      isAnonymous: asked.principal.kind === 'anonymous',
    });
    count(answer.status, bytes);
  } catch (thrown) {
    count(failed(exchange, resource, thrown), 0);
  }
}

/** Answers for what was thrown; the status. */
function failed(exchange: Exchange, resource: CustomResource, thrown: unknown): number {
  const { error, status } = resource.failure(thrown, exchange);
  const sent = status ?? problemStatus(error.code);
  if (exchange.replied || exchange.aborted) return sent;
  if (error.code === 'AUTHENTICATION_REQUIRED') replyUnauthenticated(exchange, error.message);
  else replyProblem(exchange, error, [], status);
  return sent;
}
