/**
 * Entity tags by representation: a record's tag names its stored bytes; every other form of it (a
 * format, a content coding) ends in its own suffix. So a tag tells the forms apart, a validator of
 * any form can be traced to the stored one, and tags stay equal on every node.
 */
import { type EntityTag, entityTag } from '../../base/brands.ts';

/** `+` is in no digest, so a suffix cannot be part of a tag made here. */
const SUFFIX = /(?:\+[a-z]+){1,2}"$/;

/** [RFC9110 §8.8.3.3] `"abc"` and `+cbor` make `"abc+cbor"`. */
export const representationTag = (tag: EntityTag, suffix: string): EntityTag =>
  suffix === '' ? tag : entityTag(`${tag.slice(0, -1)}${suffix}"`);

/**
 * The tags of a write's precondition, and beside those of another representation the tag of the
 * stored form: who read CBOR may write back with what that answer said.
 */
export function withStoredForms(tags: readonly EntityTag[]): readonly EntityTag[] {
  return tags.flatMap((tag) =>
    SUFFIX.test(tag) ? [tag, entityTag(tag.replace(SUFFIX, '"'))] : [tag],
  );
}
