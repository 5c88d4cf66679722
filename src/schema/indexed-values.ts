/**
 * Under which values a record stands in its table's indexes. Compiled once a definition; a table
 * without indexes costs one call that returns a shared constant.
 *
 * An index finds candidates: text beyond `INDEX_STRING_CHARS_MAX` is cut and numbers of `BigInt`
 * attributes are rounded, so a query whose value is not `isExact` must look at the record again.
 */
import type { IndexedValues, IndexValue } from '../cache/entry.ts';
import { type Compute, computedValue, computeFault } from './computed.ts';
import type { AttributeDefinition, TableDefinition } from './definition.ts';
import { instantOf } from './scalars.ts';

/** Longest text in an index, UTF-16 units: in UTF-8 at most three times as many bytes. */
export const INDEX_STRING_CHARS_MAX = 255;

const NONE: IndexedValues = Object.freeze(Object.create(null));
const NULL_ONLY: readonly IndexValue[] = Object.freeze([null]);

/** The attributes that have an ordered index. */
export function indexedAttributes(
  definition: Pick<TableDefinition, 'attributes'>,
): readonly AttributeDefinition[] {
  return definition.attributes.filter((each) => each.indexed);
}

/** What computes an attribute; `undefined` when nothing does. */
export type ComputeOf = (attribute: string) => Compute | undefined;

/**
 * Lists stand under each distinct element, missing values under null; so does a record for which a
 * computed attribute has no value.
 */
export function compileIndexedValues(
  definition: Pick<TableDefinition, 'attributes'>,
  computeOf: ComputeOf = () => undefined,
): (record: unknown) => IndexedValues {
  const attributes = indexedAttributes(definition);
  if (attributes.length === 0) return () => NONE;
  return (record) => {
    const values: Record<string, readonly IndexValue[]> = Object.create(null);
    const isObject = typeof record === 'object' && record !== null;
    for (const attribute of attributes) {
      const value = isObject ? valueIn(record as IndexedRecord, attribute, computeOf) : undefined;
      values[attribute.name] = valuesOf(attribute, value);
    }
    return values;
  };
}

type IndexedRecord = Readonly<Record<string, unknown>>;

function valueIn(
  record: IndexedRecord,
  { name, computed }: AttributeDefinition,
  computeOf: ComputeOf,
): unknown {
  if (computed === undefined) return Object.hasOwn(record, name) ? record[name] : undefined;
  // Asked for each time: code may register its function after the table was opened.
  const compute = computeOf(name);
  return compute && computedValue(compute, record);
}

/** What keeps an indexed attribute of a record from being computed; `undefined` when nothing. */
export function compileComputeCheck(
  definition: Pick<TableDefinition, 'attributes'>,
  computeOf: ComputeOf,
): (record: IndexedRecord) => string | undefined {
  const names = indexedAttributes(definition)
    .filter(({ computed }) => computed !== undefined)
    .map(({ name }) => name);
  return (record) => {
    for (const name of names) {
      const compute = computeOf(name);
      const fault = compute && computeFault(compute, record);
      if (fault !== undefined) return `${name} cannot be computed: ${fault}`;
    }
    return undefined;
  };
}

function valuesOf(attribute: AttributeDefinition, value: unknown): readonly IndexValue[] {
  if (value === undefined || value === null) return NULL_ONLY;
  if (!Array.isArray(value)) {
    const single = indexValueOf(attribute, value);
    return single === undefined ? [] : [single];
  }
  const distinct = new Set<IndexValue>();
  for (const element of value) {
    const each = indexValueOf(attribute, element);
    if (each !== undefined) distinct.add(each);
  }
  return [...distinct];
}

/**
 * The form in which one value of an attribute is indexed, for records and for queries alike: dates
 * as milliseconds, `BigInt` as the nearest number, text cut. `undefined` for what has no order
 * (objects, lists, NaN).
 */
export function indexValueOf(
  attribute: Pick<AttributeDefinition, 'type'>,
  value: unknown,
): IndexValue | undefined {
  if (value === undefined || value === null) return null;
  if (attribute.type === 'Date') return instantOf(value);
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'number':
      return Number.isNaN(value) ? undefined : value + 0; // -0 and 0 are one value.
    case 'bigint':
      return Number(value);
    case 'string':
      return attribute.type === 'BigInt' ? bigIntText(value) : cut(value);
    default:
      return value instanceof Date ? instantOf(value) : undefined;
  }
}

/** Whether every record under this index value has exactly the value that was asked for. */
export function isExact(attribute: Pick<AttributeDefinition, 'type'>, value: IndexValue): boolean {
  if (typeof value === 'string') return value.length < INDEX_STRING_CHARS_MAX - 1;
  return attribute.type !== 'BigInt' || typeof value !== 'number' || Number.isSafeInteger(value);
}

function bigIntText(value: string): number | undefined {
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Never splits a surrogate pair: half of one has no UTF-8 form. */
function cut(text: string): string {
  if (text.length <= INDEX_STRING_CHARS_MAX) return text;
  const last = text.charCodeAt(INDEX_STRING_CHARS_MAX - 1);
  const splits = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, splits ? INDEX_STRING_CHARS_MAX - 1 : INDEX_STRING_CHARS_MAX);
}
