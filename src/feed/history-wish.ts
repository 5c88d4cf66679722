/** What a subscriber may want of the past, as every protocol asks for it. */
import { epochMs } from '../base/brands.ts';
import type { HistoryWish } from './history.ts';

export type { HistoryWish };

/**
 * At most `last` changes, or as many as a history has, and none before `since`: milliseconds since
 * 1970 or an instant of ISO 8601. `undefined` when neither can be read.
 */
export function historyWish(last: unknown, since: unknown): HistoryWish | undefined {
  const count = last === undefined ? Number.MAX_SAFE_INTEGER : Number(last);
  if (!Number.isInteger(count) || count < 1 || typeof last === 'boolean') return undefined;
  if (since === undefined)
    return last === undefined ? undefined : { last: count, since: undefined };
  const ms = typeof since === 'number' ? since : instantOf(since);
  return ms === undefined || !Number.isFinite(ms) ? undefined : { last: count, since: epochMs(ms) };
}

function instantOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return /^\d+$/.test(value) ? Number(value) : Date.parse(value);
}
