/**
 * Which values a scalar type accepts, as they come out of JSON or msgpack. Total over the scalar
 * types; pure predicates without allocation, since each runs on every write.
 */
import type { ScalarType } from './definition.ts';

const INT_MAX = 2_147_483_647;
const INT_MIN = -2_147_483_648;
/** About 1,000 bits [SCH-18]. */
const BIG_INT = /^-?[0-9]{1,302}$/;
/** A calendar date, or a date and time with an optional offset, as ISO 8601 writers make them. */
const ISO_DATE =
  /^[+-]?\d{4,6}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i;
const YEAR_MONTH_DAY = /^([+-]?\d+)-(\d\d)-(\d\d)/;

const isString = (value: unknown): boolean => typeof value === 'string';
const isBytes = (value: unknown): boolean =>
  typeof value === 'string' || value instanceof Uint8Array;

/** As a `Blob` whose bytes are held apart stands in its record. */
const isReference = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'etag' in value && isString(value.etag);

export const SCALAR_CHECKS: Readonly<Record<ScalarType, (value: unknown) => boolean>> = {
  ID: (value) => typeof value === 'string' || Number.isSafeInteger(value),
  String: isString,
  Int: (value) =>
    typeof value === 'number' && Number.isInteger(value) && value <= INT_MAX && value >= INT_MIN,
  Long: (value) => Number.isSafeInteger(value),
  Float: (value) => Number.isFinite(value),
  BigInt: (value) =>
    typeof value === 'bigint' ||
    Number.isInteger(value) ||
    (typeof value === 'string' && BIG_INT.test(value)),
  Boolean: (value) => typeof value === 'boolean',
  Date: (value) => instantOf(value) !== undefined,
  Bytes: isBytes,
  Blob: (value) => isBytes(value) || isReference(value),
  Any: () => true,
};

/**
 * The instant that a value of a `Date` attribute stands for, in milliseconds since 1970: a number
 * is that already, a string is ISO 8601. `undefined` when it is neither.
 */
export function instantOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.abs(value) <= 8.64e15 ? value : undefined;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.getTime();
  if (typeof value !== 'string' || value.length > 40 || !ISO_DATE.test(value)) return undefined;
  const at = Date.parse(value.replace(' ', 'T').replace(',', '.'));
  return Number.isNaN(at) || !isDayOfMonth(value) ? undefined : at;
}

/** `Date.parse` takes the 30th of February for the 2nd of March. */
function isDayOfMonth(date: string): boolean {
  const [, year = '', month, day] = YEAR_MONTH_DAY.exec(date) ?? [];
  if (Number(day) <= 28) return true;
  const last = new Date(0);
  last.setUTCFullYear(Number(year), Number(month), 0);
  return Number(day) <= last.getUTCDate();
}
