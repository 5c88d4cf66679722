/**
 * What an adapter does with a handler that fails: answer a problem document if nothing was sent
 * yet, tell the listener's owner, never let the exception reach the engine (a uWS process would
 * abort).
 */
import { asNodeError, NodeError } from '../../base/errors.ts';
import type { Refusal } from './framing.ts';
import type { Exchange, HttpHandler, ListenOptions } from './port.ts';
import { problemDocument, problemStatus, replyProblem } from './problem.ts';

/** Fields of every answer made by an adapter itself. */
export const problemFields: readonly string[] = [
  'content-type',
  'application/problem+json',
  'cache-control',
  'no-store',
];

export type FaultListener = NonNullable<ListenOptions['onFault']>;

/** An exchange whose begun answer can be broken off. */
export interface CuttableExchange extends Exchange {
  /** Ends an incomplete stream so that the client sees it; nothing when the answer is complete. */
  cut(): void;
}

/** Runs `handler`; its exception, rejection or silence becomes an answer. */
export function runHandler(
  exchange: CuttableExchange,
  handler: HttpHandler,
  onFault: FaultListener | undefined,
): void {
  try {
    const result = handler(exchange);
    if (result === undefined) return;
    result.then(
      () => failSilence(exchange, onFault),
      (error) => failExchange(exchange, error, onFault),
    );
  } catch (error) {
    failExchange(exchange, error, onFault);
  }
}

function failSilence(exchange: CuttableExchange, onFault: FaultListener | undefined): void {
  if (exchange.replied || exchange.aborted) return;
  failExchange(exchange, new Error('the handler ended without a reply'), onFault);
}

function failExchange(
  exchange: CuttableExchange,
  error: unknown,
  onFault: FaultListener | undefined,
): void {
  const known = asNodeError(error);
  // A client's mistake is an answer, not a fault of the node.
  if (known.blame !== 'client') onFault?.(error, exchange.request);
  if (exchange.aborted) return;
  if (exchange.replied) {
    exchange.cut();
    return;
  }
  try {
    replyProblem(exchange, known);
  } catch (second) {
    onFault?.(second, exchange.request);
  }
}

/**
 * Runs what waits for a client's leaving; an exception in one neither stops the others nor escapes.
 */
export function runLeavers(fns: readonly (() => void)[], fault: (error: unknown) => void): void {
  for (const fn of fns) {
    try {
      fn();
    } catch (error) {
      fault(error);
    }
  }
}

/** The error of a refused request, for `replyProblem`. */
export function refusalError(refusal: Refusal): NodeError {
  const { limit } = refusal;
  const details = limit === undefined ? {} : { limit };
  return new NodeError(refusal.code, refusal.detail, { blame: 'client', details });
}

/** What a refusal is counted under: the limit, or the grammar of HTTP. */
export const refusalLimit = ({ limit }: Refusal): string => limit ?? 'requestFraming';

/** Status of a refused request. */
export function refusalStatus(refusal: Refusal): number {
  return refusal.status ?? problemStatus(refusal.code);
}

/** The problem document of a refused request, as text. */
export function refusalBody(refusal: Refusal): string {
  const problem = problemDocument(refusalError(refusal), refusalStatus(refusal));
  return `${JSON.stringify(problem)}\n`;
}
