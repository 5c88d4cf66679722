/** Which other tables a query looks into: whoever asks must be allowed to read each of them. */
import type { TableDefinition } from '../../schema/definition.ts';
import type { Field, Filter, Query, Selection } from './query.ts';

export function joinedTables({
  filter,
  sort,
  select,
}: Pick<Query, 'filter' | 'sort' | 'select'>): ReadonlySet<TableDefinition> {
  const tables = new Set<TableDefinition>();
  if (filter !== undefined) ofFilter(filter, tables);
  for (const { field } of sort) ofField(field, tables);
  if (select !== undefined) ofSelections(select.selections, tables);
  return tables;
}

function ofFilter(filter: Filter, tables: Set<TableDefinition>): void {
  if (filter.kind === 'condition') ofField(filter.field, tables);
  else for (const each of filter.filters) ofFilter(each, tables);
}

function ofField(field: Field, tables: Set<TableDefinition>): void {
  for (let { joined } = field; joined !== undefined; joined = joined.field.joined) {
    tables.add(joined.relation.target.definition);
  }
}

function ofSelections(selections: readonly Selection[], tables: Set<TableDefinition>): void {
  for (const { relation, nested } of selections) {
    if (relation !== undefined) tables.add(relation.target.definition);
    if (nested !== undefined) ofSelections(nested, tables);
  }
}
