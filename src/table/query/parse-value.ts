/**
 * The value of a condition: text of the URL → the kind of its attribute. A declared type converts
 * always; where nothing is declared, `==` and the ordering operators read `null`, numbers and
 * booleans, and `=`, `===` leave text as it is. `number:`, `boolean:`, `string:` and `date:` say
 * the kind outright (an encoded colon keeps them text).
 */
import type { ScalarType } from '../../schema/definition.ts';
import { instantOf } from '../../schema/scalars.ts';
import type { Field, QueryValue } from './query.ts';
import { queryInvalid } from './query-error.ts';
import { decodeText, quoted } from './text-scanner.ts';

const NUMBER = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const INTEGER = /^-?\d{1,310}$/;
const TYPED = /^(number|boolean|string|date):/;

type Kind = 'number' | 'boolean' | 'string' | 'date';

/** Which kinds may be said of an attribute, besides its own text: others could never match. */
const KINDS: Readonly<Record<ScalarType, readonly Kind[]>> = {
  ID: ['string', 'number'],
  String: ['string'],
  Int: ['number'],
  Long: ['number'],
  Float: ['number'],
  BigInt: ['number', 'string'],
  Boolean: ['boolean'],
  Date: ['date', 'number', 'string'],
  Bytes: ['string'],
  Blob: ['string'],
  Any: ['number', 'boolean', 'string', 'date'],
};

/** Throws `QUERY_INVALID` for text that is no value of the field. */
export function parseValue(
  field: Field,
  written: string,
  isConverting: boolean,
  position: number,
): QueryValue {
  const kind = TYPED.exec(written)?.[1] as Kind | undefined;
  if (kind !== undefined) return typedValue(field, kind, written, position);
  const text = decodeText(written, position);
  if (text === 'null') return null;
  if (field.type === 'Any') return isConverting ? converted(text) : text;
  return valueOfType(field, text, position);
}

function typedValue(field: Field, kind: Kind, written: string, position: number): QueryValue {
  const start = kind.length + 1;
  const text = decodeText(written.slice(start), position + start);
  if (!KINDS[field.type].includes(kind)) {
    throw queryInvalid(`${nameOf(field)} is a ${field.type}, never a ${kind}`, position);
  }
  if (field.type !== 'Any' && !(field.type === 'ID' && kind === 'number')) {
    return valueOfType(field, text, position + start);
  }
  return valueOfType({ ...field, type: TYPE_OF_KIND[kind] }, text, position + start);
}

const TYPE_OF_KIND: Readonly<Record<Kind, ScalarType>> = {
  number: 'Float',
  boolean: 'Boolean',
  string: 'String',
  date: 'Date',
};

function converted(text: string): QueryValue {
  if (text === 'true') return true;
  if (text === 'false') return false;
  const number = numberOf(text);
  return number ?? text;
}

function numberOf(text: string): number | undefined {
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number + 0 : undefined;
}

function valueOfType(field: Field, text: string, position: number): QueryValue {
  const value = conversion(field.type, text);
  if (value !== undefined) return value;
  throw queryInvalid(`${nameOf(field)} is ${DESCRIBED[field.type]}, not ${quoted(text)}`, position);
}

function conversion(type: ScalarType, text: string): QueryValue | undefined {
  switch (type) {
    case 'Int':
    case 'Long':
    case 'Float':
      return numberOf(text);
    case 'BigInt':
      return INTEGER.test(text) ? BigInt(text) : undefined;
    case 'Boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'Date':
      return instantOf(/^-?\d{1,16}$/.test(text) ? Number(text) : text);
    default:
      return text;
  }
}

const DESCRIBED: Readonly<Record<ScalarType, string>> = {
  ID: 'a key',
  String: 'text',
  Int: 'a number',
  Long: 'a number',
  Float: 'a number',
  BigInt: 'a whole number',
  Boolean: 'true or false',
  Date: 'a date (ISO 8601, or milliseconds)',
  Bytes: 'bytes',
  Blob: 'bytes',
  Any: 'anything',
};

export const nameOf = (field: Field): string => field.path.join('.');

/** What stands in a record, in the form in which values of the field are compared. */
export function comparable(type: ScalarType, value: unknown): QueryValue | undefined {
  if (value === null || value === undefined) return null;
  if (type === 'Date') return instantOf(value);
  if (type === 'BigInt') return bigIntOf(value);
  switch (typeof value) {
    case 'number':
    case 'string':
    case 'boolean':
    case 'bigint':
      return value;
    default:
      return undefined;
  }
}

function bigIntOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && INTEGER.test(value) ? BigInt(value) : undefined;
}
