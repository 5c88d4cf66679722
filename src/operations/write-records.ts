/**
 * `insert`, `update` and `upsert`: lists of records in one transaction each. An insert skips what
 * is there already, an update what is not; an upsert merges into what is there and makes the
 * others. Inserted and upserted records that bring no key get one.
 */

import type { JsonRecord } from '../table/record-draft.ts';
import type { Table } from '../table/table.ts';
import {
  draftRow,
  rowError,
  takesLists,
  type WriteAllOptions,
  type WriteAllVerb,
} from '../table/write-all.ts';
import { commitRecords, type RecordWrite } from './commit-records.ts';
import {
  CONFIRMATION_ARGUMENTS,
  confirmationArgument,
  confirmWrite,
  staysHere,
} from './confirmed-write.ts';
import { type Operation, usage } from './operation.ts';
import { recordGuard } from './record-access.ts';
import { recordsArgument, recordTable, TABLE_ARGUMENTS } from './record-arguments.ts';

interface Writing {
  readonly verb: WriteAllVerb;
  /** The verb for a record that brings no key; without it the key is required. */
  readonly unkeyed?: WriteAllVerb | undefined;
  readonly options: WriteAllOptions;
  readonly done: string;
  /** The member of the answer which lists the keys written. */
  readonly hashes: string;
}

export const insert = writeOperation('insert', {
  verb: 'create',
  unkeyed: 'create',
  options: {},
  done: 'inserted',
  hashes: 'inserted_hashes',
});

export const update = writeOperation('update', {
  verb: 'patch',
  options: { condition: { ifMatch: '*' } },
  done: 'updated',
  hashes: 'update_hashes',
});

export const upsert = writeOperation('upsert', {
  verb: 'patch',
  unkeyed: 'create',
  options: {},
  done: 'upserted',
  hashes: 'upserted_hashes',
});

function writeOperation(name: string, writing: Writing): Operation {
  return {
    name,
    takes: [...TABLE_ARGUMENTS, 'records', ...CONFIRMATION_ARGUMENTS],
    async run(args, context) {
      const table = recordTable(args, context);
      takesLists(table);
      const records = recordsArgument(args);
      const wanted = confirmationArgument(args);
      const { done, skipped } = await commitRecords(
        table,
        await drafted(table, records, writing, {
          guard: recordGuard(table, context),
          isLocal: staysHere(args),
        }),
      );
      await confirmWrite(wanted, context);
      return {
        message: `${writing.done} ${done.length} of ${records.length} records`,
        [writing.hashes]: done,
        skipped_hashes: skipped,
      };
    },
  };
}

async function drafted(
  table: Table,
  records: readonly JsonRecord[],
  { verb, unkeyed, options }: Writing,
  terms: Pick<WriteAllOptions, 'guard' | 'isLocal'>,
): Promise<readonly RecordWrite[]> {
  const context = table.draftContext();
  const { primaryKey } = table.definition;
  const writes: RecordWrite[] = [];
  for (const [index, record] of records.entries()) {
    const row = index + 1;
    const isKeyed = record[primaryKey] !== undefined && record[primaryKey] !== null;
    const chosen = isKeyed ? verb : unkeyed;
    if (chosen === undefined) {
      throw usage(
        `records: row ${row} has no ${primaryKey}, which says what to update; ` +
          'insert and upsert make keys. Nothing was written',
      );
    }
    try {
      writes.push({
        row,
        ...(await draftRow(table, context, chosen, record, { ...options, ...terms })),
      });
    } catch (error) {
      throw rowError(row, error);
    }
  }
  return writes;
}
