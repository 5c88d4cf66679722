/**
 * The `EntryStore` of one table: what the read path sees of the store. Turns a fill into a write
 * operation, with the values under which the new row stands in the table's indexes.
 */
import { assert } from '../base/assert.ts';
import { recordVersion, type TableName } from '../base/brands.ts';
import type { IndexedValues } from '../cache/entry.ts';
import type { EntryStore, FillDraft, FillOutcome } from '../cache/ports.ts';
import type { StoreReader, StoreWriter, WriteOp } from './store-port.ts';

/** Index values of a record given as its JSON bytes; `undefined` for a table without indexes. */
export type IndexBytes = (body: Uint8Array) => IndexedValues | undefined;

export function tableEntries(
  table: TableName,
  reader: StoreReader,
  writer: StoreWriter,
  indexBytes: IndexBytes,
): EntryStore {
  return {
    withEntry: (id, variant, fn) => reader.withEntry(table, id, variant, fn),
    async fill(draft) {
      // Losing a fill costs a fetch, not data: it asks for no flush of its own.
      const [outcome] = await writer.commit([fillOp(table, draft, indexBytes)], 'process');
      assert(outcome !== undefined, 'every operation has an outcome');
      return fillOutcome(outcome.kind === 'stored' ? outcome : undefined, outcome.kind);
    },
  };
}

function fillOp(table: TableName, draft: FillDraft, indexBytes: IndexBytes): WriteOp {
  const { body } = draft;
  const isRecord = draft.kind === 'record' && body instanceof Uint8Array;
  const indexed = isRecord ? indexBytes(body) : undefined;
  return {
    kind: 'put',
    table,
    id: draft.id,
    variant: draft.variant,
    entryKind: draft.kind,
    status: draft.status,
    body,
    meta: indexed === undefined ? draft.meta : { ...draft.meta, indexed },
    entityTag: draft.entityTag,
    times: draft,
    storedAt: draft.storedAt,
    initialAge: draft.initialAge,
    mustValidate: draft.mustValidate,
    staleForbidden: draft.staleForbidden,
    reason: 'fill',
    stamp: draft.stamp,
    replaces: draft.replaces ?? recordVersion(0),
  };
}

function fillOutcome(
  stored: Extract<FillOutcome, { kind: 'stored' }> | undefined,
  kind: string,
): FillOutcome {
  if (stored !== undefined) {
    return { kind: 'stored', sequence: stored.sequence, version: stored.version };
  }
  return kind === 'superseded' ? { kind: 'superseded' } : { kind: 'shed' };
}
