/**
 * Where an answer ended, as clients hold it: opaque text that belongs to one query. It names a
 * place in an order, not a number of rows, so rows that come and go before it move nothing.
 */
import type { RecordId } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import type { IndexValue } from '../../cache/entry.ts';
import type { QueryValue } from './query.ts';

/** `rows`: in the order of the way they were found; `sorted`: in the order of the sort keys. */
export type Place =
  | { readonly kind: 'rows'; readonly access: string; readonly steps: readonly Step[] }
  | { readonly kind: 'sorted'; readonly keys: readonly QueryValue[]; readonly id: RecordId };

/** The last record of a way; in a union the branch comes before it. */
export type Step =
  | { readonly branch: number }
  | { readonly id: RecordId; readonly value?: IndexValue | undefined };

/** Beyond this a cursor would not fit into a URL beside its query. */
const CURSOR_CHARS_MAX = 4_096;

/** `undefined` when the place cannot be said shortly enough. */
export function formatCursor(place: Place, signature: string): string | undefined {
  const content =
    place.kind === 'rows'
      ? [fingerprint(signature), fingerprint(place.access), place.steps]
      : [fingerprint(signature), place.keys.map(packed), place.id];
  const text = Buffer.from(JSON.stringify(content)).toString('base64url');
  return text.length > CURSOR_CHARS_MAX ? undefined : text;
}

export type ParsedCursor =
  | { readonly kind: 'rows'; readonly accessPrint: number; readonly steps: readonly Step[] }
  | Extract<Place, { kind: 'sorted' }>;

/** Throws `QUERY_INVALID` for text that is no cursor, or one of another query. */
export function parseCursor(text: string, signature: string, isSorted: boolean): ParsedCursor {
  const content = decoded(text);
  if (!Array.isArray(content) || content.length !== 3) throw invalid('it is no cursor');
  const [query, second, third] = content as readonly unknown[];
  if (query !== fingerprint(signature)) throw invalid('it belongs to another query');
  if (isSorted && Array.isArray(second) && isId(third)) {
    return { kind: 'sorted', keys: second.map(unpacked), id: third };
  }
  if (isSorted || typeof second !== 'number' || !Array.isArray(third) || !third.every(isStep)) {
    throw invalid('it is no cursor');
  }
  return { kind: 'rows', accessPrint: second, steps: third };
}

function decoded(text: string): unknown {
  try {
    return text.length > CURSOR_CHARS_MAX
      ? undefined
      : JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}

const isId = (value: unknown): value is RecordId =>
  typeof value === 'number' || (typeof value === 'string' && value !== '');

function isStep(value: unknown): value is Step {
  if (typeof value !== 'object' || value === null) return false;
  const { branch, id, value: indexed } = value as Readonly<Record<string, unknown>>;
  if (Number.isSafeInteger(branch)) return true;
  const isIndexValue = indexed === undefined || indexed === null || typeof indexed !== 'object';
  return isId(id) && isIndexValue;
}

/** JSON has no big integers. */
const packed = (value: QueryValue): unknown =>
  typeof value === 'bigint' ? [String(value)] : value;

function unpacked(value: unknown): QueryValue {
  if (Array.isArray(value)) {
    const [digits] = value as readonly unknown[];
    if (typeof digits === 'string' && /^-?\d{1,400}$/.test(digits)) return BigInt(digits);
    throw invalid('it is no cursor');
  }
  if (typeof value === 'object' && value !== null) throw invalid('it is no cursor');
  return value as QueryValue;
}

/** FNV-1a: tells queries apart, protects nothing. */
export function fingerprint(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

const invalid = (why: string): NodeError =>
  new NodeError('QUERY_INVALID', `after() cannot go on: ${why}`, { blame: 'client' });
