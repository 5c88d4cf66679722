/**
 * All records that an origin lists, gathered: an array, or whatever can be walked through. Bounded,
 * so that a list without an end is no more than a failed fetch.
 */
import type { StopSignal } from '../base/stop.ts';
import { LIMITS } from '../config/limits.ts';
import type { JsonRecord, ListContext, ListTerms, OriginDefinition } from './definition.ts';
import { asOriginError, originError } from './failures.ts';

/**
 * Asks for all records of a table, or those of a part. Rejects with a `NodeError` whose blame is
 * `origin`.
 */
export type ListRecords = (request: {
  readonly signal: StopSignal;
  readonly background: boolean;
  readonly where: ListTerms;
}) => Promise<readonly JsonRecord[]>;

export async function listed(
  name: string,
  definition: OriginDefinition,
  context: ListContext,
): Promise<readonly JsonRecord[]> {
  try {
    const found: JsonRecord[] = [];
    const rows = (await definition.list?.(context)) ?? [];
    for await (const row of rows) {
      context.signal.throwIfAborted();
      if (typeof row !== 'object' || row === null) throw noRecord(name, row);
      found.push(row);
      if (found.length > LIMITS.listRowsMax) throw tooLong(name);
    }
    return found;
  } catch (error) {
    throw asOriginError(name, error);
  }
}

const noRecord = (name: string, row: unknown) =>
  originError(
    'ORIGIN_BODY_INVALID',
    `origin ${name} lists ${JSON.stringify(row)}, which is no record`,
    { details: { origin: name } },
  );

const tooLong = (name: string) =>
  originError(
    'ORIGIN_BODY_TOO_LARGE',
    `origin ${name} lists more than ${LIMITS.listRowsMax} records (listRowsMax)`,
    { details: { origin: name, limit: LIMITS.listRowsMax } },
  );
