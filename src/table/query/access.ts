/**
 * The ways to the rows of a filter: one record, a scan, a span of an index, several of these one
 * after the other, or by way of the records they are related to. Found from the filter alone; which
 * one is taken is `plan.ts`'s choice.
 *
 * `covers` holds the conditions which every row that comes this way satisfies; the others must be
 * looked at in the row.
 */
import type { RecordId } from '../../base/brands.ts';
import type { IndexValue } from '../../cache/entry.ts';
import type { AttributeDefinition } from '../../schema/definition.ts';
import { indexValueOf, isExact } from '../../schema/indexed-values.ts';
import type { IndexSpan } from '../store-port.ts';
import { compareValues } from './compare.ts';
import type { Bound, Condition, Field, Filter, QueryValue, Test } from './query.ts';
import type { Relation } from './scope.ts';
import { filterKey } from './signature.ts';

export type Access =
  | (AccessBase & { readonly kind: 'empty' })
  | (AccessBase & { readonly kind: 'record'; readonly id: RecordId })
  | (AccessBase & { readonly kind: 'scan'; readonly prefix: string | undefined })
  | (AccessBase & {
      readonly kind: 'index';
      readonly span: IndexSpan;
      /** A record may stand several times in the span. */
      readonly mayRepeat: boolean;
    })
  | (AccessBase & { readonly kind: 'union'; readonly branches: readonly Branch[] })
  | (AccessBase & {
      /** The related rows first, then from the value of each to the rows here. */
      readonly kind: 'join';
      readonly relation: Relation;
      readonly inner: Access;
      /** To be looked at in each related row. */
      readonly residual: Filter | undefined;
    });

interface AccessBase {
  /** The same for the same way; a cursor names it. */
  readonly name: string;
  readonly covers: readonly Filter[];
}

export interface Branch {
  readonly access: Access;
  readonly filter: Filter;
  /** No row of this branch is one of a branch before it. */
  readonly isApart: boolean;
}

export const SCAN: Access = { kind: 'scan', name: 'scan', prefix: undefined, covers: [] };

/** The conditions all of which must hold. */
export const conjuncts = (filter: Filter | undefined): readonly Filter[] =>
  filter === undefined ? [] : filter.kind === 'and' ? filter.filters : [filter];

/** Decides between ways where one leads to another. */
export interface Choose {
  /** The way of one branch of a union. */
  among(accesses: readonly Access[]): Access | undefined;
  /** The way to related rows; `undefined` when it would cost more than it saves. */
  related(relation: Relation, filter: Filter): Access | undefined;
}

/** Every way that is narrower than a scan of the whole table. */
export function accessesOf(filter: Filter | undefined, choose: Choose): readonly Access[] {
  const filters = conjuncts(filter);
  const found: Access[] = [];
  for (const each of filters) {
    if (each.kind === 'or') found.push(...unionOf(each.filters, each, choose));
    else if (each.kind === 'condition' && !isMergeable(each)) found.push(...conditionAccess(each));
  }
  return [...keySpans(filters), ...found, ...mergedRanges(filters), ...joins(filters, choose)];
}

/**
 * Pages below a host, or below a path of one, stand next to each other by their keys. Each is
 * looked at all the same: another key may begin with the host as well (`a.test`, `a.test.net`).
 */
function keySpans(filters: readonly Filter[]): readonly Access[] {
  const starts = filters.filter(isInKey('start'));
  const host = starts.find(({ field, test }) => field.path[0] === 'host' && test.kind === 'eq');
  const path = host && filters.find(isInKey('afterHost'));
  const below = path === undefined ? '' : textOf(path);
  if (host !== undefined && path !== undefined && below.length > 1 && below.startsWith('/')) {
    const name = `${filterKey(host)},${filterKey(path)}`;
    return [{ kind: 'scan', name, prefix: textOf(host) + below, covers: [] }];
  }
  const [longest] = starts.sort((one, other) => textOf(other).length - textOf(one).length);
  if (longest === undefined) return [];
  return [{ kind: 'scan', name: filterKey(longest), prefix: textOf(longest), covers: [] }];
}

