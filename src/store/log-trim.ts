/**
 * Retention of the change log by age, bytes and entries, whichever is reached first. A few of the
 * oldest entries go with every commit, always more than the commit brought, so the log shrinks to
 * its bounds without ever being scanned.
 */
import { sequence } from '../base/brands.ts';
import { decodeChange } from './change-format.ts';
import type { Batch } from './commit/batch.ts';
import { HIGH } from './engine.ts';

export interface LogRetention {
  readonly daysMax: number;
  readonly bytesMax: number;
  readonly entriesMax: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const STEP = 32;

/** Removes at most twice what this batch appended, and a few more. */
export function trimLog(batch: Batch, retention: LogRetention): void {
  const { log } = batch.trees;
  const due: { key: number; bytes: number }[] = [];
  const max = STEP + batch.changes.length * 2;
  let { logEntries, logBytes } = batch.state;
  if (logEntries === 0) return;
  log.range({ start: 0, end: HIGH, limit: max }, (key, value) => {
    if (typeof key !== 'number') return false;
    const isOver = logEntries > retention.entriesMax || logBytes > retention.bytesMax;
    if (!isOver) {
      const { at } = decodeChange(sequence(key), value);
      if (batch.now - at <= retention.daysMax * DAY_MS) return false;
    }
    due.push({ key, bytes: value.length });
    logEntries -= 1;
    logBytes -= value.length;
    return true;
  });
  for (const { key, bytes } of due) {
    log.remove(key);
    batch.trimmed(sequence(key), bytes);
  }
}
