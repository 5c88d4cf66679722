/**
 * A table as application code sees it (`import { tables } from 'millrace'`): records as objects,
 * absent as `undefined`, and errors that carry their code. Code of the application is trusted; no
 * grants are checked here.
 */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { NO_REQUEST_DIRECTIVES } from '../cache/directives.ts';
import type { ReadResult } from '../cache/read-request.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { Table } from '../table/table.ts';

export interface ApplicationTable {
  readonly name: string;
  /** The record, fetched from its origin when it is not held; `undefined` when there is none. */
  get(id: RecordId): Promise<JsonRecord | undefined>;
  put(id: RecordId, record: JsonRecord): Promise<void>;
  patch(id: RecordId, patch: JsonRecord): Promise<void>;
  /** False when there was none. */
  delete(id: RecordId): Promise<boolean>;
  /** One record, or the whole table when no id is given: the next read asks the origin again. */
  invalidate(id?: RecordId): Promise<void>;
}

const decoder = new TextDecoder();

export function applicationTable(table: Table): ApplicationTable {
  const { definition } = table;
  const key = (id: RecordId): RecordId => recordIdFrom(definition, id);
  return {
    name: definition.typeName,
    get: (id) => readRecord(table, key(id)),
    async put(id, record) {
      await table.put(key(id), record);
    },
    async patch(id, patch) {
      await table.patch(key(id), patch, 'merge');
    },
    async delete(id) {
      return (await table.delete(key(id))).kind === 'deleted';
    },
    async invalidate(id) {
      await table.invalidate(id === undefined ? 'table' : { keys: [key(id)] });
    },
  };
}

async function readRecord(table: Table, id: RecordId): Promise<JsonRecord | undefined> {
  let found: JsonRecord | undefined;
  await table.read(
    { id, variant: '', directives: NO_REQUEST_DIRECTIVES, mayForce: true },
    (result) => {
      found = recordOf(result);
    },
  );
  return found;
}

function recordOf(result: ReadResult): JsonRecord | undefined {
  switch (result.kind) {
    case 'found':
      return JSON.parse(decoder.decode(result.entry.body)) as JsonRecord;
    case 'absent':
      return undefined;
    case 'failed':
      throw result.error;
    case 'refused':
      throw new NodeError('NOT_CACHED', 'the record is not held here');
  }
}
