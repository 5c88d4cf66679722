/**
 * Preconditions of a write through an origin, decided on what the read path answers. (Those of a
 * table that is its own origin are decided inside the commit.) [RFC9110 §13.2.2]
 */
import type { EntityTag, EpochMs } from '../base/brands.ts';
import type { WriteCondition } from './store-port.ts';

/** The record as the origin has it. */
export interface CurrentRecord {
  readonly entityTag: EntityTag;
  readonly lastModified: EpochMs;
}

const SECOND = 1000;

export function preconditionHolds(
  condition: WriteCondition,
  current: CurrentRecord | undefined,
): boolean {
  const { ifMatch, ifNoneMatch, ifUnmodifiedSince } = condition;
  if (ifMatch !== undefined) {
    if (!names(ifMatch, current, isStrong)) return false;
  } else if (ifUnmodifiedSince !== undefined && current !== undefined) {
    // Dates on the wire have whole seconds.
    if (Math.floor(current.lastModified / SECOND) * SECOND > ifUnmodifiedSince) return false;
  }
  return ifNoneMatch === undefined || !names(ifNoneMatch, current, () => true);
}

/** `If-Match` compares strongly: weak tags match nothing. [RFC9110 §13.1.1] */
const isStrong = (tag: EntityTag): boolean => !tag.startsWith('W/');
const opaque = (tag: EntityTag): string => (isStrong(tag) ? tag : tag.slice(2));

function names(
  tags: readonly EntityTag[] | '*',
  current: CurrentRecord | undefined,
  counts: (tag: EntityTag) => boolean,
): boolean {
  if (current === undefined) return false;
  if (tags === '*') return true;
  const { entityTag } = current;
  return tags.some((tag) => counts(tag) && counts(entityTag) && opaque(tag) === opaque(entityTag));
}
