/**
 * A media type which the application taught the node, as a format of records. Its serializer wants
 * the whole value, so the rows of an answer are gathered before any is sent; how many there can be
 * is bounded by the limits of queries.
 */
import { NodeError } from '../../../base/errors.ts';
import type { ContentTypeHandler } from '../../../resource/content-types.ts';
import {
  asRecord,
  asRecords,
  type Format,
  NO_BYTES,
  parseStored,
  type RowWriter,
} from './format.ts';

export function customFormat(mediaType: string, handler: ContentTypeHandler): Format {
  const serialize = (value: unknown): Uint8Array => serialized(mediaType, handler, value);
  return {
    name: 'custom',
    mediaTypes: [mediaType],
    tagSuffix: `+${mediaType.replace(/[^\w]/g, '-')}`,
    encodeRecord: (json) => serialize(parseStored(json)),
    rowWriter: () => new GatheredRows(serialize),
    decodeRecord: (bytes) => asRecord(deserialized(mediaType, handler, bytes)),
    decodeRecords: (bytes) => asRecords(deserialized(mediaType, handler, bytes)),
  };
}

class GatheredRows implements RowWriter {
  readonly #rows: unknown[] = [];
  readonly #serialize: (value: unknown) => Uint8Array;

  constructor(serialize: (value: unknown) => Uint8Array) {
    this.#serialize = serialize;
  }

  rows(rows: readonly Uint8Array[]): Uint8Array {
    for (const row of rows) this.#rows.push(parseStored(row));
    return NO_BYTES;
  }

  end(): Uint8Array {
    return this.#serialize(this.#rows);
  }
}

/** Throws a `TypeError` when the application's code returns nothing that can be sent. */
export function serialized(
  mediaType: string,
  handler: ContentTypeHandler,
  value: unknown,
): Uint8Array {
  const made = handler.serialize?.(value);
  if (typeof made === 'string') return Buffer.from(made);
  if (made instanceof Uint8Array) return made;
  throw new TypeError(`serialize of ${mediaType} returned neither text nor bytes`);
}

/** Throws `BODY_MALFORMED` for what the application's code cannot read. */
export function deserialized(
  mediaType: string,
  handler: ContentTypeHandler,
  bytes: Uint8Array,
): unknown {
  try {
    return handler.deserialize?.(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodeError('BODY_MALFORMED', `the body is no ${mediaType}: ${why}`, {
      blame: 'client',
      cause,
    });
  }
}
