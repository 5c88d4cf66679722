/**
 * `PUT`, `PATCH`, `POST` and `DELETE`: from the wire to a write of the table, and from its outcome
 * to a status. Preconditions travel with the write and are decided inside the commit.
 */

import type { RecordId } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { formatRecordId } from '../../schema/key.ts';
import type { Bytes } from '../../table/bytes-draft.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { WriteOutcome } from '../../table/store-port.ts';
import { replyProblem } from '../http/problem.ts';
import { type BlobTarget, blobTarget, putBlob } from './blob-attributes.ts';
import { bytesType } from './formats/bytes-type.ts';
import { MERGE_PATCH, readRecordBody, readRecordsBody } from './formats/read-body.ts';
import { mediaType } from './json-body.ts';
import { originTakes } from './origin-writes.ts';
import { permitted, type RestCall } from './rest-call.ts';
import { takeUpload } from './upload.ts';
import { writeCollection, writeList } from './write-many.ts';
import { writePermission } from './write-permission.ts';
import { streamedReader, writeStream } from './write-stream.ts';
import { clientMaxAge, preconditions } from './write-terms.ts';

export async function putRecord(call: RestCall): Promise<void> {
  if (isCollection(call)) return writeCollection(call, 'put');
  const blob = blobTarget(call);
  if (blob !== undefined) return uploadBlob(call, blob);
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  const permission = writePermission(call, preconditions(call.exchange));
  if (permission === undefined) return;
  if (!originTakes(call, 'put')) return;
  const { condition } = permission;
  const maxAge = clientMaxAge(call.exchange);
  const options = { condition, maxAge };
  const { table } = call.resource;
  const contentType = bytesType(call);
  const outcome =
    contentType === undefined
      ? await table.put(id, await bodyOf(call), options)
      : await table.putBytes(id, await uploaded(call, contentType), options);
  if (permission.refused(outcome)) return;
  replyOutcome(call, id, outcome, startedAt);
}

/** Answers with the tag of the bytes, which are what the address names. */
async function uploadBlob(call: RestCall, target: BlobTarget): Promise<void> {
  const startedAt = call.resource.monotonic();
  const permission = writePermission(call, preconditions(call.exchange));
  if (permission === undefined) return;
  const { outcome, blob } = await putBlob(call, target, permission.condition);
  if (permission.refused(outcome)) return;
  const isStored = outcome.kind === 'stored';
  const id = recordIdFromUrl(call.resource.table.definition, target.key);
  replyOutcome(call, id, isStored ? { ...outcome, entityTag: blob.entityTag } : outcome, startedAt);
}

export async function patchRecord(call: RestCall): Promise<void> {
  if (isCollection(call)) return writeCollection(call, 'patch');
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  const permission = writePermission(call, preconditions(call.exchange));
  if (permission === undefined) return;
  if (!originTakes(call, 'patch')) return;
  const { condition } = permission;
  const type = mediaType(call.exchange.request.header('content-type'));
  const format = type === MERGE_PATCH ? 'merge-patch' : 'merge';
  const patch = await bodyOf(call, [MERGE_PATCH]);
  const maxAge = clientMaxAge(call.exchange);
  const outcome = await call.resource.table.patch(id, patch, format, { condition, maxAge });
  if (permission.refused(outcome)) return;
  replyOutcome(call, id, outcome, startedAt);
}

/** `/<name>/`: the records, not one of them. */
const isCollection = ({ rest }: RestCall): boolean => rest === '/';

