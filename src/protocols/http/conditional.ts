/**
 * Conditional requests (RFC 9110 §13) as pure functions: entity-tag lists, the four preconditions
 * and their order. Ranges are in `range.ts`.
 */
import type { EntityTag, EpochMs } from '../../base/brands.ts';
import { entityTag } from '../../base/brands.ts';
import { parseHttpDate } from '../../base/http-date.ts';

/** One entity tag [RFC9110 §8.8.3]; the characters between the quotes exclude the quote itself. */
const tagAtStart = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/;

/**
 * The tags of an `If-Match` or `If-None-Match` field, or `'*'`. What follows something that is no
 * tag is ignored, so that a malformed field matches less, never more.
 */
export function parseEntityTags(field: string): readonly EntityTag[] | '*' {
  let rest = field.trim();
  if (rest === '*') return '*';
  const tags: EntityTag[] = [];
  for (;;) {
    rest = rest.replace(/^[\s,]+/, '');
    const tag = tagAtStart.exec(rest)?.[0];
    if (tag === undefined) return tags;
    tags.push(entityTag(tag));
    rest = rest.slice(tag.length);
  }
}

/** Weak comparison: the weakness of either does not matter [RFC9110 §8.8.3.2]. */
export function weaklyEqual(left: EntityTag, right: EntityTag): boolean {
  return opaque(left) === opaque(right);
}

/** Strong comparison: equal, and neither is weak [RFC9110 §8.8.3.2]. */
export function stronglyEqual(left: EntityTag, right: EntityTag): boolean {
  return left === right && !left.startsWith('W/');
}

export interface ReadConditions {
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
}

/** Whether a GET or HEAD is answered 304 [RFC9110 §13.2.2, steps 3 and 4]. */
export function notModified(
  conditions: ReadConditions,
  tag: EntityTag | undefined,
  lastModified: EpochMs | undefined,
): boolean {
  const { ifNoneMatch, ifModifiedSince } = conditions;
  // A present If-None-Match makes If-Modified-Since void, even when it does not match.
  if (ifNoneMatch !== undefined) return noneMatchHits(ifNoneMatch, tag);
  if (ifModifiedSince === undefined || lastModified === undefined) return false;
  const since = parseHttpDate(ifModifiedSince);
  return since !== undefined && wholeSeconds(lastModified) <= since;
}

export interface WriteConditions extends ReadConditions {
  readonly ifMatch?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

/**
 * Whether a request other than GET and HEAD may go on [RFC9110 §13.2.2]; `tag` is `undefined` when
 * there is no current representation. False means 412.
 */
export function preconditionsHold(
  conditions: WriteConditions,
  tag: EntityTag | undefined,
  lastModified: EpochMs | undefined,
): boolean {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch } = conditions;
  if (ifMatch !== undefined) {
    if (!matchHits(ifMatch, tag)) return false;
  } else if (ifUnmodifiedSince !== undefined && lastModified !== undefined) {
    const since = parseHttpDate(ifUnmodifiedSince);
    if (since !== undefined && wholeSeconds(lastModified) > since) return false;
  }
  return ifNoneMatch === undefined || !noneMatchHits(ifNoneMatch, tag);
}

function noneMatchHits(field: string, tag: EntityTag | undefined): boolean {
  if (tag === undefined) return false;
  // What a browser sends: one tag, just as it was told.
  if (field === tag) return true;
  const tags = parseEntityTags(field);
  return tags === '*' || tags.some((candidate) => weaklyEqual(candidate, tag));
}

function matchHits(field: string, tag: EntityTag | undefined): boolean {
  if (tag === undefined) return false;
  const tags = parseEntityTags(field);
  return tags === '*' || tags.some((candidate) => stronglyEqual(candidate, tag));
}

function opaque(tag: EntityTag): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}

/** Dates on the wire have whole seconds; a later fraction of the same second is not "modified". */
function wholeSeconds(at: EpochMs): number {
  return Math.floor(at / 1000) * 1000;
}
