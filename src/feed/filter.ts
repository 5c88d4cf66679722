/**
 * Conditions of a collection subscription: equality on declared attributes, all of which must hold.
 * A filter has a canonical key, so that subscribers with the same conditions share one evaluation
 * per change. Rows are parsed JSON; an attribute that is a list matches when it contains the value.
 */
import { NodeError } from '../base/errors.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { AttributeDefinition, TableDefinition } from '../schema/definition.ts';

export interface RowFilter {
  /** The same for the same conditions in any order. */
  readonly key: string;
  matches(row: unknown): boolean;
  /** A condition which an index can answer. */
  readonly indexed?: { readonly attribute: string; readonly value: IndexValue } | undefined;
}

/** An attribute and the text that the client wrote for its value. */
export type Condition = readonly [attribute: string, text: string];

interface Equality {
  readonly attribute: AttributeDefinition;
  readonly value: IndexValue;
}

/**
 * The filter of `conditions`; `undefined` when there are none. Throws `QUERY_INVALID` for an
 * attribute which the table does not declare or a value which is not of its type.
 */
export function equalityFilter(
  table: TableDefinition,
  conditions: readonly Condition[],
): RowFilter | undefined {
  if (conditions.length === 0) return undefined;
  const equalities = conditions
    .map((condition) => parseEquality(table, condition))
    .sort((a, b) => (a.attribute.name < b.attribute.name ? -1 : 1));
  const indexed = equalities.find((equality) => equality.attribute.indexed);
  return {
    key: JSON.stringify(equalities.map(({ attribute, value }) => [attribute.name, value])),
    matches: (row) => equalities.every((equality) => holds(equality, row)),
    indexed: indexed && { attribute: indexed.attribute.name, value: indexed.value },
  };
}

function holds({ attribute, value }: Equality, row: unknown): boolean {
  if (typeof row !== 'object' || row === null) return false;
  const found: unknown = (row as Record<string, unknown>)[attribute.name];
  if (Array.isArray(found))
    return found.some((element) => comparable(attribute, element) === value);
  return comparable(attribute, found) === value;
}

/** Dates stand in rows as numbers or texts, and are compared as instants. */
const comparable = (attribute: AttributeDefinition, found: unknown): unknown =>
  attribute.type === 'Date' && typeof found === 'string' ? Date.parse(found) : (found ?? null);

function parseEquality(table: TableDefinition, [name, text]: Condition): Equality {
  const attribute = table.attributes.find((candidate) => candidate.name === name);
  if (attribute === undefined || attribute.hidden) {
    throw invalid(`${table.typeName} has no attribute ${JSON.stringify(name)}`, name);
  }
  if (/^(?:eq|ne|gt|ge|lt|le|ct|sw|ew|in)=/.test(text)) {
    throw invalid(`a subscription's conditions can only be equalities; ${name} has another`, name);
  }
  return { attribute, value: parseValue(attribute, text) };
}

function parseValue(attribute: AttributeDefinition, text: string): IndexValue {
  if (text === 'null' && !attribute.required) return null;
  switch (attribute.type) {
    case 'Int':
    case 'Long':
    case 'Float': {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      if (Number.isFinite(value)) return value;
      throw invalid(
        `${attribute.name} is a number; ${JSON.stringify(text)} is none`,
        attribute.name,
      );
    }
    case 'Date': {
      const value = /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
      if (!Number.isNaN(value)) return value;
      throw invalid(`${attribute.name} is a date; ${JSON.stringify(text)} is none`, attribute.name);
    }
    case 'Boolean':
      if (text === 'true' || text === 'false') return text === 'true';
      throw invalid(`${attribute.name} is true or false`, attribute.name);
    default:
      return text;
  }
}

const invalid = (message: string, attribute: string) =>
  new NodeError('QUERY_INVALID', message, { blame: 'client', details: { attribute } });
