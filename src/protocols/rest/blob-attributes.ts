/**
 * The bytes of a `Blob` attribute at an address of their own, `/Table/id.attribute`: uploaded there
 * in whatever type, and served from there with type, entity tag and ranges.
 */
import { NodeError } from '../../base/errors.ts';
import { isBlobAttribute } from '../../cache/blobs.ts';
import type { Entry, StoredBlob } from '../../cache/entry.ts';
import { judgedUpload } from '../../table/guarded-write.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import type { WriteOutcome } from '../../table/store-port.ts';
import { blobType } from './formats/bytes-type.ts';
import { type Projection, recordTarget } from './projection.ts';
import type { RestCall } from './rest-call.ts';
import { takeFile } from './upload.ts';
import type { WritePermission } from './write-permission.ts';

export interface BlobTarget {
  readonly key: string;
  readonly attribute: string;
}

/** The attribute that a write is aimed at; `undefined` when it is a record. */
export function blobTarget(call: RestCall): BlobTarget | undefined {
  if (!call.rest.includes('.')) return undefined;
  const { key, part } = recordTarget(call);
  const attribute = part === undefined ? undefined : blobName(call, part);
  return attribute === undefined ? undefined : { key, attribute };
}

/** The blob which a part of a record is, when its bytes are kept apart. */
export function blobPart(
  call: RestCall,
  entry: Entry,
  part: Projection | undefined,
): StoredBlob | undefined {
  if (part === undefined || part.select.shape !== 'value') return undefined;
  const name = blobName(call, part);
  return name === undefined ? undefined : entry.meta.blobs?.[name];
}

function blobName({ resource, rest }: RestCall, { select }: Projection): string | undefined {
  const [selection] = select.selections;
  if (select.shape !== 'value' || selection === undefined) return undefined;
  const isAddressed = rest.endsWith(`.${selection.name}`);
  return isAddressed && isBlobAttribute(resource.table.definition, selection.name)
    ? selection.name
    : undefined;
}

/** Takes the bytes and sets the attribute to them. */
export async function putBlob(
  call: RestCall,
  { key, attribute }: BlobTarget,
  { condition, guard }: Pick<WritePermission, 'condition' | 'guard'>,
): Promise<{ readonly outcome: WriteOutcome; readonly blob: StoredBlob }> {
  const { table, bodies } = call.resource;
  const { definition } = table;
  if (definition.sourcedFrom !== undefined) throw ofOrigin(definition.typeName);
  const id = recordIdFromUrl(definition, key);
  // Refused before the bytes are taken.
  const terms =
    guard === undefined ? condition : await judgedUpload(table, guard, id, attribute, condition);
  const contentType = blobType(call);
  const body = await takeFile(call.exchange, bodies, call.limits);
  const blob = { contentType, body, entityTag: call.resource.tagOf(body) };
  return { outcome: await table.putBlob(id, attribute, blob, { condition: terms }), blob };
}

const ofOrigin = (typeName: string): NodeError =>
  new NodeError(
    'METHOD_NOT_ALLOWED',
    `${typeName} has an origin, and the bytes of its attributes are there; upload them there`,
    { blame: 'client' },
  );
