/** `select()` applied to a row: the bytes of what is left of it. */
import type { RecordId } from '../../base/brands.ts';
import type { Entry } from '../../cache/entry.ts';
import type { Row, Select, Selection } from './query.ts';

/** What a projection may name besides attributes. */
export interface RowFacts {
  readonly id: RecordId;
  readonly lastModified: number;
  readonly entityTag: string;
}

const encoder = new TextEncoder();

export const factsOf = ({ id, lastModified, entityTag }: Entry): RowFacts => ({
  id,
  lastModified,
  entityTag,
});

/** What a write needs of a row, asked for by the node itself: clients cannot name the tag. */
export const KEY_AND_TAG: Select = {
  shape: 'array',
  selections: [{ name: '$id' }, { name: '$entitytag' }],
};

/** JSON bytes of the projected row. Missing attributes are left out of objects, null elsewhere. */
export function projectRow(select: Select, row: Row, facts: RowFacts): Uint8Array {
  return encoder.encode(JSON.stringify(projected(select, row, facts)));
}

function projected({ shape, selections }: Select, row: Row, facts: RowFacts): unknown {
  const value = (selection: Selection) => topValue(selection, row, facts);
  if (shape === 'value') return selections.map(value)[0] ?? null;
  if (shape === 'array') return selections.map((selection) => value(selection) ?? null);
  return objectOf(selections, value);
}

function topValue(selection: Selection, row: Row, facts: RowFacts): unknown {
  if (selection.name === '$id') return facts.id;
  if (selection.name === '$updatedtime') return facts.lastModified;
  if (selection.name === '$entitytag') return facts.entityTag;
  return valueIn(selection, row);
}

function valueIn({ name, nested }: Selection, row: Row): unknown {
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  return nested === undefined ? value : cutDown(nested, value);
}

/** Objects in lists are cut down one by one; what is no object stays as it is. */
function cutDown(selections: readonly Selection[], value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => cutDown(selections, each));
  if (typeof value !== 'object' || value === null) return value;
  return objectOf(selections, (selection) => valueIn(selection, value as Row));
}

function objectOf(
  selections: readonly Selection[],
  value: (selection: Selection) => unknown,
): Record<string, unknown> {
  const entries = selections.map((selection) => [selection.name, value(selection)] as const);
  return Object.fromEntries(entries.filter(([, found]) => found !== undefined));
}
