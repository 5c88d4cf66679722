/**
 * `PUT`, `PATCH`, `POST` and `DELETE`: from the wire to a write of the table, and from its outcome
 * to a status. Preconditions travel with the write and are decided inside the commit.
 */

import { accessTo } from '../../access/authorise.ts';
import type { RecordId, Sequence } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { formatRecordId } from '../../schema/key.ts';
import type { Bytes } from '../../table/bytes-draft.ts';
import {
  guardedCreate,
  guardedDelete,
  guardedPatch,
  guardedPut,
  type WriteGuard,
} from '../../table/guarded-write.ts';
import type { JsonRecord, WriteOptions } from '../../table/record-draft.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { WriteOutcome } from '../../table/store-port.ts';
import { replyProblem } from '../http/problem.ts';
import { type BlobTarget, blobTarget, putBlob } from './blob-attributes.ts';
import { staysHere } from './confirmed-write.ts';
import { bytesType } from './formats/bytes-type.ts';
import { MERGE_PATCH, readRecordBody, readRecordsBody } from './formats/read-body.ts';
import { mediaType } from './json-body.ts';
import { allowedMethods, originTakes } from './origin-writes.ts';
import type { RestCall } from './rest-call.ts';
import { takeUpload } from './upload.ts';
import { writeCollection, writeList } from './write-many.ts';
import { permission, writePermission } from './write-permission.ts';
import { streamedReader, writeStream } from './write-stream.ts';
import { clientMaxAge, namedGroups, preconditions } from './write-terms.ts';

export async function putRecord(call: RestCall): Promise<void> {
  if (isCollection(call)) return writeCollection(call, 'put');
  const blob = blobTarget(call);
  if (blob !== undefined) return uploadBlob(call, blob);
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  const permitted = writePermission(call, preconditions(call.exchange));
  if (permitted === undefined) return;
  if (!originTakes(call, 'put')) return;
  const { condition, guard } = permitted;
  const maxAge = clientMaxAge(call.exchange);
  const groups = namedGroups(call.exchange);
  const options = { condition, maxAge, groups, isLocal: staysHere(call.exchange) };
  const contentType = bytesType(call);
  const outcome =
    contentType === undefined
      ? await storeRecord(call, id, await bodyOf(call), options, guard)
      : await storeBytes(call, id, contentType, options, guard);
  if (permitted.refused(outcome)) return;
  replyOutcome(call, id, outcome, startedAt);
}

const storeRecord = (
  { resource: { table } }: RestCall,
  id: RecordId,
  record: JsonRecord,
  options: WriteOptions,
  guard: WriteGuard | undefined,
): Promise<WriteOutcome> =>
  guard === undefined
    ? table.put(id, record, options)
    : guardedPut(table, guard, id, record, options);

/** A guard refuses before the bytes are taken. */
async function storeBytes(
  call: RestCall,
  id: RecordId,
  contentType: string,
  options: WriteOptions,
  guard: WriteGuard | undefined,
): Promise<WriteOutcome> {
  const { table } = call.resource;
  const held = guard && (await table.held(id));
  guard?.putBytes(id, held?.row);
  return table.putBytes(id, await uploaded(call, contentType), options);
}

/** Answers with the tag of the bytes, which are what the address names. */
async function uploadBlob(call: RestCall, target: BlobTarget): Promise<void> {
  const startedAt = call.resource.monotonic();
  const permitted = writePermission(call, preconditions(call.exchange));
  if (permitted === undefined) return;
  const { outcome, blob } = await putBlob(call, target, permitted);
  if (permitted.refused(outcome)) return;
  const isStored = outcome.kind === 'stored';
  const id = recordIdFromUrl(call.resource.table.definition, target.key);
  replyOutcome(call, id, isStored ? { ...outcome, entityTag: blob.entityTag } : outcome, startedAt);
}

export async function patchRecord(call: RestCall): Promise<void> {
  if (isCollection(call)) return writeCollection(call, 'patch');
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  const permitted = writePermission(call, preconditions(call.exchange));
  if (permitted === undefined) return;
  if (!originTakes(call, 'patch')) return;
  const { condition, guard } = permitted;
  const type = mediaType(call.exchange.request.header('content-type'));
  const format = type === MERGE_PATCH ? 'merge-patch' : 'merge';
  const patch = await bodyOf(call, [MERGE_PATCH]);
  const maxAge = clientMaxAge(call.exchange);
  const options = { condition, maxAge, isLocal: staysHere(call.exchange) };
  const { table } = call.resource;
  const outcome = await (guard === undefined
    ? table.patch(id, patch, format, options)
    : guardedPatch(table, guard, id, patch, format, options));
  if (permitted.refused(outcome)) return;
  replyOutcome(call, id, outcome, startedAt);
}

