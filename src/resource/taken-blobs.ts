/**
 * The bytes that a record of application code brings for its `Blob` attributes: taken into files,
 * with references in their places. What is a reference already, or text, stays as it is.
 */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { type Blobs, blobReference } from '../cache/blobs.ts';
import type { StoredBlob } from '../cache/entry.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { formatRecordId } from '../schema/key.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import { CreatedBlob, createBlob, HeldBlob } from './blob.ts';

export interface TakenBlobs {
  readonly value: JsonRecord;
  readonly blobs: Blobs | undefined;
}

/** Resolves when all bytes are in their files. */
export async function takenBlobs(
  definition: TableDefinition,
  id: RecordId,
  given: JsonRecord,
): Promise<TakenBlobs> {
  const blobs: [string, StoredBlob][] = [];
  const value: JsonRecord = { ...given };
  for (const { name, type, list } of definition.attributes) {
    const blob = type === 'Blob' && !list ? asBlob(given[name]) : undefined;
    if (blob === undefined) continue;
    if (definition.sourcedFrom !== undefined) throw ofOrigin(definition);
    const stored = await blob.store();
    const href = `/${definition.export?.name ?? ''}/${formatRecordId(id)}.${name}`;
    value[name] = blobReference(stored, href);
    blobs.push([name, stored]);
  }
  if (blobs.length === 0) return { value: given, blobs: undefined };
  return { value, blobs: Object.fromEntries(blobs) };
}

function asBlob(value: unknown): CreatedBlob | undefined {
  if (value instanceof CreatedBlob) return value;
  if (value instanceof HeldBlob) return undefined;
  const isBytes = value instanceof Uint8Array || value instanceof Blob;
  return isBytes || value instanceof ReadableStream ? createBlob(value as Uint8Array) : undefined;
}

const ofOrigin = ({ typeName }: TableDefinition): NodeError =>
  new NodeError('RECORD_INVALID', `${typeName} has an origin: bytes of its attributes are there`, {
    blame: 'client',
  });
