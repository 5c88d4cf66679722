/**
 * A record that code changes by assignment: what `tables.X.update(id)` yields. Its properties are
 * the record's; what differs when the transaction is committed is written as one patch, additions
 * as increments which no other writer can lose.
 */
import type { RecordId } from '../base/brands.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Context } from './context.ts';

/** What the table does for it. */
export interface RecordWriter {
  patch(id: RecordId, patch: JsonRecord, context: Context | undefined): Promise<void>;
}

export interface UpdatableRecord {
  [attribute: string]: unknown;
  getId(): RecordId;
  /** Adds to a number; the sum is not known before the write. */
  addTo(attribute: string, value: number): void;
  subtractFrom(attribute: string, value: number): void;
  set(attribute: string, value: unknown): void;
  getProperty(attribute: string): unknown;
  /** Writes what has changed so far; without it, the end of the transaction does. */
  save(): Promise<void>;
}

/** Makes such a record of `before` (`undefined`: there is none yet), with `changes` made. */
export function updatable(
  id: RecordId,
  before: JsonRecord | undefined,
  changes: unknown,
  writer: RecordWriter & { readonly context: Context | undefined },
): UpdatableRecord {
  const original: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(before ?? {})) original[name] = JSON.stringify(value);
  const added = new Map<string, number>();
  const record = Object.assign(Object.create(null) as UpdatableRecord, before, asChanges(changes));
  const add = (attribute: string, value: number): void => {
    added.set(attribute, (added.get(attribute) ?? 0) + value);
  };
  const methods: Omit<UpdatableRecord, string> & Record<string, unknown> = {
    getId: () => id,
    addTo: add,
    subtractFrom: (attribute: string, value: number) => add(attribute, -value),
    set: (attribute: string, value: unknown) => void Reflect.set(record, attribute, value),
    getProperty: (attribute: string) => record[attribute],
    async save() {
      const patch = changesOf(record, original, added);
      if (patch === undefined) return;
      for (const name of Object.keys(patch)) original[name] = JSON.stringify(record[name]);
      added.clear();
      await writer.patch(id, patch, writer.context);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(record, name, { value, enumerable: false });
  }
  return record;
}

const asChanges = (changes: unknown): object =>
  typeof changes === 'object' && changes !== null && !Array.isArray(changes) ? changes : {};

/** What a patch must say; `undefined` when nothing has changed. */
function changesOf(
  record: UpdatableRecord,
  original: Readonly<Record<string, string | undefined>>,
  added: ReadonlyMap<string, number>,
): JsonRecord | undefined {
  const patch: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(record)) {
    if (JSON.stringify(value) !== original[name]) patch[name] = value;
  }
  for (const name of Object.keys(original)) if (!(name in record)) patch[name] = null;
  for (const [name, value] of added) patch[name] = { __op__: 'add', value };
  return Object.keys(patch).length === 0 ? undefined : patch;
}
