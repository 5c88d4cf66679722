/**
 * Reading a secondary index: keys [value, ...entry key] in order. A range stays within the kind of
 * its bounds: numbers above 5 are numbers.
 */

import { must } from '../base/assert.ts';
import type { RecordId } from '../base/brands.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { IndexRange } from '../table/store-port.ts';
import { HIGH, type Key, type RangeOptions, type Tree } from './engine.ts';
import { idOfKey, indexElement, isHashedKey, keyOfElements } from './keys.ts';
import type { TableTrees } from './tables.ts';

export interface IndexPage {
  readonly limit: number;
  readonly offset: number;
}

/** Bounds of texts are cut to this, as long values are in the index: a range may hold too much. */
const SURE_LENGTH = 32;
const LAST_CODE_POINT = '\u{10ffff}';

export function readIndex(table: TableTrees, range: IndexRange, page: IndexPage): RecordId[] {
  const tree = indexOf(table, range.attribute);
  const { limit, offset } = page;
  const ids: RecordId[] = [];
  let lastValue: Key | undefined;
  for (const key of tree.keys({ ...boundsOf(range), limit, offset })) {
    const id = idIn(tree, key);
    const value = (key as readonly Key[])[0] ?? null;
    // Variants of one record stand beside each other under a value.
    if (id !== ids.at(-1) || value !== lastValue) ids.push(id);
    lastValue = value;
  }
  return ids;
}

export const countIndex = (table: TableTrees, range: IndexRange, max: number): number =>
  indexOf(table, range.attribute).count({ ...boundsOf(range), limit: max });

const indexOf = (table: TableTrees, attribute: string): Tree =>
  must(table.indexes.get(attribute), `an index on ${table.name}.${attribute}`);

function idIn(tree: Tree, key: Key): RecordId {
  const inner = keyOfElements((key as readonly Key[]).slice(1));
  if (!isHashedKey(inner)) return idOfKey(inner) ?? '';
  return Buffer.from(tree.get(key) ?? []).toString();
}

function boundsOf({ from, to }: IndexRange): RangeOptions {
  if (from !== undefined && from === to) {
    const element = indexElement(from);
    return { start: [element], end: [element, HIGH] };
  }
  const kind = from ?? to;
  return {
    start: from === undefined ? lowest(kind) : [lowerBound(from)],
    end: to === undefined ? highest(kind) : [upperBound(to), HIGH],
  };
}

const lowerBound = (value: IndexValue): IndexValue =>
  typeof value === 'string' ? value.slice(0, SURE_LENGTH) : indexElement(value);

const upperBound = (value: IndexValue): IndexValue =>
  typeof value === 'string' && value.length > SURE_LENGTH
    ? `${value.slice(0, SURE_LENGTH)}${LAST_CODE_POINT}`
    : indexElement(value);

function lowest(kind: IndexValue | undefined): Key {
  if (typeof kind === 'string') return [''];
  if (typeof kind === 'number') return [true, HIGH];
  return typeof kind === 'boolean' ? [false] : null;
}

function highest(kind: IndexValue | undefined): Key {
  if (typeof kind === 'number') return [''];
  if (typeof kind === 'boolean') return [true, HIGH];
  return kind === null ? [null, HIGH] : HIGH;
}
