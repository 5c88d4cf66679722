/**
 * A query that code wrote as objects → the table's own query, which is planned like any other.
 * Attributes that nothing declares may be asked for too: code knows what it stored.
 */
import { LIMITS } from '../config/limits.ts';
import { anyField, attributeNamed, fieldNamed, tooDeep } from '../table/query/fields.ts';
import { selectionOf } from '../table/query/parse-select.ts';
import type {
  Bound,
  Field,
  Filter,
  Query,
  QueryValue,
  Row,
  Select,
  Selection,
  SortKey,
  Test,
} from '../table/query/query.ts';
import { queryBeyond, queryInvalid } from '../table/query/query-error.ts';
import type { QueryScope } from '../table/query/scope.ts';
import { signatureOf } from '../table/query/signature.ts';
import type {
  AttributeCondition,
  Comparator,
  QueryCondition,
  QueryObject,
  QuerySelect,
  QuerySelection,
  QuerySort,
} from './query-object.ts';

/** Throws `QUERY_INVALID`. */
export function queryOfObject(scope: QueryScope, asked: QueryObject): Query {
  const { conditions = [], operator, offset = 0, limit, select, explain = false } = asked;
  if (!Array.isArray(conditions)) throw queryInvalid('conditions is a list', 0);
  for (const [name, value] of Object.entries({ limit: limit ?? 0, offset })) {
    if (!Number.isInteger(value) || value < 0) throw queryInvalid(`${name} is a whole number`, 0);
  }
  const filter = conditions.length === 0 ? undefined : filterOf(scope, { operator, conditions }, 0);
  const sort = sortKeys(scope, asked.sort);
  return {
    filter,
    sort,
    select: select === undefined ? undefined : selectOf(scope, select),
    offset,
    limit: limit ?? Number.MAX_SAFE_INTEGER,
    after: undefined,
    isExplain: explain,
    signature: signatureOf(filter, sort),
    accepts: asked.rowFilter && deciding(asked.rowFilter),
  };
}

/** A filter that waits would let through what it has not judged yet. */
const deciding =
  (rowFilter: NonNullable<QueryObject['rowFilter']>) =>
  (row: Row): boolean => {
    const verdict: unknown = rowFilter(row);
    if (typeof verdict !== 'object' || verdict === null) return Boolean(verdict);
    throw new TypeError('rowFilter(record) returned an object: it has to say at once');
  };

/** What a query or a read of one record takes of a row. Throws `QUERY_INVALID`. */
export function selectOf(scope: QueryScope, select: QuerySelect): Select {
  const levels = { depth: 0, joins: 0 };
  if (typeof select === 'string') {
    return { shape: 'value', selections: [selectionAt(scope, select, levels)] };
  }
  if (!isList(select)) throw queryInvalid('select is a name or a list of them', 0);
  const selections = select.map((one) => selectionAt(scope, one, levels));
  return { shape: select.asArray === true ? 'array' : 'object', selections };
}

/** `Array.isArray` forgets what is known of a list that may not be changed. */
const isList = (select: QuerySelect): select is Exclude<QuerySelect, string> =>
  Array.isArray(select);

interface Levels {
  readonly depth: number;
  readonly joins: number;
}

/** `scope` is `undefined` inside plain objects, whose attributes are not checked. */
function selectionAt(
  scope: QueryScope | undefined,
  selection: QuerySelection,
  levels: Levels,
): Selection {
  const written = typeof selection === 'string' ? { name: selection } : selection;
  const { name, select } = written;
  if (typeof name !== 'string') throw queryInvalid('select names attributes', 0);
  const attribute = scope && attributeNamed(scope.definition, name);
  const found: Selection =
    scope === undefined || attribute === undefined ? { name } : selectionOf(scope, attribute, 0);
  if (select === undefined) return found;
  const { relation } = found;
  const depth = levels.depth + 1;
  const joins = levels.joins + (relation === undefined ? 0 : 1);
  if (joins > LIMITS.queryJoinsDeepMax) throw tooDeep(0);
  if (depth > LIMITS.queryNestingMax) {
    const what = `selections nest at most ${LIMITS.queryNestingMax} deep`;
    throw queryBeyond('queryNestingMax', what, 0);
  }
  const inner = typeof select === 'string' ? [select] : select;
  const nested = inner.map((one) => selectionAt(relation?.target, one, { depth, joins }));
  return { ...found, nested };
}

