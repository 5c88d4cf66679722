/**
 * Parts of pages [RFC9110 §14.4, RFC9111 §3.3]: what a 206 holds, and which bytes of it answer a
 * range. A part answers only what lies wholly within it; parts that touch are joined when a strong
 * validator says that they are of one representation; a part that is the whole is stored as one.
 */
import type { FieldLookup } from './vary.ts';

/** At most eight ranges of bytes; anything else asks for the whole [RFC9110 §14.2]. */
const ASKED = /^bytes=[ \t]*(?:\d{0,15}-\d{0,15}[ \t]*(?:,[ \t]*|$)){1,8}$/i;
const ASKED_CHARACTERS_MAX = 256;

/** The range that a request asks for, when it is one that an origin may be asked for. */
export function rangeOf({ field }: { readonly field: FieldLookup }): string | undefined {
  const range = field('range');
  if (range === undefined || range.length > ASKED_CHARACTERS_MAX) return undefined;
  return ASKED.test(range) ? range : undefined;
}

export interface ContentRange {
  readonly first: number;
  readonly last: number;
  /** `undefined` when the origin did not tell. */
  readonly total: number | undefined;
}

export function parseContentRange(field: string | undefined): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(field?.trim() ?? '');
  if (match === null) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  const total = match[3] === '*' ? undefined : Number(match[3]);
  if (last < first || (total !== undefined && last >= total)) return undefined;
  return { first, last, total };
}

/** Bytes of a representation, from `first` on. */
export interface Part {
  readonly first: number;
  readonly bytes: Uint8Array;
}

/**
 * Two parts of one representation as one [RFC9111 §3.4]; `undefined` when bytes between them are
 * missing. Where both have a byte they have the same, or one of them is not what it says.
 */
export function joinParts(held: Part, added: Part): Part | undefined {
  const [left, right] = held.first <= added.first ? [held, added] : [added, held];
  const end = left.first + left.bytes.length;
  if (right.first > end) return undefined;
  const isWithin = right.first + right.bytes.length <= end;
  const both = left.bytes.subarray(right.first - left.first);
  const shared = Math.min(both.length, right.bytes.length);
  if (Buffer.compare(both.subarray(0, shared), right.bytes.subarray(0, shared)) !== 0) {
    return undefined;
  }
  if (isWithin) return left;
  const before = left.bytes.subarray(0, right.first - left.first);
  return { first: left.first, bytes: Buffer.concat([before, right.bytes]) };
}

export interface Slice {
  readonly from: number;
  readonly to: number;
  readonly range: ContentRange;
}

/**
 * The bytes of a stored part that answer a `Range` of one spec; `undefined` when it holds less.
 * `length` bytes are there, whatever the head said: of more than came, nothing is promised.
 */
export function sliceOfPart(
  field: string | undefined,
  part: ContentRange,
  length: number,
): Slice | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(field?.replaceAll(' ', '') ?? '');
  if (match === null || part.total === undefined) return undefined;
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return undefined;
  const first = from === '' ? Math.max(0, part.total - Number(to)) : Number(from);
  const last = from === '' || to === '' ? part.total - 1 : Math.min(Number(to), part.total - 1);
  const held = part.first + length - 1;
  if (first < part.first || last > held || last < first) return undefined;
  const range = { first, last, total: part.total };
  return { from: first - part.first, to: last - part.first + 1, range };
}

export const formatContentRange = ({ first, last, total }: ContentRange): string =>
  `bytes ${first}-${last}/${total ?? '*'}`;
