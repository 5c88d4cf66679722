/**
 * What stands for an entry where only JSON can stand: in queries, collections and subscriptions.
 * A record is its body. Bytes of another type, and bodies in files, are told of by an object with
 * the key, type, size and entity tag; the bytes themselves are at the entry's own address.
 */
import type { EntityTag, RecordId } from '../base/brands.ts';
import type { Entry } from './entry.ts';

const JSON_TYPE = 'application/json';
const STRUCTURED = /^application\/(?:[\w.+-]*\+)?json\b/i;

/** Whether a body of this media type is a record. */
export const isJsonType = (contentType: string): boolean =>
  contentType === JSON_TYPE || STRUCTURED.test(contentType);

/** Whether the body at hand is JSON. */
export const holdsRecord = (entry: Pick<Entry, 'contentType' | 'storedBody'>): boolean =>
  isJsonType(entry.contentType) && entry.storedBody === undefined;

/** An object in place of bytes; what does not depend on a commit is known without the tag. */
export interface BytesStandIn {
  readonly contentType: string;
  readonly size: number;
  readonly etag?: EntityTag | undefined;
}

export const standIn = (
  primaryKey: string,
  id: RecordId,
  facts: BytesStandIn,
): Record<string, unknown> => ({ [primaryKey]: id, ...facts });

/** The JSON of an entry: its body as it is (a view of it), or what stands in its place. */
export function recordJson(entry: Entry, primaryKey: string): Uint8Array {
  if (holdsRecord(entry)) return entry.body;
  const { id, contentType, bodyLength, entityTag } = entry;
  const facts = { contentType, size: bodyLength, etag: entityTag };
  return Buffer.from(JSON.stringify(standIn(primaryKey, id, facts)));
}
