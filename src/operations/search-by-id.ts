/**
 * `search_by_id`, also called `search_by_hash`: records by their keys, in the order of the keys.
 * Keys without a record are left out. A cache asks its origin, as for any read, and other nodes of
 * its cluster before it, unless `replicateFrom` is false.
 */
import { LIMITS } from '../config/limits.ts';
import { AnswerRows } from './answer-rows.ts';
import { type Arguments, type Operation, usage } from './operation.ts';
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
  takes: [...TABLE_ARGUMENTS, ...ID_ARGUMENTS, 'get_attributes', 'replicateFrom'],
  async run(args, context) {
    const table = recordTable(args, context);
    const ids = idsArgument(table, args);
    const select = selectArgument(args);
    const isOwnOnly = !mayAskOthers(args);
    requireRead(table, select, context);
    const answer = new AnswerRows(select);
    const together = LIMITS.queryRefetchConcurrency;
    for (let at = 0; at < ids.length; at += together) {
      const some = ids.slice(at, at + together);
      const found = await Promise.all(some.map((id) => context.records.read(table, id, isOwnOnly)));
      for (const record of found) {
        const seen = record && seenRecord(table, record, context);
        if (seen !== undefined) answer.add(seen);
      }
    }
    return answer.rows;
  },
};

function mayAskOthers({ replicateFrom = true }: Arguments): boolean {
  if (typeof replicateFrom === 'boolean') return replicateFrom;
  throw usage('replicateFrom: false, so that no other node is asked; true, as without it');
}

export const searchByHash: Operation = { ...searchById, name: 'search_by_hash' };
