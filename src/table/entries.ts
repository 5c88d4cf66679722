/**
 * The `EntryStore` of one table: what the read path sees of the store. Turns a fill into a write
 * operation, with the values under which the new row stands in the table's indexes.
 */
import { assert } from '../base/assert.ts';
import { recordVersion, type TableName } from '../base/brands.ts';
import type { IndexedValues } from '../cache/entry.ts';
import type { EntryStore, FillDraft, FillOutcome } from '../cache/ports.ts';
import { isJsonType, standIn } from '../cache/record-json.ts';
import type { JsonRecord } from './record-draft.ts';
import type { StoreReader, StoreWriter, WriteOp } from './store-port.ts';

/** Index values of what a fetch brought; `undefined` for a table without indexes. */
export type IndexDraft = (draft: FillDraft) => IndexedValues | undefined;

const decoder = new TextDecoder();

/** What the indexes take for the record of a draft: bytes stand there by what is told of them. */
export function recordOfDraft({ id, body, meta }: FillDraft, primaryKey: string): JsonRecord {
  const { contentType = 'application/json' } = meta;
  return body instanceof Uint8Array && isJsonType(contentType)
    ? (JSON.parse(decoder.decode(body)) as JsonRecord)
    : standIn(primaryKey, id, { contentType, size: body.length });
}

export function tableEntries(
  table: TableName,
  reader: StoreReader,
  writer: StoreWriter,
  indexDraft: IndexDraft,
): EntryStore {
  return {
    withEntry: (id, variant, fn) => reader.withEntry(table, id, variant, fn),
    async fill(draft, beside = []) {
      // Losing a fill costs a fetch, not data: it asks for no flush of its own.
      const ops = [fillOp(table, draft, indexDraft), ...(beside as readonly WriteOp[])];
      const [outcome] = await writer.commit(ops, 'process');
      assert(outcome !== undefined, 'every operation has an outcome');
      return fillOutcome(outcome.kind === 'stored' ? outcome : undefined, outcome.kind);
    },
    async fillBeside(beside) {
      await writer.commit(beside as readonly WriteOp[], 'process');
    },
  };
}

/** The operation that stores what a fetch brought. */
export function fillOp(table: TableName, draft: FillDraft, indexDraft: IndexDraft): WriteOp {
  const indexed = draft.kind === 'record' ? indexDraft(draft) : undefined;
  return {
    kind: 'put',
    table,
    id: draft.id,
    variant: draft.variant,
    entryKind: draft.kind,
    status: draft.status,
    body: draft.body,
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
