/**
 * The conditions and the order of a search, as they stand in the document of an operation, checked
 * in every member before a query is made of them.
 */
import { LIMITS } from '../config/limits.ts';
import type {
  Comparator,
  ConditionGroup,
  QueryCondition,
  QuerySort,
} from '../resource/query-object.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { type Arguments, usage } from './operation.ts';
import { either, isObject } from './record-arguments.ts';

const COMPARATORS: readonly Comparator[] = [
  ...(['equals', 'not_equal', 'contains', 'starts_with', 'ends_with', 'between'] as const),
  ...(['greater_than', 'greater_than_equal', 'less_than', 'less_than_equal'] as const),
];
const TEXT_COMPARATORS: readonly Comparator[] = ['contains', 'starts_with', 'ends_with'];
const MEMBERS = [
  ...['attribute', 'search_attribute', 'comparator', 'search_type', 'value', 'search_value'],
];

/** The group that `operator` and `conditions` of a document make; groups may hold groups. */
export function conditionsArgument(definition: TableDefinition, args: Arguments): ConditionGroup {
  const count = { left: LIMITS.queryConditionsMax };
  return groupOf(definition, args, 'conditions', 1, count);
}

function groupOf(
  definition: TableDefinition,
  { operator = 'and', conditions }: Arguments,
  where: string,
  depth: number,
  count: { left: number },
): ConditionGroup {
  if (operator !== 'and' && operator !== 'or') throw usage(`operator of ${where}: "and" or "or"`);
  if (!Array.isArray(conditions) || conditions.length === 0) {
    throw usage(`${where}: a list of conditions, with an entry`);
  }
  if (depth > LIMITS.queryNestingMax) {
    throw usage(`${where}: groups nest at most ${LIMITS.queryNestingMax} deep`, 'queryNestingMax');
  }
  const read = (condition: unknown, index: number): QueryCondition => {
    const place = `${where}[${index}]`;
    count.left -= 1;
    if (count.left < 0) {
      const most = LIMITS.queryConditionsMax;
      throw usage(`conditions: at most ${most} in all`, 'queryConditionsMax');
    }
    if (!isObject(condition)) throw usage(`${place}: a condition is an object`);
    if (condition.conditions === undefined) return conditionOf(definition, condition, place);
    return groupOf(definition, condition, `${place}.conditions`, depth + 1, count);
  };
  return { operator, conditions: conditions.map(read) };
}

function conditionOf(
  definition: TableDefinition,
  condition: Arguments,
  place: string,
): QueryCondition {
  const unknown = Object.keys(condition).find((member) => !MEMBERS.includes(member));
  if (unknown !== undefined) {
    throw usage(`${place} takes no ${unknown}; it takes attribute, comparator and value`);
  }
  const attribute = attributeOf(either(condition, 'attribute', 'search_attribute'), place);
  const named = either(condition, 'comparator', 'search_type') ?? 'equals';
  const comparator = COMPARATORS.find((known) => known === named);
  if (comparator === undefined) {
    throw usage(
      `${place}: there is no comparator ${JSON.stringify(named)}; ` +
        `there are ${COMPARATORS.join(', ')}`,
    );
  }
  const value = either(condition, 'value', 'search_value');
  checkValue(definition, attribute, comparator, value, place);
  return { attribute, comparator, value };
}

/** A name, or the way into nested objects. */
export function attributeOf(value: unknown, place: string): string | readonly string[] {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isWay = parts.every((part) => typeof part === 'string' && part !== '');
  if (isWay && parts.length > 0 && parts.length <= LIMITS.queryNestingMax) {
    return value as string | readonly string[];
  }
  throw usage(`${place}: attribute: the name of an attribute, or a list that leads into objects`);
}

/** Throws `USAGE` for what the attribute could never be compared with. */
function checkValue(
  definition: TableDefinition,
  attribute: string | readonly string[],
  comparator: Comparator,
  value: unknown,
  place: string,
): void {
  if (TEXT_COMPARATORS.includes(comparator)) {
    if (typeof value !== 'string') throw usage(`${place}: value: ${comparator} takes text`);
    return;
  }
  const isPair = comparator === 'between';
  if (isPair && !(Array.isArray(value) && value.length === 2)) {
    throw usage(`${place}: value: between takes a list of two values`);
  }
  const mayBeNull = comparator === 'equals' || comparator === 'not_equal';
  const type = definition.attributes.find(({ name }) => name === attribute)?.type;
  for (const one of isPair ? (value as readonly unknown[]) : [value]) {
    if (mayBeNull && one === null) continue;
    const isPlain = ['string', 'number', 'boolean'].includes(typeof one);
    if (!isPlain) throw usage(`${place}: value: text, a number, true or false, not ${said(one)}`);
    if (isOfType(type, one)) continue;
    throw usage(`${place}: value: ${String(attribute)} is ${said(type)}, never ${said(one)}`);
  }
}

const said = (value: unknown): string => JSON.stringify(value) ?? 'nothing';

/** Whether the value is, or as text reads as, one of the declared type. */
function isOfType(type: unknown, value: unknown): boolean {
  const text = String(value).trim();
  switch (type) {
    case 'Int':
    case 'Long':
    case 'Float':
      return text !== '' && Number.isFinite(Number(text)) && typeof value !== 'boolean';
    case 'BigInt':
      return /^-?\d{1,310}$/.test(text);
    case 'Boolean':
      return text === 'true' || text === 'false';
    case 'Date':
      return /^-?\d{1,16}$/.test(text) || !Number.isNaN(Date.parse(text));
    default:
      return true;
  }
}

/** `{"attribute": "price", "descending": true, "next": {…}}` */
export function sortArgument(sort: unknown, depth = 1): QuerySort | undefined {
  if (sort === undefined) return undefined;
  if (!isObject(sort)) {
    throw usage('sort: an object with attribute, and perhaps descending and next');
  }
  if (depth > LIMITS.querySortKeysMax) {
    throw usage(`sort: at most ${LIMITS.querySortKeysMax} attributes`, 'querySortKeysMax');
  }
  const { attribute, descending = false, next, ...others } = sort;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw usage(`sort takes no ${unknown}`);
  if (typeof descending !== 'boolean') throw usage('sort: descending: true or false');
  return {
    attribute: attributeOf(attribute, 'sort'),
    descending,
    next: sortArgument(next, depth + 1),
  };
}
