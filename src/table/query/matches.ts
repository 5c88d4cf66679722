/**
 * A filter compiled once to a closure over a parsed row. Many equalities of one attribute beside
 * one another (`tag=a|tag=b|…`) become one look-up in a set. A condition on a related record holds
 * when one of those records satisfies it (an inner join): without any, neither `=` nor `!=` holds.
 */
import type { RecordId } from '../../base/brands.ts';
import { computedValue } from '../../schema/computed.ts';
import { compareValues } from './compare.ts';
import { comparable } from './parse-value.ts';
import type { Condition, Field, Filter, QueryValue, Row, RowTest, Test } from './query.ts';
import type { Relation } from './scope.ts';

type ValueTest = (value: QueryValue) => boolean;

/** Finds the records that a relationship leads to. */
export interface RelatedRows {
  /** Shows them in order until `visit` says false. */
  each(relation: Relation, row: Row, id: RecordId, visit: RowTest): void;
}

/** For filters of a scope in which relationships are not followed. */
export const NOTHING_RELATED: RelatedRows = { each: () => undefined };

/** The test of a filter; `undefined` holds of every row. */
export function compileFilter(filter: Filter | undefined, related: RelatedRows): RowTest {
  if (filter === undefined) return () => true;
  if (filter.kind === 'condition') return compileCondition(filter, related);
  if (filter.kind === 'and') {
    const tests = filter.filters.map((each) => compileFilter(each, related));
    return (row, id) => tests.every((test) => test(row, id));
  }
  const tests = compileAlternatives(filter.filters, related);
  return (row, id) => tests.some((test) => test(row, id));
}

function compileAlternatives(filters: readonly Filter[], related: RelatedRows): RowTest[] {
  const tests: RowTest[] = [];
  const sets = new Map<string, { readonly field: Field; readonly values: Set<QueryValue> }>();
  for (const filter of filters) {
    if (filter.kind !== 'condition' || filter.test.kind !== 'eq') {
      tests.push(compileFilter(filter, related));
      continue;
    }
    const { field, test } = filter;
    const name = JSON.stringify(field.path);
    const known = sets.get(name) ?? { field, values: new Set() };
    known.values.add(test.value);
    sets.set(name, known);
  }
  const looked = [...sets.values()].map(({ field, values }) =>
    anyValue(field, (value) => values.has(value), related),
  );
  return [...looked, ...tests];
}

function compileCondition({ field, test }: Condition, related: RelatedRows): RowTest {
  const { joined } = field;
  if (joined !== undefined) {
    const inner = compileCondition({ kind: 'condition', field: joined.field, test }, related);
    return anyRelated(joined.relation, inner, related);
  }
  if (test.kind !== 'ne') return anyValue(field, compileTest(test), related);
  const isEqual = anyValue(field, (value) => value === test.value, related);
  return (row, id) => !isEqual(row, id);
}

function anyRelated(relation: Relation, test: RowTest, related: RelatedRows): RowTest {
  return (row, id) => {
    let isFound = false;
    related.each(relation, row, id, (other, otherId) => {
      isFound = test(other, otherId);
      return !isFound;
    });
    return isFound;
  };
}

function compileTest(test: Exclude<Test, { kind: 'ne' }>): ValueTest {
  switch (test.kind) {
    case 'eq':
      return (value) => value === test.value;
    case 'range':
      return compileRange(test);
    case 'prefix':
      return (value) => typeof value === 'string' && value.startsWith(test.text);
    case 'suffix':
      return (value) => typeof value === 'string' && value.endsWith(test.text);
    case 'contains':
      return (value) => typeof value === 'string' && value.includes(test.text);
    case 'key':
      return (value) => test.holds(value as RecordId);
    default:
      return () => false;
  }
}

