/**
 * The order of values: null, booleans, numbers, texts; texts by code point, as the indexes keep
 * them (UTF-16 would put emoji before some letters).
 */
import type { RecordId } from '../../base/brands.ts';
import type { QueryValue } from './query.ts';

const RANKS: Readonly<Record<string, number>> = {
  object: 0,
  boolean: 1,
  number: 2,
  bigint: 2,
  string: 3,
};

/** Negative when `left` comes first, 0 when they are equal. */
export function compareValues(left: QueryValue, right: QueryValue): number {
  const ranks = (RANKS[typeof left] ?? 0) - (RANKS[typeof right] ?? 0);
  if (ranks !== 0) return ranks;
  if (typeof left === 'string') return compareTexts(left, right as string);
  // Equal ranks, so both are null, booleans, or numbers of either kind.
  const [one, other] = [left as number, right as number];
  return one < other ? -1 : one > other ? 1 : 0;
}

const SURROGATES_BEGIN = 0xd800;

export function compareTexts(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const one = left.charCodeAt(at);
    const other = right.charCodeAt(at);
    if (one !== other) return codePointWeight(one) - codePointWeight(other);
  }
  return left.length - right.length;
}

/** Halves of surrogate pairs stand for the highest code points. */
function codePointWeight(unit: number): number {
  if (unit < SURROGATES_BEGIN) return unit;
  return unit > 0xdfff ? unit - 0x800 : unit + 0x2000;
}

/** Keys that are numbers come before those that are texts. */
export const compareIds = (left: RecordId, right: RecordId): number => compareValues(left, right);
