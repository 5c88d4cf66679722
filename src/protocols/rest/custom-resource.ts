/**
 * Application code by URL: reads the request, asks the resource (a port; the composition hands over
 * what runs the code) and sends its answer. Whatever goes wrong is the answer of this request only.
 */
import type { Principal } from '../../access/principal.ts';
import { NodeError } from '../../base/errors.ts';
import type { ResourceAnswer } from '../../resource/answer.ts';
import type { ReadFacts } from '../../resource/call.ts';
import { unconfirmed, type WantedConfirmation } from '../../table/confirmation.ts';
import type { Exchange } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { readAnyBody } from './any-body.ts';
import { type ConfirmWrite, wantedConfirmation } from './confirmed-write.ts';
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
  answer(request: CustomRequest): Promise<{
    readonly answer: ResourceAnswer;
    readonly reads: ReadFacts;
    readonly wanted?: WantedConfirmation | undefined;
  }>;
  /** What a rejection of `answer` or of its rows means; logs what is a fault of the code. */
  failure(thrown: unknown, exchange: Exchange): CustomFailure;
}

export type ServeCustom = (
  exchange: Exchange,
  resource: CustomResource,
  target: CustomTarget,
) => void | Promise<void>;

const WITH_BODY: ReadonlySet<string> = new Set(['PUT', 'PATCH', 'POST']);
const WRITING: ReadonlySet<string> = new Set([...WITH_BODY, 'DELETE']);

interface CustomParts extends Identification {
  readonly limits: BodyLimits;
  readonly confirm: ConfirmWrite;
}

export function createServeCustom(parts: CustomParts): ServeCustom {
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
    return serve(exchange, resource, { ...target, exchange, principal }, parts);
  };
}

async function serve(
  exchange: Exchange,
  resource: CustomResource,
  asked: Omit<CustomRequest, 'body'>,
  { limits, confirm }: CustomParts,
): Promise<void> {
  const wanted = WRITING.has(exchange.request.method) ? wantedConfirmation(exchange) : undefined;
  const startedAt = resource.monotonic();
  const { method } = exchange.request;
  const count = (status: number, bytes: number): void =>
    resource.meter.answered(method, status, 'code', startedAt, bytes);
  // A body that cannot be read is the client's mistake, not the code's.
  const body = WITH_BODY.has(method) ? await readAnyBody(exchange, limits) : undefined;
  try {
    const { answer, reads, wanted: byCode } = await resource.answer({ ...asked, body });
    const problem = await missing(wanted ?? byCode, answer, confirm);
    if (exchange.aborted) return;
    if (problem !== undefined) {
      count(problemStatus(problem.code), 0);
      return replyProblem(exchange, problem);
    }
    const bytes = await sendAnswer(exchange, answer, {
      reads,
      isAnonymous: asked.principal.kind === 'anonymous',
    });
    count(answer.status, bytes);
  } catch (thrown) {
    count(failed(exchange, resource, thrown), 0);
  }
}

/** What is said instead of the answer when other nodes have not confirmed in time. */
async function missing(
  wanted: WantedConfirmation | undefined,
  { status }: ResourceAnswer,
  confirm: ConfirmWrite,
): Promise<NodeError | undefined> {
  if (wanted === undefined || status >= 300) return undefined;
  return unconfirmed(wanted, await confirm(wanted));
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
