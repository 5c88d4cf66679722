/**
 * Messages to somebody who sees a part of the table. What is said of rows, a subscription's filter
 * shows; a message is no row, and is held against the view by what it would be as one.
 */
import type { RecordId } from '../base/brands.ts';
import { maskedRow, type RowView } from '../table/query/row-view.ts';

/**
 * The JSON of a message about a key; `undefined` when it is not to be seen. A message has no row:
 * where the view asks something of rows, it must be one that would be in it.
 */
export function seenMessage(
  view: RowView,
  primaryKey: string,
  id: RecordId,
  value: string,
): string | undefined {
  if (!view.coversKey(id)) return undefined;
  const body = objectIn(value);
  if (body === undefined) return view.isMasked || !view.isOfKeysOnly ? undefined : value;
  const row = { ...body, [primaryKey]: id };
  if (!view.covers(row, id)) return undefined;
  const mask = view.maskOf(row, id);
  return mask === undefined ? value : JSON.stringify(maskedRow(body, mask));
}

function objectIn(value: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
