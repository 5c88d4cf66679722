/**
 * The bytes of a record as the store keeps them and a `GET` answers them: one UTF-8 JSON object
 * that names its own key. The origin's bytes are kept as they came when they already are that;
 * anything which is no JSON object is refused, so that garbage is never cached.
 */
import type { RecordId } from '../base/brands.ts';
import type { JsonRecord } from './definition.ts';
import { originError } from './failures.ts';

export interface RecordPlace {
  readonly origin: string;
  readonly id: RecordId;
  readonly primaryKey: string;
  /** What is no JSON is kept as it comes. */
  readonly takesBytes?: boolean | undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const BOM = [0xef, 0xbb, 0xbf];

/** Canonical bytes of a record that arrived as bytes; throws `ORIGIN_BODY_INVALID`. */
export function recordOfBytes(bytes: Uint8Array, place: RecordPlace): Uint8Array {
  const body = BOM.every((byte, index) => bytes[index] === byte) ? bytes.subarray(3) : bytes;
  const record = parseRecord(body, place);
  return hasKey(record, place)
    ? ownBytes(body)
    : encode({ ...record, [place.primaryKey]: place.id }, place);
}

/**
 * `bytes` in memory of their own size. What comes from a socket is a small view of a large buffer:
 * kept, it would hold the whole; sent to another thread, the whole would be copied.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  const owned = bytes.byteLength === bytes.buffer.byteLength;
  return owned ? bytes : new Uint8Array(bytes);
}

/** Canonical bytes of a record that arrived as an object; throws `ORIGIN_BODY_INVALID`. */
export function recordOfObject(record: JsonRecord, place: RecordPlace): Uint8Array {
  if (!isRecord(record)) throw notAnObject(record, place);
  return encode(
    hasKey(record, place) ? record : { ...record, [place.primaryKey]: place.id },
    place,
  );
}

/** The JSON object in `bytes`; throws `ORIGIN_BODY_INVALID`. */
export function parseRecord(bytes: Uint8Array, place: RecordPlace): JsonRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    const message = `${who(place)} is not JSON in UTF-8`;
    throw originError('ORIGIN_BODY_INVALID', message, { retry: 'never', cause });
  }
  if (!isRecord(parsed)) throw notAnObject(parsed, place);
  return parsed;
}

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The key may be a number here and a string there; which one is the schema's business. */
const hasKey = (record: JsonRecord, place: RecordPlace): boolean =>
  Object.hasOwn(record, place.primaryKey) && String(record[place.primaryKey]) === String(place.id);

function encode(record: JsonRecord, place: RecordPlace): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(record));
  } catch (cause) {
    const message = `${who(place)} cannot be written as JSON`;
    throw originError('ORIGIN_BODY_INVALID', message, { retry: 'never', cause });
  }
}

function notAnObject(value: unknown, place: RecordPlace): Error {
  const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
  return originError('ORIGIN_BODY_INVALID', `${who(place)} is ${found}, not a JSON object`, {
    retry: 'never',
    details: { origin: place.origin, id: place.id },
  });
}

const who = (place: RecordPlace): string =>
  `what origin ${place.origin} answered for ${place.primaryKey} ${JSON.stringify(place.id)}`;