const isInKey =
  (place: Field['inKey']) =>
  (filter: Filter): filter is Condition =>
    filter.kind === 'condition' &&
    filter.field.inKey === place &&
    filter.field.joined === undefined &&
    textOf(filter) !== '' &&
    (filter.test.kind === 'eq' || filter.isVeiled !== true);

/** What a text must be, or begin with; '' when that is not said. */
function textOf({ test }: Condition): string {
  if (test.kind === 'prefix') return test.text;
  return test.kind === 'eq' && typeof test.value === 'string' ? test.value : '';
}

/** What is left of a filter when an access has answered its part. */
export function residualOf(filter: Filter | undefined, { covers }: Access): Filter | undefined {
  const left = conjuncts(filter).filter((each) => !covers.includes(each));
  return left.length > 1 ? { kind: 'and', filters: left } : left[0];
}

/** Conditions on one related record are one way; those on several each find their own. */
function joins(filters: readonly Filter[], choose: Choose): readonly Access[] {
  const groups = new Map<unknown, { readonly covers: Filter[]; readonly filters: Filter[] }>();
  for (const each of filters) {
    if (each.kind !== 'condition' || each.field.joined === undefined) continue;
    const { relation, field } = each.field.joined;
    const key = relation.isList || relation.here.isMultiple ? each : relation.name;
    const group = groups.get(key) ?? { covers: [], filters: [] };
    group.covers.push(each);
    group.filters.push({ ...each, field });
    groups.set(key, group);
  }
  return [...groups.values()].flatMap((group) => joinAccess(group, choose));
}

function joinAccess(
  group: { readonly covers: readonly Filter[]; readonly filters: readonly Filter[] },
  choose: Choose,
): readonly Access[] {
  const { covers, filters } = group;
  const [first] = covers;
  const relation = first?.kind === 'condition' ? first.field.joined?.relation : undefined;
  const [only] = filters;
  if (relation === undefined || only === undefined) return [];
  if (!relation.here.isKey && relation.here.indexed === undefined) return [];
  const filter: Filter = filters.length === 1 ? only : { kind: 'and', filters };
  const inner = choose.related(relation, filter);
  if (inner === undefined) return [];
  const name = `join ${covers.map(filterKey).sort().join()}`;
  return [{ kind: 'join', name, relation, inner, residual: residualOf(filter, inner), covers }];
}

function unionOf(filters: readonly Filter[], whole: Filter, choose: Choose): readonly Access[] {
  const branches: Branch[] = [];
  const seen = new Set<string>();
  const apart = areApart(filters);
  for (const filter of filters) {
    const key = filterKey(filter);
    if (seen.has(key)) continue;
    seen.add(key);
    const access = choose.among(accessesOf(filter, choose));
    if (access === undefined) return [];
    branches.push({ access, filter, isApart: apart });
  }
  return [{ kind: 'union', name: `union ${filterKey(whole)}`, branches, covers: [whole] }];
}

/** Equalities of one attribute which has one value a record: no two hold of the same. */
function areApart(filters: readonly Filter[]): boolean {
  const [first] = filters;
  if (first?.kind !== 'condition' || first.field.isMultiple) return false;
  return filters.every(
    (each) =>
      each.kind === 'condition' && each.test.kind === 'eq' && isSame(each.field, first.field),
  );
}

const isSame = (one: Field, other: Field): boolean => one.path.join('.') === other.path.join('.');

function conditionAccess(condition: Condition): readonly Access[] {
  const { field, test } = condition;
  const name = filterKey(condition);
  if (field.isKey) return keyAccess(condition, name);
  const { indexed } = field;
  if (indexed === undefined) return [];
  // All rows under one value tell no more of it than the grant does; a span would tell the order.
  if (condition.isVeiled === true && test.kind !== 'eq') return [];
  if (test.kind === 'eq') return equalAccess(indexed, test.value, condition, name);
  if (test.kind === 'prefix') {
    const covers = isSurePrefix(test.text) ? [condition] : [];
    const span = { attribute: indexed.name, prefix: test.text };
    return [{ kind: 'index', name, span, mayRepeat: field.isMultiple, covers }];
  }
  return test.kind === 'range' ? rangeAccess(indexed, [condition], field.isMultiple, name) : [];
}

