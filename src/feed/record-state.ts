/**
 * What a record is at this moment, as far as this node knows: its value, that there is none, or
 * that it is not known (never fetched, evicted, or purged since).
 */
import type { RecordId, RecordVersion } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import type { Invalidations } from '../cache/ports.ts';
import type { ReadResult } from '../cache/read-request.ts';
import { recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { pageRow, variantsOfPage, varyingPage } from '../table/pages/page-row.ts';
import type { ChangeSource } from './change-source.ts';
import { textOf } from './event.ts';

/** `value` is JSON text: the record, or what stands in the place of bytes; `undefined` if empty. */
export type RecordState =
  | { readonly kind: 'found'; readonly value: string | undefined; readonly version: RecordVersion }
  | { readonly kind: 'absent'; readonly version: RecordVersion | undefined }
  | { readonly kind: 'unknown' };

const UNKNOWN: RecordState = { kind: 'unknown' };
const ABSENT: RecordState = { kind: 'absent', version: undefined };

/**
 * Reads a record as a client's `GET` would, which may mean going to its origin, and answers at most
 * once, at once or later. Given by the table layer.
 */
export type ReadRecord = (
  table: TableDefinition,
  id: RecordId,
  answer: (state: RecordState) => void,
) => void;

/** The state of an entry; a hard-invalidated one is not known, whatever it holds. */
export function stateOfEntry(
  entry: Entry | undefined,
  invalidations: Invalidations,
  definition: TableDefinition,
): RecordState {
  if (definition.pages !== undefined) return stateOfPage(entry, invalidations);
  const { primaryKey } = definition;
  if (entry === undefined || entry.kind === 'pass') return UNKNOWN;
  if (entry.kind === 'tombstone') return { kind: 'absent', version: entry.version };
  if (invalidations.judge(entry).kind === 'hard') return UNKNOWN;
  if (entry.kind === 'negative') return { kind: 'absent', version: entry.version };
  return { kind: 'found', value: textOf(recordJson(entry, primaryKey)), version: entry.version };
}

/** Of a page subscribers are told what is known of it, not its body. */
function stateOfPage(entry: Entry | undefined, invalidations: Invalidations): RecordState {
  if (entry?.kind === 'vary') {
    const value = JSON.stringify(varyingPage(entry));
    return { kind: 'found', value, version: entry.version };
  }
  if (entry?.kind !== 'record' || invalidations.judge(entry).kind === 'hard') return UNKNOWN;
  return { kind: 'found', value: JSON.stringify(pageRow(entry)), version: entry.version };
}

/** Whether nothing stored of a page was invalidated, softly or hard. */
export function isPageValid(source: ChangeSource, table: TableDefinition, id: RecordId): boolean {
  const invalidations = source.invalidations(table.name);
  const isValid = (entry: Entry | undefined): boolean =>
    entry === undefined || invalidations.judge(entry).kind === 'valid';
  const variants = source.withEntry(table.name, id, '', (entry) =>
    entry?.kind === 'vary' ? variantsOfPage(entry) : isValid(entry),
  );
  if (typeof variants === 'boolean') return variants;
  return variants.every((variant) => source.withEntry(table.name, id, variant, isValid));
}

/** Whether rows of the table may go without a change in the log. */
export const isEvictable = (table: TableDefinition): boolean =>
  [table.sourcedFrom, table.pages, table.expiration, table.eviction].some(
    (rule) => rule !== undefined,
  );

/** What the store holds of a record now. No row in a table which evicts none: there is none. */
export function storedState(
  source: ChangeSource,
  table: TableDefinition,
  id: RecordId,
  evictable: boolean,
): RecordState {
  const invalidations = source.invalidations(table.name);
  return source.withEntry(table.name, id, '', (entry) =>
    entry === undefined && !evictable ? ABSENT : stateOfEntry(entry, invalidations, table),
  );
}

/** The state which a read of the read path found; call it inside the `Answer`. */
export function stateOfRead(result: ReadResult, { primaryKey }: TableDefinition): RecordState {
  if (result.kind === 'found') {
    const { entry } = result;
    const value = textOf(recordJson(entry, primaryKey));
    return { kind: 'found', value, version: entry.version };
  }
  return result.kind === 'absent' ? { kind: 'absent', version: undefined } : UNKNOWN;
}
