/**
 * Values of PostgreSQL as JSON: what a JSON number would falsify stays text, instants are ISO 8601,
 * bytes are base64.
 */
import { types } from 'pg';

type Parse = (text: string) => unknown;

/** A number where it is exact, else its digits. */
export const integerOf: Parse = (text) => {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
};

/** As `integerOf`, for decimals: fifteen significant digits survive the way into a double. */
export const decimalOf: Parse = (text) => {
  const digits = text.replace(/^-?[0.]*|\D/g, '');
  return digits.length <= 15 && Number.isFinite(Number(text)) ? Number(text) : text;
};

/** The session's time zone is UTC, and a timestamp without a zone is taken to be of it. */
export const instantOf: Parse = (text) => {
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:\+00)?$/.exec(text);
  // "infinity", and the years before Christ, have no ISO 8601 form that a record could keep.
  return match === null ? null : `${match[1]}T${match[2]}Z`;
};

const dateOf: Parse = (text) => (/^\d{4,6}-\d\d-\d\d$/.test(text) ? text : null);

export const bytesOf: Parse = (text) =>
  text.startsWith('\\x') ? Buffer.from(text.slice(2), 'hex').toString('base64') : text;

const asWritten: Parse = (text) => text;

/** Object identifiers of a type and of its array, and how its values are read. */
const TYPES: readonly (readonly [type: number, array: number, parse: Parse])[] = [
  [17, 1001, bytesOf],
  [20, 1016, integerOf],
  [1082, 1182, dateOf],
  [1114, 1115, instantOf],
  [1184, 1185, instantOf],
  [1186, 1187, asWritten],
  [1700, 1231, decimalOf],
];

const TEXT_ARRAY = 1009;
const textArray = types.getTypeParser(TEXT_ARRAY as never, 'text') as Parse;

/** Arrays may be of several dimensions, and hold nulls. */
function eachOf(value: unknown, parse: Parse): unknown {
  if (Array.isArray(value)) return value.map((element) => eachOf(element, parse));
  return typeof value === 'string' ? parse(value) : value;
}

const PARSERS = new Map<number, Parse>(
  TYPES.flatMap(([type, array, parse]) => [
    [type, parse] as const,
    [array, (text: string) => eachOf(textArray(text), parse)] as const,
  ]),
);

/** The reader of a type's values, for the `types` of a client. */
export const valueTypes = {
  getTypeParser: (type: number, format?: 'text' | 'binary'): Parse =>
    PARSERS.get(type) ?? (types.getTypeParser(type, format as 'text') as Parse),
};

export const BYTEA = 17;
