/**
 * How records become keys of the engine. A record id is its own key, so that a read makes nothing;
 * an id with a variant is a sequence of two. Ids which the engine cannot hold as they are (above
 * 1 KiB, or texts its key codec does not keep apart) are stored under a digest, in a sequence that
 * begins with `true`, which no id does; the whole id is then in the entry's meta and compared.
 * Ids are well-formed Unicode: whoever takes them from outside refuses halves of surrogate pairs.
 */
import { createHash } from 'node:crypto';
import type { RecordId } from '../base/brands.ts';
import type { IndexValue } from '../cache/entry.ts';
import type { Key } from './engine.ts';

/** Longest id, in bytes of UTF-8, that is its own key. */
const PLAIN_ID_BYTES_MAX = 1024;
const PLAIN_VARIANT_LENGTH_MAX = 128;
const PLAIN_INDEX_LENGTH_MAX = 160;
/** Texts below this length survive the key codec whatever they hold. */
const SAFE_LENGTH = 64;
/** What the key codec confuses in longer texts: its separators, and halves of surrogate pairs. */
const CONFUSABLE = /[\0-\x04]|\p{Surrogate}/u;

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');

const isPlain = (text: string): boolean =>
  text.length < SAFE_LENGTH ||
  (!CONFUSABLE.test(text) &&
    (text.length * 3 <= PLAIN_ID_BYTES_MAX || Buffer.byteLength(text) <= PLAIN_ID_BYTES_MAX));

const variantElement = (variant: string): string =>
  variant.length < PLAIN_VARIANT_LENGTH_MAX && isPlain(variant) ? variant : `#${digest(variant)}`;

/** The key of an entry; `variant` is '' for an entry without variants. */
export function entryKey(id: RecordId, variant: string): Key {
  // Adding zero turns -0 into 0: they are one record.
  if (typeof id === 'number') return variant === '' ? id + 0 : [id + 0, variantElement(variant)];
  if (isPlain(id)) return variant === '' ? id : [id, variantElement(variant)];
  return variant === '' ? [true, digest(id)] : [true, digest(id), variantElement(variant)];
}

/**
 * Under this variant the shared row stands over which a local one lies: `commit/local-rows.ts`. It
 * is no text that a table without an origin has for a variant.
 */
const BENEATH = '\0beneath';

export const keyBeneath = (id: RecordId): Key => entryKey(id, BENEATH);

export const isBeneath = (key: Key): boolean => Array.isArray(key) && key.at(-1) === BENEATH;

export const isHashedKey = (key: Key): boolean => Array.isArray(key) && key[0] === true;

/** The id which a key stands for; `undefined` when only the entry's meta knows it. */
export function idOfKey(key: Key): RecordId | undefined {
  const first = Array.isArray(key) ? key[0] : key;
  return typeof first === 'string' || typeof first === 'number' ? first : undefined;
}

/** The parts of a key, to be put behind others in a longer one. */
export const elementsOf = (key: Key): readonly Key[] =>
  Array.isArray(key) ? key : [key as Exclude<Key, readonly Key[]>];

/** The key made of parts, as `elementsOf` gave them. */
export const keyOfElements = (elements: readonly Key[]): Key =>
  elements.length === 1 ? (elements[0] ?? null) : elements;

/** A value as it stands in an index: long texts keep their beginning, for order, and a digest. */
export function indexElement(value: IndexValue): Exclude<IndexValue, undefined> {
  if (typeof value === 'number') return value + 0;
  if (typeof value !== 'string') return value;
  if (value.length < SAFE_LENGTH) return value;
  if (value.length <= PLAIN_INDEX_LENGTH_MAX && isPlain(value)) return value;
  return `${value.slice(0, 32)}#${digest(value)}`;
}

const RANKS = { boolean: 1, number: 2, string: 3 } as const;

function rankOf(element: Key): number {
  if (element === null) return 0;
  if (element instanceof Uint8Array) return 4;
  const type = typeof element;
  return type === 'object' ? 4 : RANKS[type as keyof typeof RANKS];
}

/** Kinds first, then values; a sequence element by element, the shorter one first. */
export function compareKeys(left: Key, right: Key): number {
  const one = Array.isArray(left) ? (left as readonly Key[]) : [left];
  const other = Array.isArray(right) ? (right as readonly Key[]) : [right];
  for (let at = 0; at < one.length && at < other.length; at += 1) {
    const order = compareElements(one[at] ?? null, other[at] ?? null);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

function compareElements(left: Key, right: Key): number {
  const ranks = rankOf(left) - rankOf(right);
  if (ranks !== 0) return ranks;
  if (typeof left === 'string' && typeof right === 'string') {
    return left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right));
  }
  return Number(left) - Number(right) || 0;
}
