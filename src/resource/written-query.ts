/**
 * The query of a URL as objects, for code that looks at what a target asks or changes it:
 * `target.conditions`, `sort`, `limit`, `offset`, `select`. The grammar is that of a `GET`; where
 * no table declares the attributes, any name is one.
 */
import { LIMITS } from '../config/limits.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { parseQuery } from '../table/query/parse-query.ts';
import type { Condition, Filter, Select, Selection, SortKey } from '../table/query/query.ts';
import type { QueryScope } from '../table/query/scope.ts';
import type {
  AttributeCondition,
  Comparator,
  QueryCondition,
  QuerySelect,
  QuerySelection,
  QuerySort,
} from './query-object.ts';

export interface WrittenQuery {
  readonly conditions: QueryCondition[];
  readonly limit: number | undefined;
  readonly offset: number | undefined;
  readonly sort: QuerySort | undefined;
  readonly select: QuerySelect | undefined;
}

const NOTHING: Omit<TableDefinition, 'name'> & { readonly name: string } = {
  name: '',
  typeName: 'the resource',
  database: '',
  primaryKey: '',
  primaryKeyType: 'string',
  attributes: [],
  sealed: false,
  hidden: false,
} as unknown as TableDefinition;

/** Of a resource that is no table. */
const OPEN_SCOPE: QueryScope = {
  definition: NOTHING as TableDefinition,
  related: () => undefined,
  compute: () => undefined,
  isOpen: true,
};

const ANY_NUMBER = Number.MAX_SAFE_INTEGER;

/** `text` is raw, without '?'. Throws `QUERY_INVALID` with the position. */
export function writtenQuery(text: string, scope: QueryScope = OPEN_SCOPE): WrittenQuery {
  const query = parseQuery(text, scope, {
    rowsDefault: ANY_NUMBER,
    rowsMax: LIMITS.collectionRowsMax,
  });
  const { filter, sort, select, limit, offset } = query;
  return {
    conditions: conditionsOf(filter),
    sort: sortOf(sort),
    select: select && selectObject(select),
    limit: limit === ANY_NUMBER ? undefined : limit,
    offset: offset === 0 ? undefined : offset,
  };
}

function conditionsOf(filter: Filter | undefined): QueryCondition[] {
  if (filter === undefined) return [];
  if (filter.kind === 'and') return filter.filters.flatMap(conditionOf);
  return conditionOf(filter);
}

function conditionOf(filter: Filter): QueryCondition[] {
  if (filter.kind === 'condition') return attributeConditions(filter);
  return [{ operator: filter.kind, conditions: filter.filters.flatMap(asOne) }];
}

/** Two bounds of one attribute are two conditions, which hold together. */
function asOne(filter: Filter): QueryCondition[] {
  const conditions = conditionOf(filter);
  return conditions.length < 2 ? conditions : [{ operator: 'and', conditions }];
}

const TEXTS = { prefix: 'starts_with', suffix: 'ends_with', contains: 'contains' } as const;

function attributeConditions({ field: { path }, test }: Condition): AttributeCondition[] {
  const [only = '', ...more] = path;
  const attribute = more.length === 0 ? only : path;
  const condition = (comparator: Comparator, value: unknown): AttributeCondition => ({
    attribute,
    comparator,
    value,
  });
  switch (test.kind) {
    case 'eq':
      return [condition('equals', test.value)];
    case 'ne':
      return [condition('not_equal', test.value)];
    case 'range': {
      const { from, to } = test;
      const lower =
        from && condition(from.isOpen ? 'greater_than' : 'greater_than_equal', from.value);
      const upper = to && condition(to.isOpen ? 'less_than' : 'less_than_equal', to.value);
      return [lower, upper].filter((each) => each !== undefined);
    }
    // Of a grant, which no query of a URL or of code can say.
    case 'key':
      return [];
    default:
      return [condition(TEXTS[test.kind], test.text)];
  }
}

function sortOf(keys: readonly SortKey[]): QuerySort | undefined {
  return keys.reduceRight<QuerySort | undefined>((next, { field, isDescending }) => {
    const [only = '', ...more] = field.path;
    return { attribute: more.length === 0 ? only : field.path, descending: isDescending, next };
  }, undefined);
}

function selectObject({ shape, selections }: Select): QuerySelect {
  const names = selections.map(selectionObject);
  if (shape === 'value' && typeof names[0] === 'string') return names[0];
  return shape === 'array' ? Object.assign(names, { asArray: true }) : names;
}

const selectionObject = ({ name, nested }: Selection): QuerySelection =>
  nested === undefined ? name : { name, select: nested.map(selectionObject) };
