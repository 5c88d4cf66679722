/**
 * Record keys: from a URL to a key, and back. A key is text, or a safe integer where the primary
 * key is `Int` or `Long`; slashes are part of it, so that a topic such as `news/sport` is a key.
 * `parseRecordId(d, formatRecordId(id))` is `id` for every key that can be stored.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from './definition.ts';

/** Longest key in UTF-8, bytes; the same number as `LIMITS.recordKeyBytesMax`. */
export const RECORD_KEY_BYTES_MAX = 1978;

/** Control characters, and surrogates without their partner (they have no UTF-8 form). */
const UNSTORABLE = /[\x00-\x1f\x7f\p{Surrogate}]/u;

export interface KeyProblem {
  readonly code: 'KEY_INVALID' | 'KEY_TOO_LONG';
  readonly message: string;
}

export type ParsedKey = RecordId | KeyProblem;

type KeyOwner = Pick<TableDefinition, 'primaryKeyType' | 'primaryKey' | 'attributes'>;

/** Whether parsing a key failed. */
export const isKeyProblem = (key: ParsedKey): key is KeyProblem => typeof key === 'object';

/**
 * The key that stands in a URL after `/<table>/`, still percent-encoded. A problem when it is
 * empty, badly encoded, too long, holds control characters, or is no number where one is wanted.
 */
export function parseRecordId(definition: KeyOwner, encoded: string): ParsedKey {
  if (!encoded.includes('%')) return checkRecordId(definition, encoded);
  // Every encoded byte takes three characters: beyond this it is too long however it decodes.
  if (encoded.length > RECORD_KEY_BYTES_MAX * 3) return tooLong();
  let decoded: string;
  try {
    decoded = decodeURIComponent(encoded);
  } catch {
    return invalid('the key is not percent-encoded UTF-8');
  }
  return checkRecordId(definition, decoded);
}

/** The same for a key that came decoded: from a body, a topic, an origin's event. */
export function checkRecordId(definition: KeyOwner, key: unknown): ParsedKey {
  if (definition.primaryKeyType === 'number') return numberKey(definition, key);
  const text = typeof key === 'number' && Number.isSafeInteger(key) ? String(key) : key;
  if (typeof text !== 'string') return invalid(`a key is text, not ${typeof key}`);
  if (text === '') return invalid('the key is empty');
  // UTF-16 units bound the bytes from both sides; only keys in between are measured.
  if (text.length > RECORD_KEY_BYTES_MAX) return tooLong();
  if (text.length * 3 > RECORD_KEY_BYTES_MAX && Buffer.byteLength(text) > RECORD_KEY_BYTES_MAX) {
    return tooLong();
  }
  if (UNSTORABLE.test(text)) return invalid('the key holds a control or half a character');
  return text;
}

const INT_MAX = 2_147_483_647;

/** One spelling a number: `7` is a key, `07`, `+7` and `7.0` are not. */
function numberKey(definition: KeyOwner, key: unknown): ParsedKey {
  const written = typeof key === 'number' ? String(key) : key;
  const number = Number(written);
  if (typeof written !== 'string' || String(number) !== written || !Number.isSafeInteger(number)) {
    return invalid(`${definition.primaryKey} is a whole number`);
  }
  const isInt = definition.attributes.some((each) => each.primaryKey && each.type === 'Int');
  if (isInt && (number > INT_MAX || number < -INT_MAX - 1)) {
    return invalid(`${definition.primaryKey} has 32 bits`);
  }
  return number;
}

const invalid = (message: string): KeyProblem => ({ code: 'KEY_INVALID', message });
const tooLong = (): KeyProblem => ({
  code: 'KEY_TOO_LONG',
  message: `a key has at most ${RECORD_KEY_BYTES_MAX} bytes`,
});

/**
 * The key as it stands in a URL. Slashes stay, so that topics read as paths, except where a client
 * would normalise them away (an empty segment at either end or in between).
 */
export function formatRecordId(id: RecordId): string {
  const encoded = encodeURIComponent(id);
  if (!encoded.includes('%2F')) return encoded;
  const path = encoded.replaceAll('%2F', '/');
  return path.startsWith('/') || path.endsWith('/') || path.includes('//') ? encoded : path;
}

/** Where new keys come from: randomness and the node's range of numbers are given, not taken. */
export interface KeySource {
  uuid(): string;
  /** The next number of the node's range for this table (see `id-range.ts`). */
  nextNumber(): number;
}

/** A key for a record that came without one. */
export function newRecordId(
  definition: Pick<TableDefinition, 'primaryKeyType'>,
  source: KeySource,
): RecordId {
  return definition.primaryKeyType === 'number' ? source.nextNumber() : source.uuid();
}
