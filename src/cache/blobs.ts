/**
 * `Blob` attributes: their bytes lie in files that the row holds on to, and the record has a
 * reference in their place. A write keeps the bytes whose reference it brings back unchanged; a
 * reference to anything else is refused, since nobody would have its bytes.
 */
import type { TableDefinition } from '../schema/definition.ts';
import type { StoredBlob } from './entry.ts';

export type Blobs = Readonly<Record<string, StoredBlob>>;

/** What stands in a record for the bytes. */
export const blobReference = ({ contentType, entityTag, body }: StoredBlob, href: string) => ({
  contentType,
  size: body.length,
  etag: entityTag,
  href,
});

export const isBlobAttribute = (definition: TableDefinition, name: string): boolean =>
  definition.attributes.some((each) => each.name === name && each.type === 'Blob' && !each.list);

export const hasBlobs = ({ attributes }: TableDefinition): boolean =>
  attributes.some((each) => each.type === 'Blob' && !each.list);

export type KeptBlobs =
  | { readonly kind: 'kept'; readonly blobs: Blobs | undefined }
  | { readonly kind: 'unknown'; readonly problem: string };

/** Which of the known blobs the record refers to. */
export function keptBlobs(
  definition: TableDefinition,
  record: Readonly<Record<string, unknown>>,
  known: Blobs,
): KeptBlobs {
  const kept: [string, StoredBlob][] = [];
  for (const { name, type, list } of definition.attributes) {
    const value = record[name];
    if (type !== 'Blob' || list || typeof value !== 'object' || value === null) continue;
    const blob = known[name];
    const isKnown = blob !== undefined && 'etag' in value && value.etag === blob.entityTag;
    if (!isKnown) return { kind: 'unknown', problem: unknownBlob(name) };
    kept.push([name, blob]);
  }
  return { kind: 'kept', blobs: kept.length === 0 ? undefined : Object.fromEntries(kept) };
}

const unknownBlob = (name: string): string =>
  `${name}: this reference is not the one of the bytes that are held here; send it as it was ` +
  `read, or send the bytes themselves with PUT to the record's address and .${name}`;
