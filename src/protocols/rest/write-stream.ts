/**
 * `PUT`, `PATCH` and `POST` of more records than one transaction is to hold: NDJSON and CSV are
 * read with back-pressure and written in batches. Neither the size of the body nor the pace of
 * either side costs memory. The answer counts the rows and names the first that failed.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { asNodeError, NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import type { WriteAllOptions, WriteAllVerb } from '../../table/write-all.ts';
import { RowsWriter, type RowsWritten } from '../../table/write-rows.ts';
import type { Exchange } from '../http/port.ts';
import { problemDocument } from '../http/problem.ts';
import { bodyTooLarge } from '../http/request-body.ts';
import type { BodyRow, RowReader } from './formats/format.ts';
import { bodyFormat } from './formats/negotiate.ts';
import { encodedBody } from './formats/read-body.ts';
import type { RestCall, RestLimits } from './rest-call.ts';

export type OnError = 'continue' | 'stop';

/** What the query of the request says; throws `QUERY_INVALID`. */
export function onErrorOf({ request }: Exchange): OnError | undefined {
  const value = new URLSearchParams(request.query).get('onError');
  if (value === null || value === 'continue' || value === 'stop') return value ?? undefined;
  const message = `onError is continue or stop, not ${JSON.stringify(value.slice(0, 40))}`;
  throw new NodeError('QUERY_INVALID', message, { blame: 'client' });
}

/**
 * The reader of a body that is to be streamed: one of rows, which is larger than one transaction
 * may be or has no length, or whose sender has said what a failing row means.
 */
export function streamedReader(exchange: Exchange, call: RestCall): RowReader | undefined {
  const onError = onErrorOf(exchange);
  const { definition } = call.resource.table;
  const { bytesMax, depthMax, keysMax } = call.limits;
  const format = bodyFormat(exchange);
  const reader = format?.rowReader?.({ definition, bytesMax, depthMax, keysMax });
  if (reader === undefined) {
    if (onError === undefined || format === undefined) return undefined;
    const message = `onError is for lists that are read row by row, which ${format.name} is not`;
    throw new NodeError('QUERY_INVALID', message, { blame: 'client' });
  }
  const length = Number(exchange.request.header('content-length') ?? Number.POSITIVE_INFINITY);
  if (onError === undefined && length <= bytesMax) return undefined;
  const coding = exchange.request.header('content-encoding');
  if (coding !== undefined && coding !== 'identity') throw encodedBody(coding);
  return reader;
}

/** Writes the rows of the body as they come and answers with their number. */
export async function writeStream(
  call: RestCall,
  verb: WriteAllVerb,
  reader: RowReader,
  options: WriteAllOptions,
): Promise<void> {
  const { exchange, resource, limits } = call;
  const startedAt = resource.monotonic();
  const stopsAtFailure = onErrorOf(exchange) !== 'continue';
  const writer = new RowsWriter(resource.table, verb, options, { ...terms(), stopsAtFailure });
  let fault: NodeError | undefined;
  try {
    // Before anything is written of what cannot be written in whole.
    const declared = Number(exchange.request.header('content-length') ?? 0);
    if (declared > limits.uploadBytesMax) throw bodyTooLarge(limits.uploadBytesMax);
    await readInto(writer, reader, exchange, limits);
    await writer.finish();
  } catch (error) {
    fault = asNodeError(error);
    await writer.finish().catch(() => undefined);
  }
  if (exchange.aborted) return;
  const { result } = writer;
  const error = fault ?? (stopsAtFailure ? stoppedAt(result) : undefined);
  const status = error === undefined ? 200 : replyStopped(exchange, error, result);
  if (error === undefined) {
    const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
    exchange.reply(status, headers, JSON.stringify(result));
  }
  resource.meter.answered(exchange.request.method, status, 'written', startedAt, 0);
}

const terms = () => ({
  batchRowsMax: LIMITS.uploadBatchRowsMax,
  batchBytesMax: LIMITS.uploadBatchBytesMax,
  batchesMax: LIMITS.uploadBatchesMax,
  errorsMax: LIMITS.uploadErrorsMax,
  wait: (ms: number) => wait(ms),
});

async function readInto(
  writer: RowsWriter,
  reader: RowReader,
  exchange: Exchange,
  { uploadBytesMax }: RestLimits,
): Promise<void> {
  for await (const piece of exchange.requestStream(uploadBytesMax)) {
    if (!(await addAll(writer, reader.read(piece)))) return;
  }
  await addAll(writer, reader.end());
}

/** False: the writer has stopped. A promise is awaited only where there is one. */
async function addAll(writer: RowsWriter, rows: readonly BodyRow[]): Promise<boolean> {
  for (const row of rows) {
    const taken = writer.add(row);
    if (taken === true) continue;
    if (taken === false || !(await taken)) return false;
  }
  return true;
}

function stoppedAt({ errors: [first] }: RowsWritten): NodeError | undefined {
  if (first === undefined) return undefined;
  const message = `row ${first.row}: ${first.problem}; the rows before it were written`;
  return new NodeError('RECORD_INVALID', message, { blame: 'client' });
}

/** A problem document which also says how far the upload came; the status of it. */
function replyStopped(exchange: Exchange, error: NodeError, result: RowsWritten): number {
  const problem = problemDocument(error);
  if (problem.limit !== undefined) exchange.limitHit(problem.limit);
  const headers = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (error.retry !== 'never') headers.push('retry-after', '1');
  exchange.reply(problem.status, headers, `${JSON.stringify({ ...problem, ...result })}\n`);
  return problem.status;
}
