/**
 * Queries written as objects, over the rows of a table: the conditions that an index answers are
 * left to the table, the others are judged row by row as the rows stream by. A sort holds all rows
 * that match, up to a bound.
 */
import { NodeError } from '../base/errors.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { AttributeDefinition, TableDefinition } from '../schema/definition.ts';
import type { EqualityCondition } from '../table/collection.ts';
import type { Table } from '../table/table.ts';
import type {
  AttributeCondition,
  Comparator,
  QueryCondition,
  QueryObject,
  QuerySort,
} from './query-object.ts';

type Row = Readonly<Record<string, unknown>>;

const SORTED_ROWS_MAX = 100_000;
const decoder = new TextDecoder();

/** Rows that match, as they are found; throws `QUERY_INVALID` when the iteration begins. */
export async function* searchTable(table: Table, query: QueryObject): AsyncGenerator<unknown> {
  const { definition } = table;
  const conditions = query.conditions ?? [];
  const group: QueryCondition = { operator: query.operator ?? 'and', conditions };
  const matching = filterRows(rowsOf(table, indexable(definition, query)), (row) =>
    holds(definition, group, row),
  );
  const ordered = query.sort === undefined ? matching : await sorted(matching, query.sort);
  let skip = query.offset ?? 0;
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  for await (const row of ordered) {
    if (skip > 0) skip -= 1;
    else if (left-- > 0) yield query.select === undefined ? row : pickAttributes(row, query.select);
    if (left <= 0) return;
  }
}

/** One name yields the bare value, several an object with those. */
export function pickAttributes(row: Row, select: string | readonly string[]): unknown {
  if (typeof select === 'string') return row[select];
  return Object.fromEntries(select.map((name) => [name, row[name]]));
}

/** Equalities that all must hold and that the table can answer by itself. */
function indexable(definition: TableDefinition, query: QueryObject): EqualityCondition[] {
  if (query.operator === 'or') return [];
  return (query.conditions ?? []).flatMap((condition): EqualityCondition[] => {
    if ('operator' in condition || (condition.comparator ?? 'equals') !== 'equals') return [];
    const attribute = attributeOf(definition, condition);
    if (attribute?.indexed !== true) return [];
    const value = typed(attribute, condition.value) as IndexValue;
    return [{ attribute: attribute.name, value }];
  });
}

async function* rowsOf(
  table: Table,
  conditions: readonly EqualityCondition[],
): AsyncGenerator<Row> {
  const limit = Number.MAX_SAFE_INTEGER;
  const reader = table.collection({ conditions, offset: 0, limit });
  for (;;) {
    const page = reader.next();
    for (const row of page.rows) yield JSON.parse(decoder.decode(row)) as Row;
    if (page.done) return;
    // A long scan gives way to requests that wait.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function* filterRows(
  rows: AsyncIterable<Row>,
  matches: (row: Row) => boolean,
): AsyncGenerator<Row> {
  for await (const row of rows) if (matches(row)) yield row;
}

async function sorted(rows: AsyncIterable<Row>, sort: QuerySort): Promise<readonly Row[]> {
  const held: Row[] = [];
  for await (const row of rows) {
    held.push(row);
    if (held.length > SORTED_ROWS_MAX) {
      throw invalid(`more than ${SORTED_ROWS_MAX} rows would have to be sorted; narrow the query`);
    }
  }
  return held.sort((a, b) => compareBy(sort, a, b));
}

function compareBy(sort: QuerySort, a: Row, b: Row): number {
  const order = compare(valueAt(a, sort.attribute), valueAt(b, sort.attribute));
  if (order !== 0) return sort.descending === true ? -order : order;
  return sort.next === undefined ? 0 : compareBy(sort.next, a, b);
}

/** Nothing comes before everything; values of different kinds are ordered by their kind. */
function compare(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === undefined || a === null) return b === undefined || b === null ? 0 : -1;
  if (b === undefined || b === null) return 1;
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1;
  return (a as string) < (b as string) ? -1 : 1;
}

