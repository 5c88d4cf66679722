/**
 * The JSON by which a query sees an entry: of a record its bytes, of a page what is known of it.
 */
import type { EpochMs } from '../../base/brands.ts';
import type { Entry } from '../../cache/entry.ts';
import type { Invalidations } from '../../cache/ports.ts';
import { recordJson } from '../../cache/record-json.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { pageRow } from '../pages/page-row.ts';

/** May be a view of the store: not to outlive the visit of the entry. */
export type RowJson = (entry: Entry) => Uint8Array;

export function rowJsonOf(
  { primaryKey, pages }: TableDefinition,
  invalidations: Invalidations,
  now: EpochMs,
): RowJson {
  if (pages === undefined) return (entry) => recordJson(entry, primaryKey);
  return (entry) =>
    Buffer.from(JSON.stringify(pageRow(entry, { verdict: invalidations.judge(entry), now })));
}
