/**
 * The query grammar: one hand-written recursive descent over the text of a URL, without state of
 * its own. What it cannot read is refused with its position, never ignored.
 *
 *   query     = term *( "&" term )                   ; "&" binds tighter than "|"
 *   any       = all *( "|" all ) ; all = one *( "&" one )
 *   one       = "(" any ")" | "[" any "]" | condition | directive      ; directives outside only
 *   condition = name operator value                  ; a=gt=1&lt=9 goes on with the same attribute
 *   directive = select(...) | sort(...) | limit(...) | after(...) | explain()
 */
import { must } from '../../base/assert.ts';
import { LIMITS, type LimitName } from '../../config/limits.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import { attributeNamed, storedField } from './fields.ts';
import { ConditionParser } from './parse-condition.ts';
import {
  DIRECTIVE_NAMES,
  type DirectiveName,
  type Directives,
  isDirective,
  parseDirective,
} from './parse-directive.ts';
import type { Filter, Query } from './query.ts';
import { queryBeyond, queryInvalid } from './query-error.ts';
import type { QueryScope } from './scope.ts';
import { signatureOf } from './signature.ts';
import { TextScanner } from './text-scanner.ts';

export interface QueryLimits {
  /** Rows of an answer when the query gives no limit, and at most. */
  readonly rowsDefault: number;
  readonly rowsMax: number;
  /** The limit that `rowsMax` is; `collectionRowsMax` unless told. */
  readonly rowsLimit?: LimitName | undefined;
}

/** Reads a whole query; throws `QUERY_INVALID` with the position of what is wrong. */
export function parseQuery(text: string, scope: QueryScope, limits: QueryLimits): Query {
  const parser = new QueryParser(text, scope, limits);
  const filter = parser.parse();
  const { sort = [], select, rows, after, isExplain = false, isCount } = parser.directives;
  if (isCount === true) {
    if (sort.length > 0 || (select ?? rows ?? after) !== undefined) {
      throw queryInvalid('count() counts all rows that match: no other directive goes with it', 0);
    }
    const all = { offset: 0, limit: Number.MAX_SAFE_INTEGER, sort, select, after };
    return { ...all, filter, isCount, isExplain, signature: signatureOf(filter, sort) };
  }
  return {
    filter,
    sort,
    select,
    offset: rows?.offset ?? 0,
    limit: rows?.limit ?? limits.rowsDefault,
    after,
    isExplain,
    signature: signatureOf(filter, sort),
  };
}

/** The same query of the records whose key begins with `prefix` (`/Table/a/`). */
export function belowPrefix(query: Query, definition: TableDefinition, prefix: string): Query {
  const { primaryKey } = definition;
  const key = must(attributeNamed(definition, primaryKey), 'every table has a primary key');
  const field = storedField(definition, key);
  const below: Filter = { kind: 'condition', field, test: { kind: 'prefix', text: prefix } };
  const filter = grouped('and', query.filter === undefined ? [below] : [below, query.filter]);
  return { ...query, filter, signature: signatureOf(filter, query.sort) };
}

/** Reads conditions alone; directives are refused. */
export function parseFilter(text: string, scope: QueryScope): Filter | undefined {
  return new QueryParser(text, scope, undefined).parse();
}

/** Reads what a subscription may say: conditions, and what is in the row itself. */
export function parseWatched(text: string, scope: QueryScope): Watched {
  const limits = {
    rowsDefault: 0,
    rowsMax: LIMITS.windowRowsMax,
    rowsLimit: 'windowRowsMax',
  } as const;
  const parser = new QueryParser(text, scope, limits, ['select', 'sort', 'limit']);
  const filter = parser.parse();
  const { select, sort, rows } = parser.directives;
  return { filter, select, sort, rows };
}

interface Watched extends Pick<Query, 'filter' | 'select'> {
  readonly sort: Directives['sort'] | undefined;
  readonly rows: Directives['rows'] | undefined;
}