/** `POST` to the collection: new records, or one, its key generated unless the body brings one. */
export async function createRecord(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  if (call.rest.length > 1) {
    const allow = 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS';
    const error = new NodeError(
      'METHOD_NOT_ALLOWED',
      'POST goes to the collection, not to a record',
      {
        blame: 'client',
      },
    );
    replyProblem(exchange, error, ['allow', allow]);
    return;
  }
  if (!permitted(call, 'insert') || !originTakes(call, 'put')) return;
  const { table } = resource;
  const reader = streamedReader(exchange, call);
  if (reader !== undefined) {
    return writeStream(call, 'create', reader, { maxAge: clientMaxAge(exchange) });
  }
  const sent = await readRecordsBody(exchange, table.definition, call.limits);
  const [record] = sent.records;
  if (sent.isList || record === undefined) return writeList(call, 'create', sent.records);
  const { id, outcome } = await table.create(record, { maxAge: clientMaxAge(exchange) });
  if (outcome.kind === 'preconditionFailed') {
    const problem = `${table.definition.typeName}/${String(id)} exists already; PUT replaces it`;
    replyProblem(exchange, new NodeError('RECORD_EXISTS', problem, { blame: 'client' }));
    resource.meter.answered('POST', 409, 'written', startedAt, 0);
    return;
  }
  const location = `/${table.definition.export?.name ?? ''}/${formatRecordId(id)}`;
  exchange.reply(
    201,
    ['location', location, ...tagOf(outcome), 'content-type', 'application/json'],
    JSON.stringify({ [table.definition.primaryKey]: id }),
  );
  resource.meter.answered('POST', 201, 'written', startedAt, 0);
}

export async function deleteRecord(call: RestCall): Promise<void> {
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  if (!originTakes(call, 'delete')) return;
  const outcome = await call.resource.table.delete(id, { condition: preconditions(call.exchange) });
  replyOutcome(call, id, outcome, startedAt);
}

const uploaded = async (call: RestCall, contentType: string): Promise<Bytes> => ({
  body: await takeUpload(call.exchange, call.resource.bodies, call.limits),
  contentType,
});

const bodyOf = ({ exchange, resource, limits }: RestCall, also?: readonly string[]) =>
  readRecordBody(exchange, resource.table.definition, limits, also);

/** The record a write is aimed at, or `undefined` after a 405 for a whole collection was sent. */
function targetId(call: RestCall): RecordId | undefined {
  if (call.rest.length > 1)
    return recordIdFromUrl(call.resource.table.definition, call.rest.slice(1));
  const { method } = call.exchange.request;
  const error = new NodeError(
    'METHOD_NOT_ALLOWED',
    `${method} needs the key of a record in the URL`,
    {
      blame: 'client',
    },
  );
  replyProblem(call.exchange, error, ['allow', 'GET, HEAD, POST, OPTIONS']);
  return undefined;
}

function replyOutcome(
  call: RestCall,
  id: RecordId,
  outcome: WriteOutcome,
  startedAt: number,
): void {
  const { exchange, resource } = call;
  const name = resource.table.definition.typeName;
  let status = 204;
  switch (outcome.kind) {
    case 'stored':
      status = outcome.created ? 201 : 204;
      exchange.reply(status, ['etag', outcome.entityTag]);
      break;
    case 'deleted':
    case 'invalidated':
      exchange.reply(204, []);
      break;
    case 'absent':
      status = 404;
      replyProblem(
        exchange,
        new NodeError('NOT_FOUND', `there is no ${name}/${String(id)}`, { blame: 'client' }),
      );
      break;
    default:
      status = 412;
      replyProblem(exchange, preconditionFailed(name, id), currentTag(outcome));
  }
  resource.meter.answered(exchange.request.method, status, 'written', startedAt, 0);
}

/** A record that its origin took, but which is not held here, has no tag yet. */
const tagOf = (outcome: WriteOutcome): readonly string[] =>
  outcome.kind === 'stored' ? ['etag', outcome.entityTag] : [];

function preconditionFailed(name: string, id: RecordId): NodeError {
  return new NodeError(
    'PRECONDITION_FAILED',
    `${name}/${String(id)} is not in the state the request asked for; read it again and repeat`,
    { blame: 'client', retry: 'never' },
  );
}

function currentTag(outcome: WriteOutcome): readonly string[] {
  if (outcome.kind !== 'preconditionFailed' || outcome.current === undefined) return [];
  return ['etag', outcome.current];
}
