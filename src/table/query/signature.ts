/** What makes two queries the same in all that concerns their order: conditions and sort keys. */
import { nameOf } from './parse-value.ts';
import type { Bound, Filter, QueryValue, SortKey } from './query.ts';

/** Canonical text; the order of conditions within a group does not count. */
export function filterKey(filter: Filter | undefined): string {
  if (filter === undefined) return '';
  if (filter.kind !== 'condition') {
    const parts = filter.filters.map(filterKey).sort();
    return `${filter.kind}(${parts.join(',')})`;
  }
  const { field, test } = filter;
  const name = JSON.stringify(field.path);
  switch (test.kind) {
    case 'eq':
    case 'ne':
      return `${test.kind}:${name}:${valueKey(test.value)}`;
    case 'range':
      return `range:${name}:${boundKey(test.from)}:${boundKey(test.to)}`;
    case 'key':
      return `key:${name}:${JSON.stringify(test.name)}`;
    default:
      return `${test.kind}:${name}:${JSON.stringify(test.text)}`;
  }
}

export function signatureOf(filter: Filter | undefined, sort: readonly SortKey[]): string {
  const keys = sort.map((key) => `${key.isDescending ? '-' : '+'}${nameOf(key.field)}`);
  return `${filterKey(filter)};${keys.join(',')}`;
}

const boundKey = (bound: Bound | undefined): string =>
  bound === undefined ? '' : `${bound.isOpen ? '>' : '='}${valueKey(bound.value)}`;

const valueKey = (value: QueryValue): string =>
  typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);