function keyAccess(condition: Condition, name: string): readonly Access[] {
  const { test } = condition;
  const covers = [condition];
  if (test.kind === 'prefix') return [{ kind: 'scan', name, prefix: test.text, covers }];
  if (test.kind === 'key' && test.prefix !== undefined) {
    return [{ kind: 'scan', name, prefix: test.prefix, covers: [] }];
  }
  if (test.kind !== 'eq') return [];
  const { value } = test;
  const isId = typeof value === 'string' ? value !== '' : Number.isSafeInteger(value);
  if (!isId) return [{ kind: 'empty', name, covers }];
  return [{ kind: 'record', name, id: value as RecordId, covers }];
}

function equalAccess(
  attribute: AttributeDefinition,
  value: QueryValue,
  condition: Condition,
  name: string,
): readonly Access[] {
  const element = indexValueOf(attribute, value);
  if (element === undefined || element === Number.POSITIVE_INFINITY) return [];
  const span = { attribute: attribute.name, from: element, to: element };
  const covers = isSureElement(attribute, element) ? [condition] : [];
  return [{ kind: 'index', name, span, mayRepeat: false, covers }];
}

/**
 * Whether all rows under an element of the index have the value it was made of. The replacement
 * character stands there for text that has no UTF-8 form as well.
 */
export const isSureElement = (attribute: AttributeDefinition, element: IndexValue): boolean =>
  isExact(attribute, element) && !(typeof element === 'string' && element.includes('\ufffd'));

const SURE_PREFIX_CHARS_MAX = 30;

const isSurePrefix = (text: string): boolean =>
  text.length <= SURE_PREFIX_CHARS_MAX && !text.includes('\ufffd');

/** Ranges of one attribute with one value a record are one span of its index. */
const isMergeable = ({ field, test, isVeiled }: Condition): boolean =>
  test.kind === 'range' && field.indexed !== undefined && !field.isMultiple && isVeiled !== true;

function mergedRanges(filters: readonly Filter[]): readonly Access[] {
  const groups = new Map<string, Condition[]>();
  for (const each of filters) {
    if (each.kind !== 'condition' || !isMergeable(each)) continue;
    const test = each.test as Extract<Test, { kind: 'range' }>;
    const key = `${each.field.path[0]} ${typeof (test.from ?? test.to)?.value}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()].flatMap((group) => {
    const attribute = group[0]?.field.indexed;
    const name = group.map(filterKey).sort().join();
    return attribute === undefined ? [] : rangeAccess(attribute, group, false, name);
  });
}

function rangeAccess(
  attribute: AttributeDefinition,
  conditions: readonly Condition[],
  mayRepeat: boolean,
  name: string,
): readonly Access[] {
  let from: Bound | undefined;
  let to: Bound | undefined;
  for (const { test } of conditions) {
    if (test.kind !== 'range') continue;
    from = tighter(from, test.from, 1);
    to = tighter(to, test.to, -1);
  }
  const order = from === undefined || to === undefined ? -1 : compareValues(from.value, to.value);
  const isOpen = from?.isOpen === true || to?.isOpen === true;
  if (order > 0 || (order === 0 && isOpen)) return [{ kind: 'empty', name, covers: conditions }];
  // Long texts are shortened and whole numbers rounded in the index: its span may hold too much.
  const isSureKind = typeof (from ?? to)?.value !== 'string' && attribute.type !== 'BigInt';
  const span: IndexSpan = {
    attribute: attribute.name,
    from: from && indexBound(from),
    to: to && indexBound(to),
    fromOpen: isSureKind && from?.isOpen === true,
    toOpen: isSureKind && to?.isOpen === true,
  };
  return [{ kind: 'index', name, span, mayRepeat, covers: isSureKind ? conditions : [] }];
}

const indexBound = ({ value }: Bound): IndexValue =>
  typeof value === 'bigint' ? Number(value) : value;

/** The bound that admits less; `direction` 1 for lower ones. */
function tighter(
  one: Bound | undefined,
  other: Bound | undefined,
  direction: 1 | -1,
): Bound | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const order = compareValues(one.value, other.value) * direction;
  if (order === 0) return one.isOpen ? one : other;
  return order > 0 ? one : other;
}
