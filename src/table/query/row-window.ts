/**
 * The part of a query's rows that `sort()` and `limit()` show, as a subscription uses it: the order
 * of single rows, and from where to where.
 */
import type { RecordId } from '../../base/brands.ts';
import { LIMITS } from '../../config/limits.ts';
import { NOTHING_RELATED, sortValue } from './matches.ts';
import { nameOf } from './parse-value.ts';
import type { Query, QueryValue, Row } from './query.ts';
import { queryInvalid } from './query-error.ts';
import { type Ranked, rankingOf } from './top-rows.ts';

export interface RowWindow {
  /** The same for the same order and part. */
  readonly key: string;
  readonly offset: number;
  readonly end: number;
  /** What `sort()` names. */
  readonly attributes: readonly string[];
  keysOf(row: Row, id: RecordId): readonly QueryValue[];
  compare(one: Ranked, other: Ranked): number;
}

/** `undefined` for a query without either; throws `QUERY_INVALID`. */
export function rowWindow(
  sort: Query['sort'] | undefined,
  rows: { readonly offset: number; readonly limit: number } | undefined,
): RowWindow | undefined {
  if (rows === undefined) {
    if (sort === undefined) return undefined;
    throw queryInvalid('a subscription that sorts says how many rows it shows: add limit()', 0);
  }
  const { offset } = rows;
  const end = offset + rows.limit;
  if (end > LIMITS.windowRowsMax) {
    const what = `a subscription shows rows up to the ${LIMITS.windowRowsMax}th, not the ${end}th`;
    throw queryInvalid(what, 0);
  }
  const keys = sort ?? [];
  const values = keys.map(({ field, isDescending }) =>
    sortValue(field, isDescending, NOTHING_RELATED),
  );
  const order = keys.map((key) => `${key.isDescending ? '-' : '+'}${nameOf(key.field)}`);
  return {
    key: `${order.join(',')} ${offset}-${end}`,
    offset,
    end,
    attributes: keys.flatMap(({ field }) => field.path.slice(0, 1)),
    keysOf: (row, id) => values.map((value) => value(row, id)),
    compare: rankingOf(keys),
  };
}
