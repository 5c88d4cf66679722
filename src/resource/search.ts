/**
 * Queries that code makes, as queries of the table: from objects (`{ conditions, sort, limit }`),
 * or from the query string of a target, in the grammar of a `GET`. The table plans and answers
 * them page by page; rows come as objects while they are found.
 */
import { LIMITS } from '../config/limits.ts';
import { attributeNamed, fieldNamed } from '../table/query/fields.ts';
import { belowPrefix, parseQuery } from '../table/query/parse-query.ts';
import type {
  Bound,
  Field,
  Filter,
  Query,
  QueryValue,
  SortKey,
  Test,
} from '../table/query/query.ts';
import { queryInvalid } from '../table/query/query-error.ts';
import type { QueryScope } from '../table/query/scope.ts';
import { signatureOf } from '../table/query/signature.ts';
import type { Table } from '../table/table.ts';
import type { AttributeCondition, QueryCondition, QueryObject, QuerySort } from './query-object.ts';
import { isUntouched, RequestTarget } from './request-target.ts';

type Row = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder();

/** Rows that match; what is wrong with a query is thrown when the iteration begins. */
export async function* searchTable(table: Table, asked: QueryObject): AsyncGenerator<unknown> {
  const isText = asked instanceof RequestTarget && isUntouched(asked);
  const query = isText ? queryOfTarget(table, asked) : queryOfObject(table.scope, asked);
  const select = isText ? undefined : asked.select;
  const reader = table.query(query);
  for (;;) {
    const page = reader.next();
    for (const bytes of page.rows) {
      const row: unknown = JSON.parse(decoder.decode(bytes));
      yield select === undefined ? row : pickAttributes(row as Row, select);
    }
    if (page.done) return;
    // A long scan gives way to requests that wait.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One name yields the bare value, several an object with those. */
export function pickAttributes(row: Row, select: string | readonly string[]): unknown {
  if (typeof select === 'string') return row[select];
  return Object.fromEntries(select.map((name) => [name, row[name]]));
}

function queryOfTarget({ definition, scope }: Table, target: RequestTarget): Query {
  const limits = { rowsDefault: LIMITS.collectionRowsDefault, rowsMax: LIMITS.collectionRowsMax };
  const query = parseQuery(target.search.slice(1), scope, limits);
  return target.id === undefined ? query : belowPrefix(query, definition, `${target.id}/`);
}

function queryOfObject(scope: QueryScope, asked: QueryObject): Query {
  const { conditions = [], operator = 'and', offset = 0 } = asked;
  const filter = conditions.length === 0 ? undefined : filterOf(scope, { operator, conditions });
  const sort = sortKeys(scope, asked.sort);
  return {
    filter,
    sort,
    select: undefined,
    offset,
    limit: asked.limit ?? Number.MAX_SAFE_INTEGER,
    after: undefined,
    isExplain: false,
    signature: signatureOf(filter, sort),
  };
}

function filterOf(scope: QueryScope, condition: QueryCondition): Filter {
  if (!('operator' in condition)) return conditionOf(scope, condition);
  const filters = condition.conditions.map((each) => filterOf(scope, each));
  const [only] = filters;
  if (only === undefined) throw queryInvalid('a group of conditions is empty', 0);
  return filters.length === 1 ? only : { kind: condition.operator, filters };
}

function conditionOf(scope: QueryScope, condition: AttributeCondition): Filter {
  const field = fieldOf(scope, condition.attribute);
  return { kind: 'condition', field, test: testOf(field, condition) };
}

/** Attributes that nothing declares may be asked for too: code knows what it stored. */
function fieldOf(scope: QueryScope, attribute: string | readonly string[]): Field {
  const path = typeof attribute === 'string' ? [attribute] : attribute;
  const [first = ''] = path;
  if (attributeNamed(scope.definition, first) === undefined) {
    return { path, type: 'Any', isMultiple: true, isKey: false, indexed: undefined };
  }
  return fieldNamed(scope, path.map(encodeURIComponent).join('.'), 0);
}

function testOf(field: Field, { comparator = 'equals', value }: AttributeCondition): Test {
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
      throw queryInvalid(`there is no comparator ${JSON.stringify(comparator)}`, 0);
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
  if (isText || typeof given === 'boolean' || typeof given === 'bigint') return given;
  if (typeof given === 'number') return given;
  throw queryInvalid(`${path.join('.')} is compared with ${typeof given}: give a plain value`, 0);
}

function sortKeys(scope: QueryScope, sort: QuerySort | undefined): SortKey[] {
  const keys: SortKey[] = [];
  for (let key = sort; key !== undefined; key = key.next) {
    const field = fieldOf(scope, key.attribute);
    keys.push({ field, isDescending: key.descending === true });
  }
  return keys;
}
