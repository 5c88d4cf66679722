/**
 * Which writes bring bytes instead of a record: those of a media type that is no format of records,
 * to a table that can hold them.
 */
import { isJsonType } from '../../../cache/record-json.ts';
import type { TableDefinition } from '../../../schema/definition.ts';
import { barsBytes } from '../../../table/bytes-draft.ts';
import { mediaType } from '../json-body.ts';
import type { RestCall } from '../rest-call.ts';
import { bodyFormat, SERVED_TYPES } from './negotiate.ts';
import { encodedBody, unsupportedType } from './read-body.ts';

/** [RFC9110 §8.3.1], bounded: it is stored with every body and sent with every answer. */
const FIELD =
  /^[\w!#$%&'*+.^`|~-]{1,127}\/[\w!#$%&'*+.^`|~-]{1,127}(?:[ \t]*;[\x20-\x7e\t]{0,255})?$/;

/** What forms send, and what clients send that were not told what they have: never meant so. */
const FORMS: ReadonlySet<string> = new Set([
  'application/x-www-form-urlencoded',
  'multipart/form-data',
]);

/**
 * The type of the bytes, as the client wrote it; `undefined` for a record. Throws
 * `CONTENT_TYPE_UNSUPPORTED` for what this table cannot take, before the body is read.
 */
export function bytesType({ exchange, resource }: RestCall): string | undefined {
  if (bodyFormat(exchange) !== undefined) return undefined;
  const { request } = exchange;
  const field = request.header('content-type')?.trim() ?? '';
  const type = mediaType(field) ?? '';
  const { definition } = resource.table;
  const bar = barOf(definition, field, type);
  if (bar !== undefined) throw unsupportedType(type, SERVED_TYPES, definition, bar);
  const coding = request.header('content-encoding');
  if (coding !== undefined && coding !== 'identity') throw encodedBody(coding);
  return field;
}

/** The type of the bytes for a `Blob` attribute: any; those of an unknown type if none is said. */
export function blobType({ exchange, resource }: RestCall): string {
  const { request } = exchange;
  const field = request.header('content-type')?.trim() ?? 'application/octet-stream';
  const coding = request.header('content-encoding');
  if (coding !== undefined && coding !== 'identity') throw encodedBody(coding);
  if (FIELD.test(field) && !FORMS.has(mediaType(field) ?? '')) return field;
  const { definition } = resource.table;
  throw unsupportedType(field, SERVED_TYPES, definition, 'that is no media type of bytes');
}

function barOf(definition: TableDefinition, field: string, type: string): string | undefined {
  if (FORMS.has(type)) return 'forms are not kept';
  if (isJsonType(type)) return 'JSON is sent as application/json';
  if (!FIELD.test(field)) return 'that is no media type';
  if (definition.sourcedFrom?.write === 'through') return 'its origin takes records only';
  const bar = barsBytes(definition);
  return bar === undefined ? undefined : `${bar}, so it holds no bytes of other types`;
}
