/**
 * From bytes of any media type to the operation which stores them under a key. Only a table that
 * asks nothing of its records can hold them: bytes have no attributes.
 */
import type { DurationMs, RecordId } from '../base/brands.ts';
import { blobReference } from '../cache/blobs.ts';
import type { StoredBlob } from '../cache/entry.ts';
import { standIn } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { formatRecordId } from '../schema/key.ts';
import type { StoredBody } from './body-store.ts';
import { type DraftContext, patchOp, type WriteOptions } from './record-draft.ts';
import type { WriteOp } from './store-port.ts';
import { writeTimes } from './write-times.ts';

export interface Bytes {
  readonly body: Uint8Array | StoredBody;
  /** As the client said it, with its parameters. */
  readonly contentType: string;
}

/** What in its schema keeps a table from holding bytes; `undefined` when nothing does. */
export function barsBytes(definition: TableDefinition): string | undefined {
  if (definition.sealed) return 'it is @sealed';
  const required = definition.attributes.find(
    (attribute) => attribute.required && !attribute.primaryKey && attribute.role === undefined,
  );
  return required === undefined ? undefined : `it requires ${required.name}`;
}

/** The `patch` which sets a `Blob` attribute to a reference to the bytes, and brings these. */
export function blobOp(
  context: DraftContext,
  id: RecordId,
  attribute: string,
  blob: StoredBlob,
  options: WriteOptions,
): WriteOp {
  const { definition } = context;
  const href = `/${definition.export?.name ?? ''}/${formatRecordId(id)}.${attribute}`;
  const patch = { [attribute]: blobReference(blob, href) };
  const op = patchOp(context, id, patch, 'merge', 'client', options);
  return { ...op, blobs: { [attribute]: blob } };
}

/** The `put` of bytes. The caller has asked `barsBytes`. */
export function bytesOp(
  { definition, settings, rules, now }: DraftContext,
  id: RecordId,
  { body, contentType }: Bytes,
  options: WriteOptions,
): WriteOp {
  const facts = { contentType, size: body.length };
  const indexed = rules.indexed(standIn(definition.primaryKey, id, facts));
  return {
    kind: 'put',
    table: definition.name,
    id,
    variant: '',
    entryKind: 'record',
    status: 200,
    body,
    meta: {
      contentType,
      ...(indexed === undefined ? {} : { indexed }),
      ...(options.groups === undefined ? {} : { groups: options.groups }),
    },
    times: writeTimes(definition, settings, now, options.maxAge),
    storedAt: now,
    initialAge: 0 as DurationMs,
    mustValidate: false,
    staleForbidden: false,
    reason: 'client',
    condition: options.condition,
    publication: options.publication,
    isLocal: options.isLocal,
  };
}
