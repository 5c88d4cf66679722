/**
 * The record of a request body, in whichever format the client sends it.
 */
import { NodeError } from '../../../base/errors.ts';
import type { TableDefinition } from '../../../schema/definition.ts';
import type { JsonRecord } from '../../../table/record-draft.ts';
import type { Exchange } from '../../http/port.ts';
import { type BodyLimits, mediaType } from '../json-body.ts';
import type { DecodedRecords, Format } from './format.ts';
import { JSON_FORMAT } from './json.ts';
import { bodyFormat, SERVED_TYPES } from './negotiate.ts';

export const MERGE_PATCH = 'application/merge-patch+json';

/**
 * Rejects with `CONTENT_TYPE_UNSUPPORTED` before reading the body, with `BODY_TOO_LARGE`, or with
 * `BODY_MALFORMED`. `also`: media types of JSON which this verb takes besides.
 */
export async function readRecordBody(
  exchange: Exchange,
  definition: TableDefinition,
  limits: BodyLimits,
  also: readonly string[] = [],
): Promise<JsonRecord> {
  const { format, bytes } = await readFormat(exchange, definition, limits, also);
  return format.decodeRecord(bytes, { ...limits, definition });
}

/** The same for a body that may be a list of records. */
export async function readRecordsBody(
  exchange: Exchange,
  definition: TableDefinition,
  limits: BodyLimits,
): Promise<DecodedRecords> {
  const { format, bytes } = await readFormat(exchange, definition, limits, []);
  return format.decodeRecords(bytes, { ...limits, definition });
}

async function readFormat(
  exchange: Exchange,
  definition: TableDefinition,
  limits: BodyLimits,
  also: readonly string[],
): Promise<{ readonly format: Format; readonly bytes: Uint8Array }> {
  const type = mediaType(exchange.request.header('content-type'));
  const isAlso = type !== undefined && also.includes(type);
  const format = isAlso ? JSON_FORMAT : bodyFormat(exchange);
  if (format === undefined) {
    throw unsupportedType(String(type), [...SERVED_TYPES, ...also], definition, undefined);
  }
  const coding = exchange.request.header('content-encoding');
  if (coding !== undefined && coding !== 'identity') throw encodedBody(coding);
  return { format, bytes: await exchange.body(limits.bytesMax) };
}

/** `why`: what keeps the table from taking the type as bytes. */
export function unsupportedType(
  type: string,
  accepted: readonly string[],
  { typeName }: TableDefinition,
  why: string | undefined,
): NodeError {
  const reason = why === undefined ? '' : ` (${why})`;
  const message =
    `${typeName} takes no ${type} here${reason}; send a record as one of ${accepted.join(', ')} ` +
    '(bytes can stand in a Bytes attribute as base64)';
  return new NodeError('CONTENT_TYPE_UNSUPPORTED', message, {
    blame: 'client',
    details: { accepted },
  });
}

export function encodedBody(coding: string): NodeError {
  const message = `content-encoding ${coding} is not accepted here; send no content-encoding`;
  return new NodeError('CONTENT_TYPE_UNSUPPORTED', message, {
    blame: 'client',
    details: { accepted: ['identity'] },
  });
}
