/**
 * Tables by URL: `/<name>` describes, `/<name>/` is the collection, `/<name>/<id>` a record. Finds
 * out who asks, what for, and whether they may; then hands over to the verb. Knows nothing of
 * stores or origins.
 */
import { asNodeError, NodeError } from '../../base/errors.ts';
import type { Exchange } from '../http/port.ts';
import { problemStatus, replyProblem } from '../http/problem.ts';
import { type ConfirmWrite, confirmedWrite, wantedConfirmation } from './confirmed-write.ts';
import { deleteMatching, namesMany } from './delete-matching.ts';
import { describeTable } from './describe.ts';
import { allowedMethods } from './origin-writes.ts';
import { servePageRecords } from './page-records.ts';
import { readCollection } from './read-collection.ts';
import { readRecord } from './read-record.ts';
import type { RestResource } from './resource.ts';
import {
  accessed,
  type Identification,
  identify,
  type RestCall,
  type RestLimits,
  replyUnauthenticated,
} from './rest-call.ts';
import { createRecord, deleteRecord, patchRecord, putRecord } from './write-record.ts';

export interface RestParts extends Identification {
  readonly limits: RestLimits;
  /** Waits for other nodes to hold what has been written. */
  readonly confirm: ConfirmWrite;
}

export type Rest = (
  exchange: Exchange,
  resource: RestResource,
  rest: string,
) => void | Promise<void>;

export function createRest(parts: RestParts): Rest {
  return (exchange, resource, rest) => {
    const principal = identify(exchange, parts);
    if (principal === undefined) return undefined;
    const call = { exchange, resource, rest, principal, limits: parts.limits };
    return counted(call, parts.confirm);
  };
}

/**
 * Runs the verb. What it throws is answered further out; here it is counted with the other answers.
 * A hit, which returns at once, pays nothing for this.
 */
function counted(call: RestCall, confirm: ConfirmWrite): void | Promise<void> {
  const { monotonic } = call.resource;
  try {
    const running = dispatch(call, confirm);
    if (running === undefined) return undefined;
    const startedAt = monotonic();
    return running.catch((error: unknown) => countFailure(call, error, startedAt));
  } catch (error) {
    return countFailure(call, error, monotonic());
  }
}

function countFailure({ exchange, resource }: RestCall, error: unknown, startedAt: number): void {
  // A client which has gone gets no answer.
  if (!exchange.replied && !exchange.aborted) {
    const status = problemStatus(asNodeError(error).code);
    resource.meter.answered(exchange.request.method, status, 'failed', startedAt, 0);
  }
  // What a guard refuses to an anonymous client is answered with a challenge, as everywhere.
  if (asNodeError(error).code !== 'AUTHENTICATION_REQUIRED' || exchange.replied) throw error;
  replyUnauthenticated(exchange, asNodeError(error).message);
}

function dispatch(call: RestCall, confirm: ConfirmWrite): void | Promise<void> {
  if (call.resource.table.definition.pages !== undefined) return servePageRecords(call);
  const { method } = call.exchange.request;
  if (method === 'GET' || method === 'HEAD') return read(call);
  const wanted = wantedConfirmation(call.exchange);
  return wanted === undefined ? write(call) : confirmedWrite(call, wanted, confirm, write);
}

function write(call: RestCall): void | Promise<void> {
  switch (call.exchange.request.method) {
    case 'PUT':
      return putRecord(call);
    case 'PATCH':
      return patchRecord(call);
    case 'POST':
      return createRecord(call);
    case 'DELETE':
      return namesMany(call) ? deleteMatching(call) : deleteRecord(call);
    case 'OPTIONS':
      return call.exchange.reply(204, ['allow', allowedMethods(call)]);
    default:
      return replyProblem(
        call.exchange,
        new NodeError('METHOD_NOT_ALLOWED', wrongMethod(call), { blame: 'client' }),
        ['allow', allowedMethods(call)],
      );
  }
}

function wrongMethod(call: RestCall): string {
  const { method, path } = call.exchange.request;
  return `${path} takes no ${method}; it takes ${allowedMethods(call)}`;
}

function read(call: RestCall): void | Promise<void> {
  const access = accessed(call, 'read');
  if (access === undefined) return undefined;
  const { rest } = call;
  if (rest.length > 1 && rest.charCodeAt(rest.length - 1) !== SLASH) {
    return access === 'whole' ? readRecord(call) : readRecord(call, access);
  }
  if (rest === '' && call.exchange.request.query === '') return describeTable(call);
  return readCollection(call);
}

const SLASH = 0x2f;