function compileRange({ from, to }: Extract<Test, { kind: 'range' }>): ValueTest {
  const kind = typeof (from ?? to)?.value;
  return (value) => {
    if (typeof value !== kind) return false;
    if (from !== undefined) {
      const order = compareValues(value, from.value);
      if (order < 0 || (order === 0 && from.isOpen)) return false;
    }
    if (to === undefined) return true;
    const order = compareValues(value, to.value);
    return order < 0 || (order === 0 && !to.isOpen);
  };
}

/** Whether one of the values that a field has in a row satisfies `test`. */
function anyValue(field: Field, test: ValueTest, related: RelatedRows): RowTest {
  if (field.isKey) return (_row, id) => test(id);
  const { path, type, compute, joined } = field;
  if (joined !== undefined) {
    return anyRelated(joined.relation, anyValue(joined.field, test, related), related);
  }
  const [name = ''] = path;
  if (compute !== undefined) return (row) => holds(computedValue(compute, row));
  if (path.length > 1) return (row) => anyBelow(row, path, 0, (value) => holds(value));
  const read = propertyReader(name);
  return (row) => holds(read(row));

  function holds(value: unknown): boolean {
    if (Array.isArray(value)) return value.some(holdsOne);
    return holdsOne(value);
  }
  function holdsOne(value: unknown): boolean {
    const known = comparable(type, value);
    return known !== undefined && test(known);
  }
}

/** Lists on the way are looked into; where the way ends early there is one missing value. */
function anyBelow(
  value: unknown,
  path: readonly string[],
  at: number,
  holds: (value: unknown) => boolean,
): boolean {
  if (Array.isArray(value)) return value.some((each) => anyBelow(each, path, at, holds));
  if (at === path.length) return holds(value);
  const name = path[at];
  if (name === undefined || typeof value !== 'object' || value === null) return holds(undefined);
  const inner = Object.hasOwn(value, name) ? (value as Row)[name] : undefined;
  return anyBelow(inner, path, at + 1, holds);
}

/** Names such as `constructor` are found on every object's prototype. */
function propertyReader(name: string): (row: Row) => unknown {
  if (name in Object.prototype) {
    return (row) => (Object.hasOwn(row, name) ? row[name] : undefined);
  }
  return (row) => row[name];
}

/**
 * What a row is sorted by: the least value of a list, or the greatest when descending; null for
 * what is missing or has no order; that of the related record where the field is one of it.
 */
export function sortValue(
  field: Field,
  isDescending: boolean,
  related: RelatedRows,
): (row: Row, id: RecordId) => QueryValue {
  if (field.isKey) return (_row, id) => id;
  const { path, type, compute, joined } = field;
  if (joined !== undefined) {
    return relatedValue(joined.relation, sortValue(joined.field, isDescending, related), related);
  }
  return (row) => {
    let best: QueryValue | undefined;
    const see = (value: unknown): boolean => {
      const known = Array.isArray(value) ? undefined : comparable(type, value);
      if (known === undefined) return false;
      const order = best === undefined ? 0 : compareValues(known, best);
      if (best === undefined || (isDescending ? order > 0 : order < 0)) best = known;
      return false;
    };
    if (compute === undefined) anyBelow(row, path, 0, see);
    else anyBelow(computedValue(compute, row), [], 0, see);
    return best ?? null;
  };
}

/** The value of the one related record; null without any. */
function relatedValue(
  relation: Relation,
  value: (row: Row, id: RecordId) => QueryValue,
  related: RelatedRows,
): (row: Row, id: RecordId) => QueryValue {
  return (row, id) => {
    let found: QueryValue = null;
    related.each(relation, row, id, (other, otherId) => {
      found = value(other, otherId);
      return false;
    });
    return found;
  };
}

/** The values by which a row is related to others, each once and in its own order; never null. */
export function linkValues(field: Field, row: Row, id: RecordId): readonly QueryValue[] {
  if (field.isKey) return [id];
  const values = new Set<QueryValue>();
  const [name = ''] = field.path;
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  for (const each of Array.isArray(value) ? value : [value]) {
    const known = comparable(field.type, each);
    if (known !== undefined && known !== null) values.add(known);
  }
  return [...values];
}
