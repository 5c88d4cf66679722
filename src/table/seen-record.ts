/**
 * What of one record somebody sees through a view: all of it, a part with an entity tag of its own,
 * or nothing. The tag is of the bytes they get, so it tells of nothing else.
 */
import { createHash } from 'node:crypto';
import { type EntityTag, entityTag, type RecordId } from '../base/brands.ts';
import type { Row } from './query/query.ts';
import { maskedRow, type RowView } from './query/row-view.ts';

/** A record as it is held. */
export interface RecordFacts {
  readonly id: RecordId;
  readonly row: Row;
  readonly entityTag: EntityTag;
  /** Its body is JSON: bytes have no attributes of which some could be left out. */
  readonly isRecord: boolean;
}

export type Seen =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly row: Row }
  | { readonly kind: 'nothing' };

const NOTHING: Seen = { kind: 'nothing' };
const WHOLE: Seen = { kind: 'whole' };

export function seenOf(view: RowView, { id, row, isRecord }: Omit<RecordFacts, 'entityTag'>): Seen {
  if (!view.covers(row, id)) return NOTHING;
  const mask = view.maskOf(row, id);
  if (mask === undefined) return WHOLE;
  return isRecord ? { kind: 'part', row: maskedRow(row, mask) } : NOTHING;
}

/** The tag of the bytes that somebody gets of a record. */
export function partTag(json: Uint8Array): EntityTag {
  const digest = createHash('sha256').update(json).digest('base64url').slice(0, 22);
  return entityTag(`"${digest}"`);
}

/** The tag by which they know the record; `undefined` when they do not see it. */
export function seenTag(view: RowView | undefined, facts: RecordFacts): EntityTag | undefined {
  const seen = view === undefined ? WHOLE : seenOf(view, facts);
  if (seen.kind === 'whole') return facts.entityTag;
  return seen.kind === 'part' ? partTag(Buffer.from(JSON.stringify(seen.row))) : undefined;
}
