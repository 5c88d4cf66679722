/**
 * Byte ranges (RFC 9110 §14) as pure functions. More than eight ranges, overlapping ones or units
 * other than bytes make the field void: the whole representation is always a right answer, and many
 * small ranges are a known way to make a server work.
 */
import type { EntityTag, EpochMs } from '../../base/brands.ts';
import { entityTag } from '../../base/brands.ts';
import { parseHttpDate } from '../../base/http-date.ts';
import { stronglyEqual } from './conditional.ts';

const RANGES_MAX = 8;
const specSyntax = /^(\d{0,15})-(\d{0,15})$/;

export interface ByteRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

export type RangeVerdict =
  | { readonly kind: 'whole' }
  | { readonly kind: 'parts'; readonly ranges: readonly ByteRange[] }
  /** 416 with `Content-Range: bytes * / length`. */
  | { readonly kind: 'unsatisfiable' };

const whole: RangeVerdict = { kind: 'whole' };

/** What a `Range` field asks of a representation of `length` bytes. */
export function parseRange(field: string | undefined, length: number): RangeVerdict {
  if (field === undefined || !/^bytes=/i.test(field)) return whole;
  const specs = field.slice('bytes='.length).split(',');
  if (specs.length > RANGES_MAX) return whole;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseSpec(spec.trim(), length);
    if (range === 'invalid') return whole;
    if (range !== undefined) ranges.push(range);
  }
  if (ranges.length === 0) return { kind: 'unsatisfiable' };
  return overlap(ranges) ? whole : { kind: 'parts', ranges };
}

/**
 * `If-Range`: whether the ranges may be used, since the representation is still the same [§13.1.5].
 */
export function rangeStillHolds(
  ifRange: string | undefined,
  tag: EntityTag | undefined,
  lastModified: EpochMs | undefined,
): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) {
    return tag !== undefined && stronglyEqual(entityTag(ifRange), tag);
  }
  const since = parseHttpDate(ifRange);
  return lastModified !== undefined && since === Math.floor(lastModified / 1000) * 1000;
}

/** `bytes 0-499/1234`. */
export function contentRange(range: ByteRange, length: number): string {
  return `bytes ${range.first}-${range.last}/${length}`;
}

function parseSpec(spec: string, length: number): ByteRange | 'invalid' | undefined {
  const match = specSyntax.exec(spec);
  const [, from = '', to = ''] = match ?? [];
  if (match === null || (from === '' && to === '')) return 'invalid';
  if (from === '') {
    const suffix = Math.min(Number(to), length);
    return suffix === 0 ? undefined : { first: length - suffix, last: length - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return 'invalid';
  if (first >= length) return undefined;
  return { first, last: to === '' ? length - 1 : Math.min(Number(to), length - 1) };
}

function overlap(ranges: readonly ByteRange[]): boolean {
  const sorted = [...ranges].sort((left, right) => left.first - right.first);
  return sorted.some((range, i) => {
    const next = sorted[i + 1];
    return next !== undefined && next.first <= range.last;
  });
}
