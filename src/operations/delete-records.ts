/** `delete`: records by their keys, in one transaction; those that are not there are skipped. */
import type { RecordId } from '../base/brands.ts';
import { judgedDelete } from '../table/guarded-write.ts';
import { takesLists } from '../table/write-all.ts';
import { commitRecords, type RecordWrite } from './commit-records.ts';
import {
  CONFIRMATION_ARGUMENTS,
  confirmationArgument,
  confirmWrite,
  staysHere,
} from './confirmed-write.ts';
import type { Operation } from './operation.ts';
import { recordGuard } from './record-access.ts';
import { ID_ARGUMENTS, idsArgument, recordTable, TABLE_ARGUMENTS } from './record-arguments.ts';

export const deleteRecords: Operation = {
  name: 'delete',
  takes: [...TABLE_ARGUMENTS, ...ID_ARGUMENTS, ...CONFIRMATION_ARGUMENTS],
  async run(args, context) {
    const table = recordTable(args, context);
    takesLists(table);
    const ids = idsArgument(table, args);
    const wanted = confirmationArgument(args);
    const guard = recordGuard(table, context);
    const isLocal = staysHere(args);
    const writes: RecordWrite[] = [];
    const unseen: RecordId[] = [];
    for (const [index, id] of ids.entries()) {
      const condition = guard === undefined ? undefined : await judgedDelete(table, guard, id);
      if (condition === 'absent') unseen.push(id);
      else {
        const op = {
          kind: 'delete',
          table: table.name,
          id,
          reason: 'client',
          condition,
          isLocal,
        } as const;
        writes.push({ id, row: index + 1, op });
      }
    }
    const { done, skipped: failed } = await commitRecords(table, writes);
    await confirmWrite(wanted, context);
    const skipped = [...unseen, ...failed];
    return {
      message: `deleted ${done.length} of ${ids.length} records`,
      deleted_hashes: done,
      skipped_hashes: skipped,
    };
  },
};
