/**
 * Operations on records by who is no administrator: the grants of their roles hold for rows and
 * attributes as they do over REST.
 */
import { accessTo, refusalOf } from '../access/authorise.ts';
import { createWriteGuard } from '../access/write-guard.ts';
import type { NodeError } from '../base/errors.ts';
import { refusal } from '../base/refusals.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { WriteGuard } from '../table/guarded-write.ts';
import type { Query } from '../table/query/query.ts';
import { restrictQuery } from '../table/query/restrict.ts';
import { maskedRow } from '../table/query/row-view.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { Table } from '../table/table.ts';
import type { OperationContext } from './operation.ts';

type Asker = Pick<OperationContext, 'principal'>;

/** Judges the writes of who may not write everything. */
export const recordGuard = (table: Table, { principal }: Asker): WriteGuard | undefined =>
  principal.kind === 'admin' ? undefined : createWriteGuard(principal, table.definition);

/** Throws `ACCESS_DENIED` for a table or an attribute of it that may not be read. */
export function requireRead(
  { definition }: Table,
  select: readonly string[] | undefined,
  { principal }: Asker,
): void {
  const access = accessTo(principal, definition, 'read');
  if (access.kind === 'none') throw refused(principal, definition, undefined);
  if (access.kind === 'whole') return;
  const unseen = select?.find((name) => !access.rows.mayName(name));
  if (unseen !== undefined) throw refused(principal, definition, unseen);
}

/** What of a record is seen; `undefined`: nothing. */
export function seenRecord(
  { definition }: Table,
  record: JsonRecord,
  { principal }: Asker,
): JsonRecord | undefined {
  const access = accessTo(principal, definition, 'read');
  if (access.kind === 'whole') return record;
  if (access.kind === 'none') return undefined;
  const id = recordIdFrom(definition, record[definition.primaryKey]);
  if (!access.rows.covers(record, id)) return undefined;
  return maskedRow(record, access.rows.maskOf(record, id)) as JsonRecord;
}

/** Turns a query into the one that the asker may ask; it throws `ACCESS_DENIED`. */
export const seenBy =
  ({ definition }: Table, { principal }: Asker) =>
  (query: Query): Query => {
    const restricted = restrictQuery(definition, query, (table) => {
      const access = accessTo(principal, table, 'read');
      if (access.kind === 'limited') return access.rows;
      return access.kind === 'whole' ? undefined : 'none';
    });
    if (restricted.kind === 'restricted') return restricted.query;
    throw refused(principal, restricted.definition, restricted.attribute);
  };

function refused(
  principal: OperationContext['principal'],
  { typeName }: TableDefinition,
  attribute: string | undefined,
): NodeError {
  const what = attribute === undefined ? typeName : `${attribute} of ${typeName}`;
  return refusal(refusalOf(principal), { verb: 'read', what });
}
