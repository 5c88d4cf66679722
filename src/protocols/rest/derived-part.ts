/**
 * A part of a record that says more than the record: related records, computed attributes. It
 * changes when the record itself does not, so its entity tag names its own bytes, it has no
 * modification date, and no cache may use it without asking.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../../cache/entry.ts';
import { joinedTables } from '../../table/query/joined-tables.ts';
import type { Select } from '../../table/query/query.ts';
import { formatCacheGroups, recordGroup, tableGroup } from '../../table/record-groups.ts';
import { notModified } from '../http/conditional.ts';
import { contentTypeOf, type Offer } from './formats/negotiate.ts';
import { letters, type Projection } from './projection.ts';
import { representationTag } from './representation.ts';
import { namesGroups, type RestCall, unstoredHeaders } from './rest-call.ts';

/** In place of the number of bytes sent. */
export const NOT_MODIFIED = -1;

export interface DerivedAnswer {
  readonly cacheStatus: string;
  readonly offer: Offer;
  readonly part: Projection | undefined;
}

/** Answers 200 and yields the bytes of the body, or answers 304 and yields `NOT_MODIFIED`. */
export function replyDerived(
  call: RestCall,
  entry: Entry,
  answer: DerivedAnswer & { readonly part: Projection },
): number {
  const { exchange, resource } = call;
  const { part, offer, cacheStatus } = answer;
  const json = resource.table.part(entry, part.select, part.views);
  const digest = createHash('sha256').update(part.tagSuffix).update(json).digest();
  const suffix = `+${letters(digest.readBigUInt64BE())}${offer.format.tagSuffix}`;
  const tag = representationTag(entry.entityTag, suffix);
  const headers = [
    ...['content-type', contentTypeOf(offer), 'etag', tag, 'cache-status', cacheStatus],
    ...unstoredHeaders(call),
  ];
  if (namesGroups(call)) headers.push('cache-groups', groupsOf(call, entry, part.select));
  const ifNoneMatch = exchange.request.header('if-none-match');
  const known = { ifNoneMatch, ifModifiedSince: undefined };
  if (ifNoneMatch !== undefined && notModified(known, tag, entry.lastModified)) {
    exchange.reply(304, headers);
    return NOT_MODIFIED;
  }
  const body = offer.format.encodeRecord(json, {
    definition: resource.table.definition,
    columns: part.select.selections.map((selection) => selection.name),
  });
  exchange.reply(200, headers, body);
  return body.length;
}

/** Related records are not named one by one: which they are may change with any of them. */
function groupsOf({ resource }: RestCall, { id, version }: Entry, select: Select): string {
  const joined = joinedTables({ select, sort: [], filter: undefined });
  const { typeName } = resource.table.definition;
  const groups = [...joined].map((table) => tableGroup(table.typeName));
  return formatCacheGroups([recordGroup(typeName, id, version), ...groups]);
}
