/**
 * The rows and attributes of a table that somebody may see or touch, as far as tables and queries
 * are concerned: whoever makes a view (`access/`) has decided it from grants. A query runs over the
 * views of whoever asks as if the rest did not exist; so what lies outside of them can be found out
 * by no condition, order, count or cursor.
 */
import type { RecordId } from '../../base/brands.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { attributeNamed, storedField } from './fields.ts';
import { compileFilter, NOTHING_RELATED } from './matches.ts';
import { grouped, parseFilter } from './parse-query.ts';
import type { Condition, Filter, Row, RowTest } from './query.ts';
import { recordScope } from './scope.ts';

/** Whether an attribute is one of those covered. */
export type AttributeMask = (attribute: string) => boolean;

export interface RowView {
  /** The same for the same view: subscribers with equal views share what is encoded. */
  readonly key: string;
  /** What every row of the view satisfies; `undefined` when it has all of them. */
  readonly filter: Filter | undefined;
  /** Whether some of its rows show a part of their attributes only. */
  readonly isMasked: boolean;
  /** Whether rows make no difference: what is said of a key is the whole. */
  readonly isOfKeysOnly: boolean;
  /** Whether a record of that key may be in the view: decided without looking at one. */
  coversKey(id: RecordId): boolean;
  covers(row: Row, id: RecordId): boolean;
  /** The attributes of a covered row that are seen; `undefined`: all. */
  maskOf(row: Row, id: RecordId): AttributeMask | undefined;
  /** Whether some row shows the attribute. */
  mayName(attribute: string): boolean;
  /** The view of the rows that show all of these; `undefined` when none does. */
  among(attributes: ReadonlySet<string>): RowView | undefined;
}

/** Views by table; a table without one is seen whole. */
export type RowViews = ReadonlyMap<TableDefinition, RowView>;

/** What a view says of a row of its table; throws nothing for what is no object. */
export function maskedRow(row: Row, mask: AttributeMask | undefined): Row {
  if (mask === undefined) return row;
  return Object.fromEntries(Object.entries(row).filter(([name]) => mask(name)));
}

/** Keys of a grant: a test, and what the planner can make of it. */
export interface KeyCondition {
  /** The same for the same keys. */
  readonly name: string;
  readonly holds: (id: RecordId) => boolean;
  /** With what all of them begin. */
  readonly prefix?: string | undefined;
}

/** The keys as a condition of a query. */
export function keyFilter(definition: TableDefinition, keys: KeyCondition): Filter {
  const { primaryKey, primaryKeyType } = definition;
  const attribute = attributeNamed(definition, primaryKey);
  if (attribute === undefined) throw new Error(`${definition.typeName} has no ${primaryKey}`);
  const prefix = primaryKeyType === 'string' ? keys.prefix : undefined;
  const test = { kind: 'key', ...keys, prefix: prefix === '' ? undefined : prefix } as const;
  return { kind: 'condition', field: storedField(definition, attribute), test };
}

/**
 * Conditions of a grant out of their text. Those on attributes outside of `mask` are veiled: no
 * index is walked by them, since an order or a cursor would tell of their values. Throws
 * `QUERY_INVALID`.
 */
export function grantedFilter(
  text: string,
  definition: TableDefinition,
  mask: AttributeMask | undefined,
): Filter | undefined {
  const filter = parseFilter(text, recordScope(definition));
  return filter === undefined || mask === undefined ? filter : veiled(filter, mask);
}

function veiled(filter: Filter, mask: AttributeMask): Filter {
  if (filter.kind !== 'condition') {
    return { ...filter, filters: filter.filters.map((each) => veiled(each, mask)) };
  }
  return mask(filter.field.path[0] ?? '') ? filter : ({ ...filter, isVeiled: true } as Condition);
}

export const allOf = (filters: readonly Filter[]): Filter | undefined =>
  filters.length > 1 ? grouped('and', filters) : filters[0];

export const anyOf = (filters: readonly Filter[]): Filter | undefined =>
  filters.length > 1 ? grouped('or', filters) : filters[0];

/** A filter without relationships as a test of single rows. */
export const rowTest = (filter: Filter): RowTest => compileFilter(filter, NOTHING_RELATED);
