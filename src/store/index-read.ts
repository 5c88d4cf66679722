/**
 * Reading a secondary index: keys [value, ...entry key] in order. A range stays within the kind of
 * its bounds: numbers above 5 are numbers.
 */

import { must } from '../base/assert.ts';
import type { RecordId } from '../base/brands.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { IndexHit, IndexPageOptions, IndexRange, IndexSpan } from '../table/store-port.ts';
import { HIGH, type Key, type RangeOptions, type Tree } from './engine.ts';
import { elementsOf, entryKey, idOfKey, indexElement, isHashedKey, keyOfElements } from './keys.ts';
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

/** One page of hits, going on by key: what was passed is never counted again. */
export function readIndexPage(
  table: TableTrees,
  span: IndexSpan,
  page: IndexPageOptions,
): IndexHit[] {
  const { limit, isDescending = false } = page;
  const tree = indexOf(table, span.attribute);
  const bounds = { ...boundsOf(span), ...beginning(page, isDescending) };
  const hits: IndexHit[] = [];
  for (const key of tree.keys({ ...bounds, limit, isReverse: isDescending })) {
    const value = ((key as readonly Key[])[0] ?? null) as IndexValue;
    hits.push({ value, id: idIn(tree, key) });
  }
  return hits;
}

function beginning(
  { after, from }: IndexPageOptions,
  isDescending: boolean,
): Partial<RangeOptions> {
  if (after !== undefined) {
    const key: Key = [after.value, ...elementsOf(entryKey(after.id, ''))];
    return isDescending ? { end: key } : { start: [...key, HIGH] };
  }
  if (from === undefined) return {};
  return isDescending ? { end: upperBound(from, false) } : { start: lowerBound(from, false) };
}

export const countIndex = (table: TableTrees, range: IndexSpan, max: number): number =>
  indexOf(table, range.attribute).count({ ...boundsOf(range), limit: max });

const indexOf = (table: TableTrees, attribute: string): Tree =>
  must(table.indexes.get(attribute), `an index on ${table.name}.${attribute}`);

function idIn(tree: Tree, key: Key): RecordId {
  const inner = keyOfElements((key as readonly Key[]).slice(1));
  if (!isHashedKey(inner)) return idOfKey(inner) ?? '';
  return Buffer.from(tree.get(key) ?? []).toString();
}

function boundsOf({ from, to, fromOpen, toOpen, prefix }: IndexSpan): RangeOptions {
  if (prefix !== undefined) {
    const sure = sureText(prefix);
    return { start: [sure], end: [`${sure}${LAST_CODE_POINT}`, HIGH] };
  }
  if (from !== undefined && from === to) {
    const element = indexElement(from);
    return { start: [element], end: [element, HIGH] };
  }
  const kind = from ?? to;
  return {
    start: from === undefined ? lowest(kind) : lowerBound(from, fromOpen === true),
    end: to === undefined ? highest(kind) : upperBound(to, toOpen === true),
  };
}

/** A text may stand in the index shortened: its bounds are never open. */
function lowerBound(value: IndexValue, isOpen: boolean): Key {
  if (typeof value === 'string') return [sureText(value)];
  return isOpen ? [indexElement(value), HIGH] : [indexElement(value)];
}

function upperBound(value: IndexValue, isOpen: boolean): Key {
  if (typeof value !== 'string') return isOpen ? [indexElement(value)] : [value, HIGH];
  const sure = sureText(value);
  return [sure.length < value.length ? `${sure}${LAST_CODE_POINT}` : indexElement(value), HIGH];
}

/** The beginning that every form of a text has, without half a surrogate pair. */
function sureText(text: string): string {
  if (text.length <= SURE_LENGTH) return text;
  const last = text.charCodeAt(SURE_LENGTH - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? SURE_LENGTH - 1 : SURE_LENGTH);
}

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
