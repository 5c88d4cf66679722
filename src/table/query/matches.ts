/**
 * A filter compiled once to a closure over a parsed row. Many equalities of one attribute beside
 * one another (`tag=a|tag=b|…`) become one look-up in a set.
 */
import type { RecordId } from '../../base/brands.ts';
import { compareValues } from './compare.ts';
import { comparable } from './parse-value.ts';
import type { Condition, Field, Filter, QueryValue, Row, RowTest, Test } from './query.ts';

type ValueTest = (value: QueryValue) => boolean;

/** The test of a filter; `undefined` holds of every row. */
export function compileFilter(filter: Filter | undefined): RowTest {
  if (filter === undefined) return () => true;
  if (filter.kind === 'condition') return compileCondition(filter);
  if (filter.kind === 'and') {
    const tests = filter.filters.map(compileFilter);
    return (row, id) => tests.every((test) => test(row, id));
  }
  const tests = compileAlternatives(filter.filters);
  return (row, id) => tests.some((test) => test(row, id));
}

function compileAlternatives(filters: readonly Filter[]): RowTest[] {
  const tests: RowTest[] = [];
  const sets = new Map<string, { readonly field: Field; readonly values: Set<QueryValue> }>();
  for (const filter of filters) {
    if (filter.kind !== 'condition' || filter.test.kind !== 'eq') {
      tests.push(compileFilter(filter));
      continue;
    }
    const { field, test } = filter;
    const name = JSON.stringify(field.path);
    const known = sets.get(name) ?? { field, values: new Set() };
    known.values.add(test.value);
    sets.set(name, known);
  }
  const looked = [...sets.values()].map(({ field, values }) =>
    anyValue(field, (value) => values.has(value)),
  );
  return [...looked, ...tests];
}

function compileCondition({ field, test }: Condition): RowTest {
  if (test.kind !== 'ne') return anyValue(field, compileTest(test));
  const isEqual = anyValue(field, (value) => value === test.value);
  return (row, id) => !isEqual(row, id);
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
function anyValue(field: Field, test: ValueTest): RowTest {
  if (field.isKey) return (_row, id) => test(id);
  const { path, type } = field;
  const [name = ''] = path;
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
 * what is missing or has no order.
 */
export function sortValue(
  field: Field,
  isDescending: boolean,
): (row: Row, id: RecordId) => QueryValue {
  if (field.isKey) return (_row, id) => id;
  const { path, type } = field;
  return (row) => {
    let best: QueryValue | undefined;
    const see = (value: unknown): boolean => {
      const known = Array.isArray(value) ? undefined : comparable(type, value);
      if (known === undefined) return false;
      const order = best === undefined ? 0 : compareValues(known, best);
      if (best === undefined || (isDescending ? order > 0 : order < 0)) best = known;
      return false;
    };
    anyBelow(row, path, 0, see);
    return best ?? null;
  };
}
