/**
 * Builds the indexes which the schema asks for and the store does not have yet, a page of rows at
 * a time, between the commits of others. Rows written meanwhile carry the new index themselves.
 * Marks of indexes that are no longer declared are removed: after a pause they would be incomplete.
 */

import type { RecordId } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import { type JsonObject, storedRecord } from '../cache/merge-record.ts';
import { holdsRecord, standIn } from '../cache/record-json.ts';
import type { Batch } from './commit/batch.ts';
import { factsOf, placedBodyOf, type Row, rowAt, writeRow } from './commit/rows.ts';
import type { Committer } from './committer.ts';
import { clearRange, HIGH, type Key } from './engine.ts';
import { idOfKey, isBeneath } from './keys.ts';
import { builtIndexes, isIndexBuilt, markIndexBuilt } from './meta.ts';
import { indexForm, indexTreeName, type TableTrees, type Trees } from './tables.ts';

/** One page: large bodies are parsed too, and the thread serves nothing else meanwhile. */
const PAGE_ROWS = 500;
const PAGE_BYTES = 1024 * 1024;

/** Attributes of a table whose index is still to be built. */
export const missingIndexes = (trees: Trees, table: TableTrees): readonly string[] =>
  [...table.indexes.keys()].filter(
    (name) => !isIndexBuilt(trees.meta, table.name, name, indexForm(table, name)),
  );

export async function buildMissingIndexes(committer: Committer, trees: Trees): Promise<void> {
  const declared = new Set(
    [...trees.tables.values()].flatMap((table) =>
      [...table.indexes.keys()].map((attribute) => indexTreeName(table.name, attribute)),
    ),
  );
  const dropped = builtIndexes(trees.meta).filter(({ name }) => !declared.has(name));
  if (dropped.length > 0) {
    await committer.chore((batch) => {
      for (const { key } of dropped) batch.trees.meta.remove(key);
    });
  }
  for (const table of trees.tables.values()) {
    const missing = missingIndexes(trees, table);
    if (missing.length > 0) await buildIndexes(committer, table, missing);
  }
}

async function buildIndexes(
  committer: Committer,
  table: TableTrees,
  attributes: readonly string[],
): Promise<void> {
  let isClear = false;
  while (!isClear) {
    await committer.chore(() => {
      isClear = attributes.every((attribute) => {
        const tree = table.indexes.get(attribute);
        return tree === undefined || clearRange(tree, null, HIGH, PAGE_ROWS);
      });
    });
  }
  let after: Key | undefined;
  let isDone = false;
  while (!isDone) {
    await committer.chore((batch) => {
      after = indexPage(batch, table, attributes, after);
      isDone = after === undefined;
      if (!isDone) return;
      for (const name of attributes) {
        markIndexBuilt(batch.trees.meta, table.name, name, indexForm(table, name));
      }
    });
  }
}

/** Indexes one page of rows; returns its last key, `undefined` at the end of the table. */
function indexPage(
  batch: Batch,
  table: TableTrees,
  attributes: readonly string[],
  after: Key | undefined,
): Key | undefined {
  const page: [Key, Uint8Array][] = [];
  const range = { start: after ?? false, exclusiveStart: after !== undefined, end: HIGH };
  let read = 0;
  table.entries.range({ ...range, limit: PAGE_ROWS }, (key, value) => {
    page.push([key, value]);
    read += value.length;
    return read < PAGE_BYTES;
  });
  let parsed = 0;
  for (const [key, value] of page) {
    const row = rowAt(batch, table, key, idOfKey(key) ?? '', value);
    indexRow(batch, row, attributes);
    parsed += row.entry?.storedBytes ?? 0;
    if (parsed >= PAGE_BYTES) return key;
  }
  return page.length < PAGE_ROWS && read < PAGE_BYTES ? undefined : page.at(-1)?.[0];
}

/** Bytes stand in the indexes by what is told of them. */
function indexableRecord(entry: Entry, id: RecordId, primaryKey: string): JsonObject | undefined {
  if (holdsRecord(entry)) return storedRecord(entry);
  const { contentType, bodyLength: size } = entry;
  return standIn(primaryKey, id, { contentType, size });
}

function indexRow(batch: Batch, row: Row, attributes: readonly string[]): void {
  const { entry } = row;
  if (entry?.kind !== 'record' || isBeneath(row.key)) return;
  const id = entry.meta.fullKey ?? row.id;
  const record = indexableRecord(entry, id, row.table.definition.primaryKey);
  if (record === undefined) return;
  const indexed = batch.parts.rules.indexedValues(row.table.name, record);
  const isMissing = attributes.some((name) => indexed[name] !== undefined);
  if (!isMissing) return;
  // The index was cleared: what the row says it stands under there is no longer so.
  const known = Object.fromEntries(
    Object.entries(entry.meta.indexed ?? {}).filter(([name]) => !attributes.includes(name)),
  );
  writeRow(
    batch,
    { ...row, id, standsUnder: known },
    {
      ...factsOf(entry),
      meta: { ...entry.meta, indexed },
      body: placedBodyOf(entry),
    },
  );
}
