/**
 * A query as a subscription uses it: a test of single rows, what is shown of those that match, a
 * key by which subscribers who ask for the same share one evaluation, and a condition an index can
 * answer. Rows are looked at by themselves: what they compute is computed, relationships are not
 * followed, since a change of the other record would be heard by nobody here.
 */
import type { RecordId } from '../../base/brands.ts';
import type { IndexValue } from '../../cache/entry.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { indexValueOf } from '../../schema/indexed-values.ts';
import { conjuncts } from './access.ts';
import { compileFilter, NOTHING_RELATED } from './matches.ts';
import { parseWatched } from './parse-query.ts';
import { projectRow } from './project.ts';
import type { Filter, Row, Select } from './query.ts';
import { queryInvalid } from './query-error.ts';
import { type AttributeMask, maskedRow, type RowView } from './row-view.ts';
import { type RowWindow, rowWindow } from './row-window.ts';
import type { QueryScope } from './scope.ts';
import { filterKey } from './signature.ts';

export type Project = (row: unknown, mask?: AttributeMask | undefined) => string;

export interface RowFilter {
  /** The same for the same conditions in any order, and the same `select()`. */
  readonly key: string;
  /** There are no conditions: every row matches. */
  readonly isAll: boolean;
  matches(row: unknown): boolean;
  /** What the conditions and `select()` name. */
  readonly attributes: ReadonlySet<string>;
  /** JSON of what is shown of a row; without it the row as it is. */
  readonly project?: Project | undefined;
  /** A condition which all rows satisfy and an index can answer. */
  readonly indexed?: IndexedCondition | undefined;
}

export interface IndexedCondition {
  readonly attribute: string;
  readonly value: IndexValue;
  /** Whether the value stands in the row: what is computed does not. */
  readonly isStored: boolean;
  /** The form in which a value of the attribute is compared with `value`. */
  readonly formOf: (held: unknown) => IndexValue | undefined;
}

/** Which rows, and the part of them in an order, if only that is shown. */
export interface RowQuery {
  /** `undefined` for all rows as they are. */
  readonly filter: RowFilter | undefined;
  readonly window: RowWindow | undefined;
}

/** Throws `QUERY_INVALID` with a position. */
export function parseRowQuery(text: string, scope: QueryScope): RowQuery {
  const { definition } = scope;
  const watched = parseWatched(text, { ...scope, related: () => undefined });
  const { filter, select, sort, rows } = watched;
  return { filter: rowFilter(filter, select, definition), window: rowWindow(sort, rows) };
}

export const parseRowFilter = (text: string, scope: QueryScope): RowFilter | undefined =>
  parseRowQuery(text, scope).filter;

function rowFilter(
  filter: Filter | undefined,
  select: Select | undefined,
  { primaryKey }: TableDefinition,
): RowFilter | undefined {
  if (filter === undefined && select === undefined) return undefined;
  const test = filter && compileFilter(filter, NOTHING_RELATED);
  return {
    key: `${filterKey(filter)}${select === undefined ? '' : `;${JSON.stringify(select)}`}`,
    isAll: filter === undefined,
    matches: (row) => test === undefined || (isRow(row) && test(row, row[primaryKey] as RecordId)),
    project: select && projection(select, primaryKey),
    attributes: new Set([
      ...(filter === undefined ? [] : attributesIn(filter)),
      ...(select?.selections ?? []).map(({ name }) => name).filter((name) => name !== '$id'),
    ]),
    indexed: filter && indexedOf(filter),
  };
}

/** The rows of a view that match; subscribers who see and ask the same share it. */
export function seenFilter(
  view: RowView,
  asked: RowFilter | undefined,
  { primaryKey }: TableDefinition,
): RowFilter {
  const idOf = (row: Row): RecordId => row[primaryKey] as RecordId;
  const project: Project = (row) => {
    const mask = isRow(row) ? view.maskOf(row, idOf(row)) : undefined;
    if (asked?.project !== undefined) return asked.project(row, mask);
    return JSON.stringify(isRow(row) ? maskedRow(row, mask) : null);
  };
  return {
    key: `${view.key}\n${asked?.key ?? ''}`,
    isAll: false,
    matches: (row) => isRow(row) && view.covers(row, idOf(row)) && (asked?.matches(row) ?? true),
    project: view.isMasked ? project : asked?.project,
    indexed: asked?.indexed ?? (view.filter && indexedOf(view.filter)),
    attributes: asked?.attributes ?? NO_ATTRIBUTES,
  };
}

const NO_ATTRIBUTES: ReadonlySet<string> = new Set();

const attributesIn = (filter: Filter): readonly string[] =>
  filter.kind === 'condition'
    ? filter.field.path.slice(0, 1)
    : filter.filters.flatMap(attributesIn);

const isRow = (row: unknown): row is Row => typeof row === 'object' && row !== null;

const NOTHING_GATHERED = { gather: () => undefined };

function projection(select: Select, primaryKey: string): Project {
  if (select.selections.some(({ name }) => name === '$updatedtime')) {
    throw queryInvalid('an event has its time in "at": $updatedtime is not selected here', 0);
  }
  return (row, mask) => {
    if (!isRow(row)) return JSON.stringify(row ?? null);
    const facts = { id: row[primaryKey] as RecordId, lastModified: 0, entityTag: '' };
    return Buffer.from(projectRow(select, row, facts, NOTHING_GATHERED, mask)).toString();
  };
}

function indexedOf(filter: Filter): RowFilter['indexed'] {
  for (const each of conjuncts(filter)) {
    if (each.kind !== 'condition' || each.test.kind !== 'eq') continue;
    const attribute = each.field.indexed;
    if (attribute === undefined) continue;
    const value = indexValueOf(attribute, each.test.value);
    if (value === undefined) continue;
    const formOf = (held: unknown) => indexValueOf(attribute, held);
    const isStored = each.field.compute === undefined;
    return { attribute: attribute.name, value, isStored, formOf };
  }
  return undefined;
}
