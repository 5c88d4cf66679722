/**
 * `PUT`, `PATCH` and `POST` of a list to the collection: one transaction, all or nothing. What is
 * wrong names its row; preconditions of the request hold for each record.
 */
import { NodeError } from '../../base/errors.ts';
import { formatRecordId } from '../../schema/key.ts';
import type { JsonRecord } from '../../table/record-draft.ts';
import { type RowRefused, type WriteAllVerb, writeAll } from '../../table/write-all.ts';
import { replyProblem } from '../http/problem.ts';
import { staysHere } from './confirmed-write.ts';
import { readRecordsBody } from './formats/read-body.ts';
import { originTakes } from './origin-writes.ts';
import type { RestCall } from './rest-call.ts';
import { type WritePermission, writePermission } from './write-permission.ts';
import { streamedReader, writeStream } from './write-stream.ts';
import { clientMaxAge, preconditions } from './write-terms.ts';

/** `PUT` and `PATCH` of the collection. */
export async function writeCollection(call: RestCall, verb: 'put' | 'patch'): Promise<void> {
  if (!originTakes(call, verb)) return;
  const { exchange, resource, limits } = call;
  const permission = writePermission(call, preconditions(exchange));
  if (permission === undefined) return;
  const reader = streamedReader(exchange, call);
  if (reader !== undefined) {
    const { condition, guard } = permission;
    const isLocal = staysHere(exchange);
    const options = { condition, maxAge: clientMaxAge(exchange), guard, isLocal };
    return writeStream(call, verb, reader, options);
  }
  const { isList, records } = await readRecordsBody(exchange, resource.table.definition, limits);
  const isText = exchange.request.header('content-type')?.includes('json') !== true;
  if (!isList && !isText) throw noList(exchange.request.method);
  await writeList(call, verb, records, permission);
}

/** What there is of it: a list that is inserted has no conditions of its own. */
type Permission = Partial<WritePermission>;

/** Writes the records of a list and answers with their number. */
export async function writeList(
  call: RestCall,
  verb: WriteAllVerb,
  records: readonly JsonRecord[],
  permission?: Permission,
): Promise<void> {
  const { exchange, resource } = call;
  const { method } = exchange.request;
  const startedAt = resource.monotonic();
  const { condition, guard } = permission ?? {};
  const maxAge = clientMaxAge(exchange);
  const options = { condition, maxAge, guard, isLocal: staysHere(exchange) };
  const written = await writeAll(resource.table, verb, records, options);
  if (written.kind === 'refused') {
    if (permission?.refused?.(written.outcome) === true) return;
    const error = refusal(call, verb, written);
    replyProblem(exchange, error);
    resource.meter.answered(method, verb === 'create' ? 409 : 412, 'written', startedAt, 0);
    return;
  }
  const { created, updated, unchanged, ids } = written;
  const status = verb === 'create' ? 201 : 200;
  const counts = { rows: records.length, created, updated, unchanged };
  const answer = verb === 'create' ? { ...counts, ids } : counts;
  const headers = ['content-type', 'application/json', 'cache-control', 'no-store'];
  exchange.reply(status, headers, JSON.stringify(answer));
  resource.meter.answered(method, status, 'written', startedAt, 0);
}

function refusal(call: RestCall, verb: WriteAllVerb, { row, id, outcome }: RowRefused): NodeError {
  const name = `${call.resource.table.definition.typeName}/${formatRecordId(id)}`;
  const details = { row, id };
  if (outcome.kind === 'absent') {
    const message = `row ${row}: there is no ${name}; nothing was written`;
    return new NodeError('NOT_FOUND', message, { blame: 'client', details });
  }
  if (verb === 'create') {
    const message = `row ${row}: ${name} exists already; nothing was written. PUT replaces records`;
    return new NodeError('RECORD_EXISTS', message, { blame: 'client', details });
  }
  const message = `row ${row}: ${name} is not as the request asked; nothing was written`;
  return new NodeError('PRECONDITION_FAILED', message, { blame: 'client', details });
}

const noList = (method: string): NodeError =>
  new NodeError(
    'BODY_MALFORMED',
    `${method} of the collection takes a list of records; for one record, put its key in the URL`,
    { blame: 'client' },
  );
