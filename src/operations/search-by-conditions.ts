/** `search_by_conditions`: records by conditions, joined by `operator` and perhaps in groups. */
import { searchRows } from './answer-rows.ts';
import type { Operation } from './operation.ts';
import { recordTable, TABLE_ARGUMENTS, WINDOW_ARGUMENTS } from './record-arguments.ts';
import { conditionsArgument } from './search-conditions.ts';

export const searchByConditions: Operation = {
  name: 'search_by_conditions',
  takes: [...TABLE_ARGUMENTS, 'operator', 'conditions', ...WINDOW_ARGUMENTS],
  async run(args, context) {
    const table = recordTable(args, context);
    return searchRows(table, conditionsArgument(table.definition, args), args, context);
  },
};
