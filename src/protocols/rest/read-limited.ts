/**
 * A record to somebody who does not see all of the table. A record outside of their view is
 * answered exactly as one that is not there. One of which they see a part is a representation of
 * its own: its entity tag is of the bytes they get, and nothing else tells when the rest of it was
 * changed.
 */
import { epochMs } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import type { Entry } from '../../cache/entry.ts';
import { holdsRecord, recordJson } from '../../cache/record-json.ts';
import type { RowView } from '../../table/query/row-view.ts';
import { parseRow } from '../../table/query/rows.ts';
import { formatCacheGroups, recordGroup } from '../../table/record-groups.ts';
import { partTag, seenOf } from '../../table/seen-record.ts';
import { notModified } from '../http/conditional.ts';
import { replyProblem } from '../http/problem.ts';
import { NOT_MODIFIED } from './derived-part.ts';
import { contentTypeOf, type Offer } from './formats/negotiate.ts';
import type { Projection } from './projection.ts';
import { representationTag } from './representation.ts';
import { namesGroups, type RestCall, unstoredHeaders } from './rest-call.ts';

/** `whole`: as anybody would be answered; `part`: the JSON of what they see. */
export type SeenEntry =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly json: Uint8Array }
  | { readonly kind: 'nothing' };

/** When the part was last changed is not known: the record's own date tells of the rest. */
const NO_DATE = epochMs(0);

/** What of an entry is seen. Call it inside the answer of a read. */
export function seenEntry(
  call: RestCall,
  view: RowView,
  entry: Entry,
  part: Projection | undefined,
): SeenEntry {
  const { table } = call.resource;
  const row = parseRow(recordJson(entry, table.definition.primaryKey));
  const seen = seenOf(view, { id: entry.id, row, isRecord: holdsRecord(entry) });
  if (seen.kind !== 'part') return seen;
  if (part === undefined) return { kind: 'part', json: Buffer.from(JSON.stringify(seen.row)) };
  const [only] = part.select.selections;
  const isBare = part.select.shape === 'value' && only !== undefined;
  const isHidden = isBare && view.maskOf(row, entry.id)?.(only.name) === false;
  if (isHidden) return { kind: 'nothing' };
  return { kind: 'part', json: table.part(entry, part.select, part.views) };
}

/** Answers 200 and yields the bytes of the body, or answers 304 and yields `NOT_MODIFIED`. */
export function replyPart(
  call: RestCall,
  { id }: Pick<Entry, 'id'>,
  json: Uint8Array,
  answer: {
    readonly cacheStatus: string;
    readonly offer: Offer;
    readonly part: Projection | undefined;
  },
): number {
  const { exchange, resource } = call;
  const { definition } = resource.table;
  const { offer, part } = answer;
  const tag = representationTag(partTag(json), offer.format.tagSuffix);
  const headers = [
    ...['content-type', contentTypeOf(offer), 'etag', tag, 'cache-status', answer.cacheStatus],
    ...unstoredHeaders(call),
  ];
  if (namesGroups(call)) {
    headers.push('cache-groups', formatCacheGroups([recordGroup(definition.typeName, id)]));
  }
  const ifNoneMatch = exchange.request.header('if-none-match');
  if (ifNoneMatch !== undefined) {
    const known = { ifNoneMatch, ifModifiedSince: undefined };
    if (notModified(known, tag, NO_DATE)) {
      exchange.reply(304, headers);
      return NOT_MODIFIED;
    }
  }
  const columns = part?.select.selections.map((selection) => selection.name);
  const body = offer.format.encodeRecord(json, { definition, columns });
  exchange.reply(200, headers, body);
  return body.length;
}

/** The same whether there is no such record or one that is not to be seen. */
export function replyUnseen(call: RestCall): void {
  replyProblem(call.exchange, absentRecord(call, 404), [
    ...['cache-control', 'private, no-cache', 'vary', 'authorization'],
  ]);
}

export function absentRecord(call: RestCall, status: number): NodeError {
  const name = call.resource.table.definition.typeName;
  return new NodeError('NOT_FOUND', `there is no ${name}${decodedPath(call.rest)}`, {
    blame: 'client',
    details: { status },
  });
}

function decodedPath(rest: string): string {
  try {
    return decodeURIComponent(rest);
  } catch {
    return rest;
  }
}
