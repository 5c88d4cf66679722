/**
 * The directives of a query: `select()`, `sort()`, `limit()`, `after()`, `count()`, `explain()`.
 * Each stands at most once, outside of all brackets, anywhere between the conditions. Each says
 * what is wanted of the rows that match; none says which rows match.
 */
import { LIMITS } from '../../config/limits.ts';
import { fieldNamed } from './fields.ts';
import type { QueryLimits } from './parse-query.ts';
import { parseSelect } from './parse-select.ts';
import type { Field, Select, SortKey } from './query.ts';
import { queryBeyond, queryInvalid } from './query-error.ts';
import type { QueryScope } from './scope.ts';
import type { TextScanner } from './text-scanner.ts';

export interface Directives {
  select: Select;
  sort: readonly SortKey[];
  rows: { readonly offset: number; readonly limit: number };
  after: string;
  isCount: boolean;
  isExplain: boolean;
}

export const DIRECTIVE_NAMES = ['select', 'sort', 'limit', 'after', 'count', 'explain'] as const;
export type DirectiveName = (typeof DIRECTIVE_NAMES)[number];

const PLACES: Readonly<Record<DirectiveName, keyof Directives>> = {
  select: 'select',
  sort: 'sort',
  limit: 'rows',
  after: 'after',
  count: 'isCount',
  explain: 'isExplain',
};

/** The directive that begins here, if one does. */
export const isDirective = (scanner: TextScanner): DirectiveName | undefined =>
  DIRECTIVE_NAMES.find((name) => scanner.startsWith(`${name}(`));

export function parseDirective(
  scanner: TextScanner,
  name: DirectiveName,
  found: Partial<Directives>,
  scope: QueryScope,
  limits: QueryLimits,
): void {
  if (found[PLACES[name]] !== undefined) throw scanner.invalid(`${name}() stands here twice`);
  scanner.take(`${name}(`);
  switch (name) {
    case 'select':
      found.select = parseSelect(scanner, scope);
      break;
    case 'sort':
      found.sort = parseSort(scanner, scope);
      break;
    case 'limit':
      found.rows = parseLimit(scanner, limits);
      break;
    case 'after':
      found.after = scanner.until('&|()[]');
      break;
    case 'count':
      found.isCount = true;
      break;
    case 'explain':
      found.isExplain = true;
      break;
  }
  scanner.expect(')', `${name}( is not closed`);
  if (!scanner.isDone && !scanner.startsWith('&') && !scanner.startsWith('|')) {
    throw scanner.invalid(`"&" is missing after ${name}()`);
  }
}

function parseLimit(scanner: TextScanner, limits: QueryLimits): Directives['rows'] {
  const start = scanner.at;
  const written = scanner.until(')');
  const range = /^(\d{1,9})(?:,(\d{1,9}))?$/.exec(written);
  if (range === null) throw scanner.invalid('limit(end) or limit(start,end) takes numbers', start);
  const first = Number(range[1]);
  const [from, end] = range[2] === undefined ? [0, first] : [first, Number(range[2])];
  if (end < from) throw scanner.invalid('limit(start,end) ends before it starts', start);
  if (end - from > limits.rowsMax) {
    const what = `limit() asks for more than the ${limits.rowsMax} rows of one answer`;
    throw queryBeyond(limits.rowsLimit ?? 'collectionRowsMax', what, start);
  }
  return { offset: from, limit: end - from };
}

function parseSort(scanner: TextScanner, scope: QueryScope): readonly SortKey[] {
  const keys: SortKey[] = [];
  do {
    const isDescending = scanner.take('-');
    if (!isDescending && !scanner.take('+')) scanner.take('%2B');
    const start = scanner.at;
    const written = scanner.until(',)&|([]');
    if (written === '') throw scanner.invalid('an attribute is missing in sort()', start);
    keys.push({ field: sortField(scope, written, start), isDescending });
    if (keys.length > LIMITS.querySortKeysMax) {
      const what = `sort() takes at most ${LIMITS.querySortKeysMax} attributes`;
      throw queryBeyond('querySortKeysMax', what, start);
    }
  } while (scanner.take(','));
  return keys;
}

/** By a related attribute only where there is one related record: of several none comes first. */
function sortField(scope: QueryScope, written: string, position: number): Field {
  const field = fieldNamed(scope, written, position);
  for (let { joined } = field; joined !== undefined; joined = joined.field.joined) {
    const { name, isList } = joined.relation;
    if (!isList) continue;
    throw queryInvalid(`${name} leads to several records: sort by an attribute of one`, position);
  }
  return field;
}
