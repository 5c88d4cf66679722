/**
 * The rows of a search, gathered whole as the answer of an operation is: bounded in number and
 * bytes. A search that finds more than fits is refused; it is never cut short unsaid.
 */
import { LIMITS } from '../config/limits.ts';
import type { QueryObject } from '../resource/query-object.ts';
import { queryTooExpensive } from '../table/query/query-error.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Table } from '../table/table.ts';
import type { Arguments, OperationContext } from './operation.ts';
import { requireRead, seenBy } from './record-access.ts';
import { selectArgument, wholeNumber } from './record-arguments.ts';
import { sortArgument } from './search-conditions.ts';

export class AnswerRows {
  readonly rows: unknown[] = [];
  readonly #select: readonly string[] | undefined;
  #bytes = 0;

  constructor(select: readonly string[] | undefined) {
    this.#select = select;
  }

  /** Throws `QUERY_TOO_EXPENSIVE` at the first row beyond the bounds. */
  add(record: JsonRecord): void {
    const row = this.#select === undefined ? record : picked(record, this.#select);
    this.#bytes += Buffer.byteLength(JSON.stringify(row));
    const { operationRecordsMax, operationAnswerBytesMax } = LIMITS;
    if (this.rows.length >= operationRecordsMax) {
      throw queryTooExpensive(
        'operationRecordsMax',
        `more than ${operationRecordsMax} records match; ask for parts by limit and offset`,
      );
    }
    if (this.#bytes > operationAnswerBytesMax) {
      throw queryTooExpensive(
        'operationAnswerBytesMax',
        `the records found are longer than ${operationAnswerBytesMax} bytes; ` +
          'name fewer get_attributes, or ask for fewer records',
      );
    }
    this.rows.push(row);
  }
}

const picked = (record: JsonRecord, names: readonly string[]): JsonRecord =>
  Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)));

/** Answers a query within the window and with the attributes that the arguments ask for. */
export async function searchRows(
  table: Table,
  query: Pick<QueryObject, 'conditions' | 'operator'>,
  args: Arguments,
  context: OperationContext,
): Promise<object> {
  const select = selectArgument(args);
  requireRead(table, select, context);
  const answer = new AnswerRows(select);
  const window = {
    limit: wholeNumber(args, 'limit', 1, LIMITS.operationRecordsMax),
    offset: wholeNumber(args, 'offset', 0, LIMITS.queryRowsScannedMax),
    sort: sortArgument(args.sort),
  };
  for await (const row of context.records.search(
    table,
    { ...query, ...window },
    seenBy(table, context),
  )) {
    // Rows of a query that selects nothing are whole records.
    answer.add(row as JsonRecord);
  }
  return answer.rows;
}
