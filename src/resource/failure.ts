/** What a method threw, as an answer: its own status and message, or nothing but "it failed". */
import { NodeError } from '../base/errors.ts';

export interface CodeFailure {
  /** The answer's error; its status replaces the one of the code when given. */
  readonly error: NodeError;
  readonly status: number | undefined;
  /** A mistake to be logged, not an answer that the code meant to give. */
  readonly isFault: boolean;
}

/** `{ statusCode | status, message }` is an answer; anything else is a fault of the code. */
export function failureOf(thrown: unknown): CodeFailure {
  if (thrown instanceof NodeError || isForeignNodeError(thrown)) {
    const { blame } = thrown;
    return { error: thrown, status: undefined, isFault: blame === 'node' };
  }
  const status = statusOf(thrown);
  const message = messageOf(thrown);
  if (status === undefined) {
    const error = new NodeError('INTERNAL', message, { cause: thrown });
    return { error, status: undefined, isFault: true };
  }
  const options = { blame: status < 500 ? ('client' as const) : ('node' as const), cause: thrown };
  return { error: new NodeError('RESOURCE_REFUSED', message, options), status, isFault: false };
}

/** The error of another copy of this module: the application's `millrace`. */
const isForeignNodeError = (thrown: unknown): thrown is NodeError =>
  thrown instanceof Error && thrown.name === 'NodeError' && 'code' in thrown && 'blame' in thrown;

function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const { statusCode, status } = thrown as { statusCode?: unknown; status?: unknown };
  const given = statusCode ?? status;
  const isStatus = typeof given === 'number' && Number.isInteger(given);
  return isStatus && given >= 400 && given <= 599 ? given : undefined;
}

function messageOf(thrown: unknown): string {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
    return String(thrown.message);
  }
  return typeof thrown === 'string' ? thrown : 'the resource failed';
}
