/**
 * What the node says on `/live` besides events: that a write was done, with what a client needs to
 * go on, or that something was refused, with the same codes as everywhere.
 */
import type { NodeError } from '../../base/errors.ts';
import { fieldOf, type InternalAnswer } from '../http/internal-exchange.ts';
import { problemDocument } from '../http/problem.ts';
import type { SubscriptionName } from './connection.ts';
import type { AckName, Write } from './live-messages.ts';

/** To what an answer belongs; nothing in particular, when it has neither. */
export interface Answering {
  readonly sub?: SubscriptionName | undefined;
  readonly ack?: AckName | undefined;
}

export function errorMessage(error: NodeError, answering: Answering = {}): object {
  return refusal(problemDocument(error), answering);
}

/** The node's answer to a write that it did not do: a problem document. */
export function refusedWrite(answer: InternalAnswer, answering: Answering): object {
  const told = parsed(answer);
  const problem = typeof told === 'object' && told !== null ? told : { detail: String(told) };
  return { ...refusal({ status: answer.status, ...problem }, answering), ...entityTag(answer) };
}

interface Problem {
  readonly status?: number;
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string | undefined;
  readonly limit?: string | undefined;
}

/** Application code may answer with an error of its own making, which has no code of ours. */
function refusal(problem: Problem, answering: Answering): object {
  const { code = 'RESOURCE_REFUSED', status, title, detail = title, limit } = problem;
  return {
    ...named(answering),
    ...{ type: 'error', code, message: detail ?? `status ${String(status)}`, status },
    ...(limit === undefined ? {} : { limit }),
  };
}

/** `position`: at or behind which every subscriber of the record has been told of the write. */
export function acknowledgement(answer: InternalAnswer, { ack, verb }: Write): object {
  const position = fieldOf(answer, 'millrace-position');
  const location = fieldOf(answer, 'location');
  const value = answer.body.byteLength === 0 ? undefined : parsed(answer);
  return {
    type: 'ack',
    ack,
    status: answer.status,
    outcome: outcomeOf(verb, answer.status),
    ...entityTag(answer),
    ...(position === undefined ? {} : { position }),
    ...(location === undefined ? {} : { location }),
    ...(value === undefined ? {} : { value }),
  };
}

function outcomeOf(verb: Write['verb'], status: number): string {
  if (verb === 'publish') return 'published';
  if (verb === 'delete') return 'deleted';
  return status === 201 ? 'created' : 'updated';
}

function entityTag(answer: InternalAnswer): object {
  const tag = fieldOf(answer, 'etag');
  return tag === undefined ? {} : { entityTag: tag };
}

/** A body that is no JSON is told as text. */
function parsed({ body }: InternalAnswer): unknown {
  const text = Buffer.from(body).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const named = ({ sub, ack }: Answering): object => ({
  ...(sub === undefined ? {} : { sub }),
  ...(ack === undefined ? {} : { ack }),
});
