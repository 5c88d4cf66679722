/** How a subscription on `/live` is to be served: what is asked for beside what is followed. */

import { type HistoryWish, historyWish } from '../../feed/history-wish.ts';

export interface Wishes {
  /** Position to resume from. */
  readonly from: string | undefined;
  /** Bursts a second. */
  readonly maxRate: number | undefined;
  readonly omitCurrent: boolean;
  /** Changes as merge patches. */
  readonly delta: boolean;
  /** Changes of the past first. */
  readonly history: HistoryWish | undefined;
}

const RATE_MAX = 1_000;

/** What is wrong, if it cannot be read. */
export function parseWishes(fields: Readonly<Record<string, unknown>>): Wishes | string {
  const { from, maxRate, omitCurrent, delta, history } = fields;
  if (from !== undefined && typeof from !== 'string') return '`from` is a text';
  const rate = parseRate(maxRate);
  if (maxRate !== undefined && rate === undefined) {
    return `\`maxRate\` is a number above 0 and at most ${RATE_MAX}`;
  }
  if (delta !== undefined && delta !== 'merge-patch') {
    return '`delta` is "merge-patch", the only form there is';
  }
  const past = parseHistory(history);
  if (history !== undefined && past === undefined) {
    return '`history` is a number of changes, or { "since": an instant, "last": a number }';
  }
  const isDelta = delta !== undefined;
  return {
    ...{ from, maxRate: rate, omitCurrent: omitCurrent === true, delta: isDelta, history: past },
  };
}

function parseHistory(value: unknown): HistoryWish | undefined {
  if (typeof value === 'number') return historyWish(value, undefined);
  if (typeof value !== 'object' || value === null) return undefined;
  const { since, last } = value as { since?: unknown; last?: unknown };
  return historyWish(last, since);
}

function parseRate(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value <= RATE_MAX ? value : undefined;
}
