/**
 * What a request to a resource is aimed at: an id or the collection, and the parameters of its
 * query. Given to every method of a `Resource`; also made by code that calls a table.
 */
import type { RecordId } from '../base/brands.ts';
import type { Comparator, QueryCondition, QuerySort } from './query-object.ts';

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
}

const DENIED = Symbol.for('millrace.targetDenied');
const ORIGINAL = Symbol.for('millrace.targetOriginal');

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
  conditions: QueryCondition[];
  limit: number | undefined;
  offset: number | undefined;
  sort: QuerySort | undefined;
  select: string | readonly string[] | undefined;
  [DENIED]: Error | undefined;
  readonly [ORIGINAL]: string;

  constructor(parts: RequestTargetParts | string = {}) {
    const given = typeof parts === 'string' ? { path: parts } : parts;
    super(given.query ?? '');
    this.pathname = given.path ?? '';
    this.search = given.query === undefined || given.query === '' ? '' : `?${given.query}`;
    this.params = given.params ?? {};
    this.wildcard = given.wildcard;
    this.isCollection = given.isCollection ?? this.pathname.endsWith('/');
    this.id = given.id ?? this.params.id ?? idOf(this.pathname);
    this.conditions = conditionsOf(this);
    this[ORIGINAL] = JSON.stringify(this.conditions);
  }
}

/** Whether the query is still the one of the URL: then its text says more than its conditions. */
export const isUntouched = (target: RequestTarget): boolean =>
  target[ORIGINAL] === JSON.stringify(target.conditions) &&
  [target.limit, target.offset, target.sort, target.select].every((each) => each === undefined);

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

const RESERVED = /^(?:select|sort|limit|after|explain)\(/;
const COMPARATORS: Readonly<Record<string, Comparator>> = {
  ne: 'not_equal',
  lt: 'less_than',
  le: 'less_than_equal',
  gt: 'greater_than',
  ge: 'greater_than_equal',
  sw: 'starts_with',
  ew: 'ends_with',
  ct: 'contains',
};

/** The plain conditions of a query string: `a=b`, `a=gt=3`. */
function conditionsOf(target: RequestTarget): QueryCondition[] {
  const conditions: QueryCondition[] = [];
  for (const [attribute, text] of target) {
    if (RESERVED.test(attribute) || attribute === '') continue;
    const [, name = '', value = text] = /^(ne|lt|le|gt|ge|sw|ew|ct)=(.*)$/s.exec(text) ?? [];
    conditions.push({ attribute, comparator: COMPARATORS[name] ?? 'equals', value });
  }
  return conditions;
}