function filterOf(scope: QueryScope, condition: QueryCondition, depth: number): Filter {
  if (!('conditions' in condition)) return conditionOf(scope, condition);
  if (depth > LIMITS.queryNestingMax) {
    const what = `groups nest at most ${LIMITS.queryNestingMax} deep`;
    throw queryBeyond('queryNestingMax', what, 0);
  }
  const filters = condition.conditions.map((each) => filterOf(scope, each, depth + 1));
  const [only] = filters;
  if (only === undefined) throw queryInvalid('a group of conditions is empty', 0);
  const kind = String(condition.operator ?? 'and').toLowerCase();
  if (kind !== 'and' && kind !== 'or') {
    throw queryInvalid(`operator is ${JSON.stringify(condition.operator)}: write and, or`, 0);
  }
  return filters.length === 1 ? only : { kind, filters };
}

function conditionOf(scope: QueryScope, condition: AttributeCondition): Filter {
  const field = fieldOf(scope, condition.attribute);
  return { kind: 'condition', field, test: testOf(field, condition) };
}

function fieldOf(scope: QueryScope, attribute: string | readonly string[]): Field {
  const path = typeof attribute === 'string' ? [attribute] : attribute;
  const [first] = path;
  if (first === undefined || typeof first !== 'string') {
    throw queryInvalid('a condition or an order names an attribute', 0);
  }
  if (attributeNamed(scope.definition, first) === undefined) return anyField(path);
  return fieldNamed(scope, path.map(encodeURIComponent).join('.'), 0);
}

const SHORT: Readonly<Record<string, Comparator>> = {
  eq: 'equals',
  ne: 'not_equal',
  gt: 'greater_than',
  ge: 'greater_than_equal',
  lt: 'less_than',
  le: 'less_than_equal',
  sw: 'starts_with',
  ct: 'contains',
  ew: 'ends_with',
};

function testOf(field: Field, { comparator: written = 'equals', value }: AttributeCondition): Test {
  const comparator = SHORT[written] ?? written;
  switch (comparator) {
    case 'equals':
      return { kind: 'eq', value: wantedValue(field, value) };
    case 'not_equal':
      return { kind: 'ne', value: wantedValue(field, value) };
    case 'greater_than':
    case 'greater_than_equal':
      return { kind: 'range', from: boundOf(field, value, comparator === 'greater_than') };
    case 'less_than':
    case 'less_than_equal':
      return { kind: 'range', to: boundOf(field, value, comparator === 'less_than') };
    case 'between': {
      const [from, to] = Array.isArray(value) ? (value as readonly unknown[]) : [];
      return {
        kind: 'range',
        from: boundOf(field, from, false),
        to: boundOf(field, to, false),
      };
    }
    case 'starts_with':
      return { kind: 'prefix', text: String(value) };
    case 'ends_with':
      return { kind: 'suffix', text: String(value) };
    case 'contains':
      return { kind: 'contains', text: String(value) };
    default:
      throw queryInvalid(`there is no comparator ${JSON.stringify(written)}`, 0);
  }
}

function boundOf(field: Field, given: unknown, isOpen: boolean): Bound {
  const value = wantedValue(field, given);
  if (value !== null) return { value, isOpen };
  throw queryInvalid(`${field.path.join('.')} cannot be compared with nothing`, 0);
}

/** A text, perhaps from a URL, as the kind of value that the field holds. */
function wantedValue({ path, type }: Field, given: unknown): QueryValue {
  if (given === undefined || given === null) return null;
  if (given instanceof Date) return given.getTime();
  const isText = typeof given === 'string';
  if (type === 'Date') return isText && !/^-?\d+$/.test(given) ? Date.parse(given) : Number(given);
  if (isText && (type === 'Int' || type === 'Long' || type === 'Float')) return Number(given);
  if (isText && type === 'BigInt') return BigInt(given);
  if (isText && type === 'Boolean') return given === 'true';
  if (type === 'String' && (typeof given === 'number' || typeof given === 'boolean')) {
    return String(given);
  }
  if (isText || typeof given === 'boolean' || typeof given === 'bigint') return given;
  if (typeof given === 'number') return given;
  throw queryInvalid(`${path.join('.')} is compared with ${typeof given}: give a plain value`, 0);
}

function sortKeys(scope: QueryScope, sort: QuerySort | undefined): SortKey[] {
  const keys: SortKey[] = [];
  for (let key = sort; key !== undefined && key !== null; key = key.next) {
    keys.push({ field: fieldOf(scope, key.attribute), isDescending: key.descending === true });
    if (keys.length > LIMITS.querySortKeysMax) {
      const what = `sort takes at most ${LIMITS.querySortKeysMax} attributes`;
      throw queryBeyond('querySortKeysMax', what, 0);
    }
  }
  return keys;
}
