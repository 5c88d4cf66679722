/**
 * JSON of request bodies, within the limits of nesting; and media types of bodies. What is nested
 * too deeply is refused before it is parsed.
 */
import { NodeError } from '../../base/errors.ts';
import type { TableDefinition } from '../../schema/definition.ts';
import type { JsonRecord } from '../../table/record-draft.ts';
import { checkJsonStructure, type StructureLimits } from '../http/json-structure.ts';
import { withExactIntegers } from './exact-integers.ts';

export interface BodyLimits extends StructureLimits {
  readonly bytesMax: number;
}

/** `definition`: the body is one record of this table, or a list of them. */
interface JsonLimits extends StructureLimits {
  readonly definition?: TableDefinition | undefined;
}

/** What may lie beyond the numbers there are: `JSON.parse` makes it infinite, which is no JSON. */
const HUGE_NUMBER = /\d[eE]\+?\d{3}|\d{309}/;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The media type of a Content-Type field, without parameters. */
export function mediaType(field: string | undefined): string | undefined {
  if (field === undefined) return undefined;
  const end = field.indexOf(';');
  const type = (end === -1 ? field : field.slice(0, end)).trim().toLowerCase();
  return type === '' ? undefined : type;
}

export function parseJsonObject(bytes: Uint8Array, limits: JsonLimits): JsonRecord {
  const value = parseJson(bytes, limits);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('a record is a JSON object');
  }
  return value as JsonRecord;
}

/** Any JSON value within the limits of structure; throws `BODY_MALFORMED`. */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  checkJsonStructure(bytes, limits);
  try {
    const decoded = decoder.decode(bytes);
    const { definition } = limits;
    const text = definition === undefined ? decoded : withExactIntegers(decoded, definition);
    return JSON.parse(text, HUGE_NUMBER.test(text) ? refuseInfinity : undefined);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw malformed(bytes.length === 0 ? 'it is empty' : reason, cause);
  }
}

function refuseInfinity(name: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new RangeError(`${JSON.stringify(name)} is a number greater than 1.8e308`);
}

function malformed(why: string, cause?: unknown): NodeError {
  return new NodeError('BODY_MALFORMED', `the request body is not a JSON object: ${why}`, {
    blame: 'client',
    cause,
  });
}
