/**
 * `select()` applied to a row: the bytes of what is left of it. Relationships and computed
 * attributes are in an answer only where they are selected. A relationship to one record that is
 * not there is left out, as a missing attribute is; one to several is a list, perhaps empty.
 */
import type { RecordId } from '../../base/brands.ts';
import type { Entry } from '../../cache/entry.ts';
import { computedValue } from '../../schema/computed.ts';
import type { Row, Select, Selection } from './query.ts';
import { type AttributeMask, maskedRow } from './row-view.ts';
import type { Relation } from './scope.ts';

/** What a projection may name besides attributes. */
export interface RowFacts {
  readonly id: RecordId;
  readonly lastModified: number;
  readonly entityTag: string;
}

/** Finds related records for an answer. */
export interface RelatedParts {
  gather(
    relation: Relation,
    row: Row,
    id: RecordId,
    see: (row: Row, facts: RowFacts, mask: AttributeMask | undefined) => boolean,
  ): void;
}

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

/**
 * JSON bytes of the projected row. Missing attributes are left out of objects, null elsewhere; so
 * are those outside of the mask.
 */
export function projectRow(
  select: Select,
  row: Row,
  facts: RowFacts,
  related: RelatedParts,
  mask?: AttributeMask | undefined,
): Uint8Array {
  return Buffer.from(JSON.stringify(projected(select, { row, facts, mask }, related)));
}

/** A row as somebody sees it; what is computed is computed from the whole. */
interface SeenRow {
  readonly row: Row;
  readonly facts: RowFacts;
  readonly mask: AttributeMask | undefined;
}

function projected({ shape, selections }: Select, seen: SeenRow, related: RelatedParts): unknown {
  const value = (selection: Selection) => selectedValue(selection, seen, related);
  if (shape === 'value') return selections.map(value)[0] ?? null;
  if (shape === 'array') return selections.map((selection) => value(selection) ?? null);
  return objectOf(selections, value);
}

function selectedValue(selection: Selection, seen: SeenRow, related: RelatedParts): unknown {
  const { name, nested, relation, compute } = selection;
  const { row, facts, mask } = seen;
  if (name === '$id') return facts.id;
  if (name === '$entitytag') return facts.entityTag;
  if (mask !== undefined && !mask(name)) return undefined;
  // The rest of the record has the same date.
  if (name === '$updatedtime') return mask === undefined ? facts.lastModified : undefined;
  if (relation !== undefined) return relatedValue(relation, nested, seen, related);
  if (compute === undefined) return valueIn(selection, row);
  const value = computedValue(compute, row);
  return nested === undefined ? value : cutDown(nested, value);
}

function relatedValue(
  relation: Relation,
  nested: readonly Selection[] | undefined,
  { row, facts, mask }: SeenRow,
  related: RelatedParts,
): unknown {
  // Where a relationship leads says what the attribute behind it holds.
  if (mask?.(relation.here.path[0] ?? '') === false) return undefined;
  const found: unknown[] = [];
  related.gather(relation, row, facts.id, (other, its, othersMask) => {
    const seen: SeenRow = { row: other, facts: its, mask: othersMask };
    found.push(
      nested === undefined
        ? maskedRow(other, othersMask)
        : objectOf(nested, (selection) => selectedValue(selection, seen, related)),
    );
    return relation.isList;
  });
  return relation.isList ? found : found[0];
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

/** Whether a part of a record says more than the record's own bytes do. */
export const isDerived = (selections: readonly Selection[]): boolean =>
  selections.some(({ relation, compute }) => relation !== undefined || compute !== undefined);
