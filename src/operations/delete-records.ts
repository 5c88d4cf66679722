/** `delete`: records by their keys, in one transaction; those that are not there are skipped. */
import { takesLists } from '../table/write-all.ts';
import { commitRecords } from './commit-records.ts';
import type { Operation } from './operation.ts';
import { ID_ARGUMENTS, idsArgument, recordTable, TABLE_ARGUMENTS } from './record-arguments.ts';

export const deleteRecords: Operation = {
  name: 'delete',
  takes: [...TABLE_ARGUMENTS, ...ID_ARGUMENTS],
  async run(args, context) {
    const table = recordTable(args, context);
    takesLists(table);
    const ids = idsArgument(table, args);
    const writes = ids.map((id, index) => ({
      id,
      row: index + 1,
      op: { kind: 'delete', table: table.name, id, reason: 'client' } as const,
    }));
    const { done, skipped } = await commitRecords(table, writes);
    return {
      message: `deleted ${done.length} of ${ids.length} records`,
      deleted_hashes: done,
      skipped_hashes: skipped,
    };
  },
};