function holds(definition: TableDefinition, condition: QueryCondition, row: Row): boolean {
  if ('operator' in condition) {
    const { operator, conditions } = condition;
    const judge = (each: QueryCondition) => holds(definition, each, row);
    return operator === 'or' ? conditions.some(judge) : conditions.every(judge);
  }
  const attribute = attributeOf(definition, condition);
  const comparator = condition.comparator ?? 'equals';
  const test = TESTS[comparator];
  if (test === undefined) throw invalid(`there is no comparator ${JSON.stringify(comparator)}`);
  const wanted = typed(attribute, condition.value);
  const found = valueAt(row, condition.attribute);
  if (comparator === 'not_equal') return !any(found, (each) => TESTS.equals(each, wanted));
  return any(found, (each) => test(comparable(attribute, each), wanted));
}

const any = (found: unknown, test: (each: unknown) => boolean): boolean =>
  Array.isArray(found) ? found.some(test) : test(found);

type ValueTest = (found: unknown, wanted: unknown) => boolean;
const TESTS: Readonly<Record<Comparator, ValueTest>> = {
  equals: (found, wanted) => (found ?? null) === (wanted ?? null),
  not_equal: (found, wanted) => (found ?? null) !== (wanted ?? null),
  greater_than: (found, wanted) => sameKind(found, wanted) && compare(found, wanted) > 0,
  greater_than_equal: (found, wanted) => sameKind(found, wanted) && compare(found, wanted) >= 0,
  less_than: (found, wanted) => sameKind(found, wanted) && compare(found, wanted) < 0,
  less_than_equal: (found, wanted) => sameKind(found, wanted) && compare(found, wanted) <= 0,
  starts_with: (found, wanted) => typeof found === 'string' && found.startsWith(String(wanted)),
  ends_with: (found, wanted) => typeof found === 'string' && found.endsWith(String(wanted)),
  contains: (found, wanted) => typeof found === 'string' && found.includes(String(wanted)),
  between(found, wanted) {
    if (!Array.isArray(wanted)) return false;
    const [from, to] = wanted as readonly unknown[];
    return TESTS.greater_than_equal(found, from) && TESTS.less_than_equal(found, to);
  },
};

const sameKind = (a: unknown, b: unknown): boolean =>
  a !== null && a !== undefined && typeof a === typeof b;

function valueAt(row: Row, attribute: string | readonly string[]): unknown {
  if (typeof attribute === 'string') return row[attribute];
  let value: unknown = row;
  for (const name of attribute) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Row)[name];
  }
  return value;
}

function attributeOf(
  definition: TableDefinition,
  { attribute }: AttributeCondition,
): AttributeDefinition | undefined {
  if (typeof attribute !== 'string') return undefined;
  return definition.attributes.find((each) => each.name === attribute);
}

/** Dates stand in rows as numbers or texts, and are compared as instants. */
const comparable = (attribute: AttributeDefinition | undefined, found: unknown): unknown =>
  attribute?.type === 'Date' && typeof found === 'string' ? Date.parse(found) : found;

/** A text from a URL, as the kind of value that the attribute holds. */
function typed(attribute: AttributeDefinition | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => typed(attribute, each));
  if (value instanceof Date) return value.getTime();
  if (typeof value !== 'string' || attribute === undefined) return value;
  switch (attribute.type) {
    case 'Int':
    case 'Long':
    case 'Float':
      return value === 'null' ? null : Number(value);
    case 'Boolean':
      return value === 'true' ? true : value === 'false' ? false : null;
    case 'Date':
      return /^-?\d+$/.test(value) ? Number(value) : Date.parse(value);
    default:
      return value;
  }
}

const invalid = (message: string): NodeError =>
  new NodeError('QUERY_INVALID', message, { blame: 'client' });