const NO_ROWS: QueryLimits = { rowsDefault: 0, rowsMax: 0 };

class QueryParser {
  readonly directives: Partial<Directives> = {};
  readonly #scanner: TextScanner;
  readonly #scope: QueryScope;
  readonly #limits: QueryLimits;
  readonly #allowed: readonly DirectiveName[];
  readonly #conditions: ConditionParser;

  constructor(
    text: string,
    scope: QueryScope,
    limits: QueryLimits | undefined,
    allowed: readonly DirectiveName[] = limits === undefined ? [] : DIRECTIVE_NAMES,
  ) {
    this.#scanner = new TextScanner(text);
    this.#scope = scope;
    this.#limits = limits ?? NO_ROWS;
    this.#allowed = allowed;
    this.#conditions = new ConditionParser(this.#scanner, scope);
  }

  parse(): Filter | undefined {
    const scanner = this.#scanner;
    if (scanner.text.length > LIMITS.queryTextCharsMax) {
      const what = `a query has at most ${LIMITS.queryTextCharsMax} characters`;
      throw queryBeyond('queryTextCharsMax', what, LIMITS.queryTextCharsMax);
    }
    if (scanner.isDone) return undefined;
    const filter = this.#any(0);
    if (!scanner.isDone) {
      throw scanner.invalid(`${JSON.stringify(scanner.here)} closes nothing; encode it in a value`);
    }
    return filter;
  }

  #any(depth: number): Filter | undefined {
    const filters: Filter[] = [];
    do {
      const filter = this.#all(depth);
      if (filter !== undefined) filters.push(filter);
    } while (this.#scanner.take('|'));
    return grouped('or', filters);
  }

  #all(depth: number): Filter | undefined {
    const filters: Filter[] = [];
    // A directive alone between bars would make "everything or…": it is no condition.
    const start = this.#scanner.at;
    do {
      if (this.#conditions.extend(filters)) continue;
      const filter = this.#one(depth);
      if (filter !== undefined) filters.push(filter);
    } while (this.#scanner.take('&'));
    const isBetweenBars = this.#scanner.here === '|' || this.#scanner.text[start - 1] === '|';
    if (filters.length === 0 && isBetweenBars) {
      throw this.#scanner.invalid('a condition is missing beside "|"', start);
    }
    return grouped('and', filters);
  }

  #one(depth: number): Filter | undefined {
    const scanner = this.#scanner;
    const start = scanner.at;
    const close = scanner.take('(') ? ')' : scanner.take('[') ? ']' : undefined;
    if (close !== undefined) return this.#nested(depth + 1, start, close);
    const directive = isDirective(scanner);
    if (directive === undefined) return this.#conditions.parse();
    if (!this.#allowed.includes(directive)) {
      const what = ['conditions', ...this.#allowed.map((name) => `${name}()`)].join(' and ');
      throw scanner.invalid(`here are only ${what}, not ${directive}()`);
    }
    if (depth > 0) throw scanner.invalid(`${directive}() stands outside of all brackets`);
    parseDirective(scanner, directive, this.directives, this.#scope, this.#limits);
    return undefined;
  }

  #nested(depth: number, start: number, close: string): Filter {
    const scanner = this.#scanner;
    if (depth > LIMITS.queryNestingMax) {
      const what = `brackets nest at most ${LIMITS.queryNestingMax} deep`;
      throw queryBeyond('queryNestingMax', what, start);
    }
    const filter = this.#any(depth);
    if (filter === undefined) throw scanner.invalid('these brackets hold no condition', start);
    if (!scanner.take(close)) {
      throw scanner.invalid(`the bracket opened at ${start} is not closed by "${close}"`);
    }
    return filter;
  }
}

/** Groups of the same kind within one another become one. */
export function grouped(kind: 'and' | 'or', filters: readonly Filter[]): Filter | undefined {
  if (filters.length <= 1) return filters[0];
  return { kind, filters: filters.flatMap((each) => (each.kind === kind ? each.filters : [each])) };
}
