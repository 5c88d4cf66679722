/** Entries for tests: everything has a plain default, the test says what is special. */
import { createHash } from 'node:crypto';
import {
  durationMs,
  type EntityTag,
  entityTag,
  epochMs,
  nodeId,
  recordVersion,
  sequence,
} from '../../src/base/brands.ts';
import { type Entry, NEVER, type StoredBody } from '../../src/cache/entry.ts';
import { type PlainEntryFields, plainEntry } from '../../src/cache/plain-entry.ts';

/** A strong tag; which digest it is does not matter to the rules. */
export const tagOf = (body: Uint8Array | StoredBody): EntityTag => {
  const bytes = body instanceof Uint8Array ? body : body.digest;
  return entityTag(`"${createHash('sha1').update(bytes).digest('base64url').slice(0, 16)}"`);
};

/** A record stored at the epoch plus `storedAt`, fresh for a minute. */
export function makeEntry(
  special: Partial<PlainEntryFields> & { readonly text?: string } = {},
): Entry {
  const { text = '{"id":"a"}', ...fields } = special;
  const storedAt = fields.storedAt ?? epochMs(1_000_000_000_000);
  const body = fields.body ?? Buffer.from(text);
  return plainEntry({
    id: 'a',
    kind: 'record',
    status: 200,
    version: recordVersion(1),
    author: nodeId(7),
    stamp: sequence(1),
    storedAt,
    initialAge: durationMs(0),
    freshUntil: epochMs(storedAt + 60_000),
    staleWhileRevalidateUntil: NEVER,
    staleIfErrorUntil: NEVER,
    evictAt: epochMs(storedAt + 86_400_000),
    mustValidate: false,
    staleForbidden: false,
    entityTag: tagOf(body),
    lastModified: storedAt,
    meta: {},
    body,
    ...fields,
  });
}
