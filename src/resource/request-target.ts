/**
 * What a request to a resource is aimed at: an id or the collection, and the parameters of its
 * query. Given to every method of a `Resource`; also made by code that calls a table.
 */
import type { RecordId } from '../base/brands.ts';
import type { QueryScope } from '../table/query/scope.ts';
import type { QueryCondition, QueryObject, QuerySelect, QuerySort } from './query-object.ts';
import { type WrittenQuery, writtenQuery } from './written-query.ts';

export interface RequestTargetParts {
  /** Raw path after the resource's own, beginning with '/' or empty. */
  readonly path?: string | undefined;
  /** Raw, without '?'. */
  readonly query?: string | undefined;
  readonly id?: RecordId | undefined;
  readonly isCollection?: boolean | undefined;
  /** Values of the `:name` segments of the resource's path. */
  readonly params?: Readonly<Record<string, string>> | undefined;
  readonly wildcard?: string | undefined;
  /** Attributes that the query may name; any when it is left out. */
  readonly scope?: (() => QueryScope) | undefined;
}

const DENIED = Symbol.for('millrace.targetDenied');
const WRITTEN = Symbol.for('millrace.targetQuery');

/** `sort` is a method there and a wish here. */
const Parameters = URLSearchParams as unknown as new (
  init: string,
) => Omit<URLSearchParams, 'sort'>;

export class RequestTarget extends Parameters {
  /** `undefined` for the collection itself. */
  id: RecordId | undefined;
  /** The path ends in a slash, or the target was made from a query. */
  isCollection: boolean;
  readonly pathname: string;
  /** With its '?', or empty. */
  readonly search: string;
  /** Set to false by code which answers for the access itself. */
  checkPermission = false;
  /** Values of the `:name` segments of the resource's path. */
  readonly params: Readonly<Record<string, string>>;
  /** What the `*` of the resource's path stands for. */
  readonly wildcard: string | undefined;
  /** Whether the origin was asked for what was read with this target. */
  loadedFromSource: boolean | undefined;
  /** Further says which rows are wanted; clients cannot set it. */
  rowFilter: QueryObject['rowFilter'];
  [DENIED]: Error | undefined;
  readonly [WRITTEN]: QueryText;

  constructor(parts: RequestTargetParts | string = {}) {
    const given = typeof parts === 'string' ? partsOf(parts) : parts;
    super(given.query ?? '');
    this.pathname = given.path ?? '';
    this.search = given.query === undefined || given.query === '' ? '' : `?${given.query}`;
    this.params = given.params ?? {};
    this.wildcard = given.wildcard;
    this.isCollection = given.isCollection ?? this.pathname.endsWith('/');
    this.id = given.id ?? this.params.id ?? idOf(this.pathname);
    this[WRITTEN] = new QueryText(given.query ?? '', given.scope);
  }

  /** What the query of the URL asks for, read when code first looks; a 400 when it is none. */
  get conditions(): QueryCondition[] {
    return this[WRITTEN].read().conditions;
  }
  set conditions(conditions: QueryCondition[]) {
    this[WRITTEN].set({ conditions });
  }
  get limit(): number | undefined {
    return this[WRITTEN].read().limit;
  }
  set limit(limit: number | undefined) {
    this[WRITTEN].set({ limit });
  }
  get offset(): number | undefined {
    return this[WRITTEN].read().offset;
  }
  set offset(offset: number | undefined) {
    this[WRITTEN].set({ offset });
  }
  get sort(): QuerySort | undefined {
    return this[WRITTEN].read().sort;
  }
  set sort(sort: QuerySort | undefined) {
    this[WRITTEN].set({ sort });
  }
  get select(): QuerySelect | undefined {
    return this[WRITTEN].read().select;
  }
  set select(select: QuerySelect | undefined) {
    this[WRITTEN].set({ select });
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The query of a URL, until code changes what it says. */
class QueryText {
  readonly text: string;
  readonly #scope: (() => QueryScope) | undefined;
  #read: Mutable<WrittenQuery> | undefined;
  #original = '';

  constructor(text: string, scope: (() => QueryScope) | undefined) {
    this.text = text;
    this.#scope = scope;
  }

  read(): WrittenQuery {
    if (this.#read === undefined) {
      this.#read = { ...writtenQuery(this.text, this.#scope?.()) };
      this.#original = fingerprint(this.#read);
    }
    return this.#read;
  }

  set(part: Partial<WrittenQuery>): void {
    this.read();
    this.#read = Object.assign(this.#read ?? {}, part) as WrittenQuery;
  }

  get isUntouched(): boolean {
    return this.#read === undefined || fingerprint(this.#read) === this.#original;
  }
}

/** Conditions may hold numbers beyond those of JSON. */
const fingerprint = (query: WrittenQuery): string =>
  JSON.stringify(query, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));

/** Whether the query is still the one of the URL: then its text says more than its conditions. */
export const isUntouched = (target: RequestTarget): boolean =>
  target[WRITTEN].isUntouched && target.rowFilter === undefined;

/** What is wanted of one record: a query of it that selects nothing may mean anything else. */
export function selectFor(target: RequestTarget): QuerySelect | undefined {
  const written = target[WRITTEN];
  return written.isUntouched && !written.text.startsWith('select(') ? undefined : target.select;
}

/** Marks a target whose client may not do what it asked, unless the code says otherwise. */
export function deny(target: RequestTarget, error: Error): void {
  target.checkPermission = true;
  target[DENIED] = error;
}

/** Throws for a denied target, unless the code has taken the check upon itself. */
export function requirePermission(target: unknown): void {
  if (!(target instanceof RequestTarget)) return;
  const error = target[DENIED];
  if (error !== undefined && target.checkPermission) throw error;
}

function idOf(path: string): string | undefined {
  const inner = path.replace(/^\//, '').replace(/\/$/, '');
  if (inner === '') return undefined;
  try {
    return decodeURIComponent(inner);
  } catch {
    return inner;
  }
}

/** `/Name/id?query`, as code writes it. */
function partsOf(text: string): RequestTargetParts {
  const mark = text.indexOf('?');
  return mark === -1 ? { path: text } : { path: text.slice(0, mark), query: text.slice(mark + 1) };
}
