/**
 * Compressed forms of stored pages: made off the request path after the second hit by somebody who
 * could have used one, kept beside the page, and sent under an entity tag of their own. What the
 * renderer coded itself stays as it came, and so does what it says must not be transformed.
 *
 * A range is one of the identity form, always; a client that has either form gets a 304.
 */
import { entityTag } from '../../base/brands.ts';
import { type Entry, NEVER } from '../../cache/entry.ts';
import { fieldOf, filterFields, membersOf } from '../../cache/pages/fields.ts';
import type { CachePolicy } from '../../cache/policy.ts';
import { parseEntityTag } from '../../cache/reply-fields.ts';
import type { Coding } from '../http/codings.ts';
import { notModified } from '../http/conditional.ts';
import { codingFor, type Encodings, isCompressible } from '../http/encodings.ts';
import type { Exchange } from '../http/port.ts';

/** Whether a page of so many bytes (`undefined`: as yet unknown) may get compressed forms. */
export function mayEncode(
  status: number,
  lines: readonly string[],
  bytes: number | undefined,
  { settings }: CachePolicy,
): boolean {
  const { compress, minBytesToCompress, enabled } = settings.store;
  if (status !== 200 || !enabled || compress.length === 0) return false;
  if (bytes !== undefined && bytes < minBytesToCompress) return false;
  if (fieldOf(lines, 'content-encoding') !== undefined) return false;
  const type = fieldOf(lines, 'content-type');
  if (type === undefined || !isCompressible(type)) return false;
  // [RFC9110 §7.7]
  return !/\bno-transform\b/i.test(fieldOf(lines, 'cache-control') ?? '');
}

/** The lines with `Accept-Encoding` among those by which the answer varies. */
export function varyingByCoding(lines: readonly string[]): string[] {
  const named = membersOf(fieldOf(lines, 'vary'));
  const isNamed = named.some((name) => name === '*' || name.toLowerCase() === 'accept-encoding');
  if (isNamed) return [...lines];
  const others = filterFields(lines, (name) => name !== 'vary');
  return [...others, 'vary', [...named, 'accept-encoding'].join(', ')];
}

export interface EncodedAnswer {
  readonly page: { readonly entry: Entry; readonly variant: string };
  /** As stored, and as told of the identity form. */
  readonly lines: readonly string[];
  readonly headers: readonly string[];
}

/** Whether the page was answered in a compressed form, or with a 304 for one. */
export function replyEncoded(
  exchange: Exchange,
  { page, lines, headers }: EncodedAnswer,
  encodings: Encodings,
): boolean {
  const { request } = exchange;
  const { entry, variant } = page;
  if (request.header('range') !== undefined) return false;
  const type = fieldOf(lines, 'content-type') ?? '';
  const coding = codingFor(encodings, exchange, type, entry.bodyLength);
  if (coding === undefined) return false;
  const told = ofForm(headers, coding);
  if (hasForm(exchange, told)) {
    const kept = filterFields(told, (name) => !name.startsWith('content-'));
    exchange.reply(304, kept);
    return true;
  }
  const send = (form: Uint8Array | undefined): boolean => {
    if (form === undefined || form.length >= entry.bodyLength) return false;
    exchange.reply(200, told, form);
    return true;
  };
  // A tag that is not the renderer's own is made of the bytes, and cannot stand for others.
  const since = fieldOf(lines, 'etag') === undefined ? NEVER : entry.storedAt;
  return encodings.bodies.withBody(entry, coding, send, { of: variant, since });
}

/** The fields of a form: a strong tag names these very bytes [RFC9110 §8.8.3.3]. */
function ofForm(headers: readonly string[], coding: Coding): string[] {
  const told = [...headers, 'content-encoding', coding];
  for (let at = 1; at < told.length; at += 2) {
    const tag = told[at - 1] === 'etag' ? told[at] : undefined;
    if (tag?.startsWith('"')) told[at] = `${tag.slice(0, -1)}+${coding}"`;
  }
  return told;
}

/** The client says by its tag that it has this form. */
function hasForm({ request }: Exchange, told: readonly string[]): boolean {
  const ifNoneMatch = request.header('if-none-match');
  const tag = fieldOf(told, 'etag');
  if (ifNoneMatch === undefined || ifNoneMatch === '*' || tag === undefined) return false;
  return notModified({ ifNoneMatch }, parseEntityTag(tag) ?? entityTag(tag), undefined);
}
