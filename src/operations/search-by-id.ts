/**
 * `search_by_id`, also called `search_by_hash`: records by their keys, in the order of the keys.
 * Keys without a record are left out. A cache asks its origin, as for any read.
 */
import { LIMITS } from '../config/limits.ts';
import { AnswerRows } from './answer-rows.ts';
import type { Operation } from './operation.ts';
import { requireRead, seenRecord } from './record-access.ts';
import {
  ID_ARGUMENTS,
  idsArgument,
  recordTable,
  selectArgument,
  TABLE_ARGUMENTS,
} from './record-arguments.ts';

export const searchById: Operation = {
  name: 'search_by_id',
  takes: [...TABLE_ARGUMENTS, ...ID_ARGUMENTS, 'get_attributes'],
  async run(args, context) {
    const table = recordTable(args, context);
    const ids = idsArgument(table, args);
    const select = selectArgument(args);
    requireRead(table, select, context);
    const answer = new AnswerRows(select);
    const together = LIMITS.queryRefetchConcurrency;
    for (let at = 0; at < ids.length; at += together) {
      const some = ids.slice(at, at + together);
      const found = await Promise.all(some.map((id) => context.records.read(table, id)));
      for (const record of found) {
        const seen = record && seenRecord(table, record, context);
        if (seen !== undefined) answer.add(seen);
      }
    }
    return answer.rows;
  },
};

export const searchByHash: Operation = { ...searchById, name: 'search_by_hash' };
