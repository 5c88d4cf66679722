/**
 * The query part of a collection URL: equality conditions joined by `&`, and `limit(end)` or
 * `limit(start,end)`. Values are converted by the declared type of their attribute. Whatever else
 * stands there is refused with its position, never ignored.
 */
import { NodeError } from '../../base/errors.ts';
import type { IndexValue } from '../../cache/entry.ts';
import type { AttributeDefinition, TableDefinition } from '../../schema/definition.ts';
import type { CollectionQuery, EqualityCondition } from '../../table/collection.ts';

export interface QueryLimits {
  readonly rowsDefault: number;
  readonly rowsMax: number;
}

const LIMIT = /^limit\((\d{1,9})(?:,(\d{1,9}))?\)$/;

/** Throws `QUERY_INVALID` with the position of what it cannot read. */
export function parseCollectionQuery(
  query: string,
  definition: TableDefinition,
  limits: QueryLimits,
): CollectionQuery {
  const conditions: EqualityCondition[] = [];
  let offset = 0;
  let limit = limits.rowsDefault;
  let position = 0;
  for (const term of query === '' ? [] : query.split('&')) {
    const range = LIMIT.exec(term);
    if (range !== null) {
      [offset, limit] = rowRange(range, limits, position);
    } else {
      conditions.push(parseCondition(term, definition, position));
    }
    position += term.length + 1;
  }
  return { conditions, offset, limit };
}

function rowRange(range: RegExpExecArray, limits: QueryLimits, position: number): [number, number] {
  const first = Number(range[1]);
  const [start, end] = range[2] === undefined ? [0, first] : [first, Number(range[2])];
  if (end < start) throw invalid('limit(start,end) ends before it starts', position);
  if (end - start > limits.rowsMax) {
    throw invalid(`limit() asks for more than the ${limits.rowsMax} rows of one answer`, position);
  }
  return [start, end - start];
}

function parseCondition(
  term: string,
  definition: TableDefinition,
  position: number,
): EqualityCondition {
  const equals = term.indexOf('=');
  if (equals <= 0)
    throw invalid(`${JSON.stringify(term)} is not attribute=value or limit()`, position);
  const name = decode(term.slice(0, equals), position);
  const attribute = definition.attributes.find((declared) => declared.name === name);
  if (attribute === undefined) {
    const known = definition.attributes.map((declared) => declared.name).join(', ');
    throw invalid(
      `${definition.typeName} has no attribute ${JSON.stringify(name)}; it has ${known}`,
      position,
    );
  }
  const value = decode(term.slice(equals + 1), position + equals + 1);
  return { attribute: name, value: convert(attribute, value, position + equals + 1) };
}

/** A value of the query by the attribute's declared type. */
function convert(attribute: AttributeDefinition, text: string, position: number): IndexValue {
  if (text === 'null') return null;
  switch (attribute.type) {
    case 'Int':
    case 'Long':
    case 'Float': {
      const value = Number(text);
      if (text.trim() === '' || !Number.isFinite(value)) {
        throw invalid(
          `${attribute.name} is a ${attribute.type}, not ${JSON.stringify(text)}`,
          position,
        );
      }
      return value;
    }
    case 'Date': {
      const value = /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
      if (Number.isNaN(value)) {
        throw invalid(`${attribute.name} is a Date, not ${JSON.stringify(text)}`, position);
      }
      return value;
    }
    case 'Boolean':
      if (text === 'true') return true;
      if (text === 'false') return false;
      throw invalid(`${attribute.name} is true or false, not ${JSON.stringify(text)}`, position);
    default:
      return text;
  }
}

function decode(text: string, position: number): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw invalid(`${JSON.stringify(text)} is not valid percent-encoding`, position, cause);
  }
}

function invalid(what: string, position: number, cause?: unknown): NodeError {
  return new NodeError('QUERY_INVALID', `query, position ${position}: ${what}`, {
    blame: 'client',
    details: { position },
    cause,
  });
}
