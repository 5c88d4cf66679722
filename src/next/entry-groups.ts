/**
 * The groups of an entry as they fit the header of the request that stores it. Records and tags
 * that are too many become their whole table as it was when the entry was begun; what does not fit
 * even so cannot be kept, since nothing could end it.
 */
import type { GroupBounds, GroupSet } from '../render/group-set.ts';

/** A request's head is smaller than that of an answer: 4 KiB on some engines. */
const BOUNDS: GroupBounds = { namesMax: 250, charsMax: 2_500 };

export function entryGroups(groups: GroupSet, began: number): readonly string[] | undefined {
  const { names, widened, lost } = groups.told(BOUNDS);
  if (lost > 0) return undefined;
  return names.map((name) => (widened.includes(name) ? `${name};v=${began}` : name));
}
