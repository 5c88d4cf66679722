/**
 * Preconditions of a write, decided against the row as the commit sees it [RFC9110 §13.2.2].
 * A tombstone, a negative entry and a pass marker count as no record.
 */
import type { EntityTag } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import type { WriteCondition } from '../table/store-port.ts';
import { matchesStrongly, matchesWeakly } from './entity-tag.ts';

const SECOND = 1000;

/** Whether the write may go on. `current` is the stored record, if there is one. */
export function conditionHolds(condition: WriteCondition, current: Entry | undefined): boolean {
  const { ifMatch, ifNoneMatch, ifUnmodifiedSince } = condition;
  if (ifMatch !== undefined) {
    if (!namesCurrent(ifMatch, current, matchesStrongly)) return false; // [RFC9110 §13.1.1]
  } else if (ifUnmodifiedSince !== undefined && current !== undefined) {
    // Dates on the wire have whole seconds [RFC9110 §13.1.4].
    const modified = Math.floor(current.lastModified / SECOND) * SECOND;
    if (modified > ifUnmodifiedSince) return false;
  }
  if (ifNoneMatch === undefined) return true;
  return !namesCurrent(ifNoneMatch, current, matchesWeakly); // [RFC9110 §13.1.2]
}

function namesCurrent(
  tags: readonly EntityTag[] | '*',
  current: Entry | undefined,
  matches: (left: EntityTag, right: EntityTag) => boolean,
): boolean {
  if (current === undefined) return false;
  return tags === '*' || tags.some((tag) => matches(tag, current.entityTag));
}
