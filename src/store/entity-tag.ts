/**
 * The strong entity tag of a body: a digest of its bytes, so that it is equal on every node and
 * over refills. 96 bits of SHA-1: an accidental collision is out of reach, and a deliberate one
 * would only let its author confuse validators of bodies that are both the author's own.
 */
import { hash } from 'node:crypto';
import { type EntityTag, entityTag } from '../base/brands.ts';
import type { StoredBody } from '../cache/entry.ts';

const TAG_LENGTH = 16;

/**
 * Sixteen characters between quotes. Of a body in a file, whose bytes were never all in memory, it
 * is the file's own digest: two forms of one rule, since equal bytes are kept in equal form.
 */
export function entityTagOf(body: Uint8Array | StoredBody): EntityTag {
  const digest =
    body instanceof Uint8Array
      ? hash('sha1', body, 'base64url')
      : Buffer.from(body.digest, 'hex').toString('base64url');
  return entityTag(`"${digest.slice(0, TAG_LENGTH)}"`);
}

/** Strong comparison: weak tags match nothing [RFC9110 §8.8.3.2]. */
export const matchesStrongly = (left: EntityTag, right: EntityTag): boolean =>
  left === right && !left.startsWith('W/');

/** Weak comparison: the weakness prefix does not count [RFC9110 §8.8.3.2]. */
export const matchesWeakly = (left: EntityTag, right: EntityTag): boolean =>
  opaque(left) === opaque(right);

const opaque = (tag: EntityTag): string => (tag.startsWith('W/') ? tag.slice(2) : tag);
