/**
 * `search_by_value`: records by the value of one attribute. `*` at either end of a text stands for
 * any characters there, and alone for any record; a text which holds one elsewhere is refused, for
 * it would be unclear what it means.
 */
import type { TableDefinition } from '../schema/definition.ts';
import { searchRows } from './answer-rows.ts';
import { type Arguments, type Operation, usage } from './operation.ts';
import { either, recordTable, TABLE_ARGUMENTS, WINDOW_ARGUMENTS } from './record-arguments.ts';
import { attributeOf, conditionsArgument } from './search-conditions.ts';

const ATTRIBUTE = ['attribute', 'search_attribute'] as const;
const VALUE = ['value', 'search_value'] as const;

export const searchByValue: Operation = {
  name: 'search_by_value',
  takes: [...TABLE_ARGUMENTS, ...ATTRIBUTE, ...VALUE, ...WINDOW_ARGUMENTS],
  async run(args, context) {
    const table = recordTable(args, context);
    return searchRows(table, queryOf(table.definition, args), args, context);
  },
};

function queryOf(definition: TableDefinition, args: Arguments) {
  const attribute = attributeOf(either(args, ...ATTRIBUTE), 'search_by_value');
  const value = either(args, ...VALUE);
  if (value === undefined) throw usage('value: what the attribute holds; * stands for anything');
  if (value === '*') return {};
  const condition = { attribute, ...comparison(value) };
  return conditionsArgument(definition, { conditions: [condition] });
}

function comparison(value: unknown): { readonly comparator: string; readonly value: unknown } {
  if (typeof value !== 'string' || !value.includes('*')) return { comparator: 'equals', value };
  const isOpenBefore = value.startsWith('*');
  const isOpenBehind = value.endsWith('*');
  const text = value.slice(isOpenBefore ? 1 : 0, isOpenBehind ? -1 : undefined);
  if (text === '' || text.includes('*')) {
    throw usage(
      `value: ${JSON.stringify(value)} has a * inside; it stands at the ends only. ` +
        'search_by_conditions takes it as a character',
    );
  }
  if (isOpenBefore && isOpenBehind) return { comparator: 'contains', value: text };
  return { comparator: isOpenBefore ? 'ends_with' : 'starts_with', value: text };
}
