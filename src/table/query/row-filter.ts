/**
 * The conditions of a query as a subscription uses them: a test of single rows, a key by which
 * subscribers with the same conditions share one evaluation, and a condition an index can answer.
 */
import type { RecordId } from '../../base/brands.ts';
import type { IndexValue } from '../../cache/entry.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { indexValueOf } from '../../schema/indexed-values.ts';
import { conjuncts } from './access.ts';
import { compileFilter, NOTHING_RELATED } from './matches.ts';
import { parseFilter } from './parse-query.ts';
import type { Filter, Row } from './query.ts';
import { recordScope } from './scope.ts';
import { filterKey } from './signature.ts';

export interface RowFilter {
  /** The same for the same conditions in any order. */
  readonly key: string;
  matches(row: unknown): boolean;
  /** A condition which all rows satisfy and an index can answer. */
  readonly indexed?: { readonly attribute: string; readonly value: IndexValue } | undefined;
}

/** `undefined` when there are no conditions; throws `QUERY_INVALID` with a position. */
export function parseRowFilter(text: string, definition: TableDefinition): RowFilter | undefined {
  const filter = parseFilter(text, recordScope(definition));
  if (filter === undefined) return undefined;
  // The scope lets no relationship in: there is nothing to follow.
  const test = compileFilter(filter, NOTHING_RELATED);
  return {
    key: filterKey(filter),
    matches: (row) => isRow(row) && test(row, row[definition.primaryKey] as RecordId),
    indexed: indexedOf(filter),
  };
}

const isRow = (row: unknown): row is Row => typeof row === 'object' && row !== null;

function indexedOf(filter: Filter): RowFilter['indexed'] {
  for (const each of conjuncts(filter)) {
    if (each.kind !== 'condition' || each.test.kind !== 'eq') continue;
    const attribute = each.field.indexed;
    if (attribute === undefined) continue;
    const value = indexValueOf(attribute, each.test.value);
    if (value !== undefined) return { attribute: attribute.name, value };
  }
  return undefined;
}