/** `/<name>/`: the records, not one of them. */
const isCollection = ({ rest }: RestCall): boolean => rest === '/';

/** `POST` to the collection: new records, or one, its key generated unless the body brings one. */
export async function createRecord(call: RestCall): Promise<void> {
  const { exchange, resource } = call;
  const startedAt = resource.monotonic();
  if (call.rest.length > 1) {
    const error = new NodeError(
      'METHOD_NOT_ALLOWED',
      'POST goes to the collection, not to a record',
      {
        blame: 'client',
      },
    );
    replyProblem(exchange, error, ['allow', allowedMethods(call)]);
    return;
  }
  const inserting = permission(call, 'insert');
  if (inserting === undefined || !originTakes(call, 'put')) return;
  const { guard } = inserting;
  const { table } = resource;
  const options = { maxAge: clientMaxAge(exchange), isLocal: staysHere(exchange) };
  const reader = streamedReader(exchange, call);
  if (reader !== undefined) {
    return writeStream(call, 'create', reader, { ...options, guard });
  }
  const sent = await readRecordsBody(exchange, table.definition, call.limits);
  const [record] = sent.records;
  if (sent.isList || record === undefined)
    return writeList(call, 'create', sent.records, { guard });
  const { id, outcome } = await (guard === undefined
    ? table.create(record, options)
    : guardedCreate(table, guard, record, options));
  if (outcome.kind === 'preconditionFailed') {
    const problem = `${table.definition.typeName}/${String(id)} exists already; PUT replaces it`;
    replyProblem(exchange, new NodeError('RECORD_EXISTS', problem, { blame: 'client' }));
    resource.meter.answered('POST', 409, 'written', startedAt, 0);
    return;
  }
  const location = `/${table.definition.export?.name ?? ''}/${formatRecordId(id)}`;
  exchange.reply(
    201,
    [
      ...['location', location, ...tagOf(call, outcome), 'content-type', 'application/json'],
      ...(outcome.kind === 'stored' ? positionOf(call, outcome.sequence) : []),
    ],
    JSON.stringify({ [table.definition.primaryKey]: id }),
  );
  resource.meter.answered('POST', 201, 'written', startedAt, 0);
}

export async function deleteRecord(call: RestCall): Promise<void> {
  const startedAt = call.resource.monotonic();
  const id = targetId(call);
  if (id === undefined) return;
  if (!originTakes(call, 'delete')) return;
  const condition = preconditions(call.exchange);
  const deleting = permission(call, 'delete', condition);
  if (deleting === undefined) return;
  const { table } = call.resource;
  const options = { condition, isLocal: staysHere(call.exchange) };
  const outcome = await (deleting.guard === undefined
    ? table.delete(id, options)
    : guardedDelete(table, deleting.guard, id, options));
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
  replyProblem(call.exchange, error, ['allow', allowedMethods(call)]);
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
      exchange.reply(status, [...tagOf(call, outcome), ...positionOf(call, outcome.sequence)]);
      break;
    case 'deleted':
    case 'invalidated':
      exchange.reply(204, positionOf(call, outcome.sequence));
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
      replyProblem(exchange, preconditionFailed(name, id), currentTag(call, outcome));
  }
  resource.meter.answered(exchange.request.method, status, 'written', startedAt, 0);
}

/**
 * A record that its origin took, but which is not held here, has no tag yet; and the tag of a whole
 * record is no business of who does not see all of it.
 */
const tagOf = (call: RestCall, outcome: WriteOutcome): readonly string[] =>
  outcome.kind === 'stored' && seesWhole(call) ? ['etag', outcome.entityTag] : [];

/** At which subscribers have been told of the write: a client can tell its own from others'. */
export const positionOf = ({ resource }: RestCall, sequence: Sequence): readonly string[] => [
  'millrace-position',
  resource.positionOf(sequence),
];

const seesWhole = ({ principal, resource }: RestCall): boolean =>
  accessTo(principal, resource.table.definition, 'read').kind === 'whole';

function preconditionFailed(name: string, id: RecordId): NodeError {
  return new NodeError(
    'PRECONDITION_FAILED',
    `${name}/${String(id)} is not in the state the request asked for; read it again and repeat`,
    { blame: 'client', retry: 'never' },
  );
}

function currentTag(call: RestCall, outcome: WriteOutcome): readonly string[] {
  if (outcome.kind !== 'preconditionFailed' || outcome.current === undefined) return [];
  if (!seesWhole(call)) return [];
  return ['etag', outcome.current];
}
