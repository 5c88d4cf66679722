/**
 * Removing entries whose retention is over, and evicting for room. Both pop the expiry index,
 * oldest first, a page at a time and within a budget of time; nothing is ever scanned for what is
 * due. Tombstones go the same way when their retention ends.
 */
import type { Clock } from '../base/clock.ts';
import { sweepBodies } from './bodies.ts';
import type { Batch, EvictionReason } from './commit/batch.ts';
import { uncover } from './commit/local-rows.ts';
import { outdateReaders } from './commit/named-records.ts';
import { expiryEnd, expiryUnit, removeRow, rowAt } from './commit/rows.ts';
import { HIGH, type Key } from './engine.ts';
import { idOfKey, keyOfElements } from './keys.ts';
import type { TableTrees } from './tables.ts';

export interface SweepLimits {
  readonly batchMax: number;
  readonly budgetMs: number;
  /** High-water mark of a table's bytes; `undefined` when it has none. */
  readonly tableBytesMax: (table: TableTrees) => number | undefined;
}

export interface SweepResult {
  removed: number;
  /** The budget ended before the work did: sweep again soon. */
  more: boolean;
}

/** Elements of an expiry key before those of the entry's key. */
const EXPIRY_HEAD = 2;
/** Evicting for room stops this far below the mark, so that it does not start with every fill. */
const LOW_WATER = 0.9;

export function sweepExpired(batch: Batch, clock: Clock, limits: SweepLimits): SweepResult {
  const until = clock.monotonic() + limits.budgetMs;
  const result = { removed: 0, more: false };
  for (const table of batch.trees.tables.values()) {
    const room = limits.batchMax - result.removed;
    if (room <= 0 || clock.monotonic() > until) return { ...result, more: true };
    const end = expiryEnd(table, batch.now);
    const due = batch.trees.expiry.keys({ start: [table.name], end, limit: room });
    for (const key of due) {
      if (clock.monotonic() > until) return { ...result, more: true };
      pop(batch, table, key, undefined);
      result.removed += 1;
    }
    // A full page: there may be more behind it, of the last table too.
    result.more ||= due.length === room;
  }
  const bodies = sweepBodies(batch.trees.bodies, batch.now, limits.batchMax);
  result.removed += bodies;
  result.more ||= bodies === limits.batchMax;
  return result;
}

/** Evicts from the caches that are above their mark. */
export function evictForRoom(batch: Batch, clock: Clock, limits: SweepLimits): SweepResult {
  const until = clock.monotonic() + limits.budgetMs;
  const result = { removed: 0, more: false };
  for (const table of batch.trees.tables.values()) {
    if (!table.sourced) continue;
    const excess = excessOf(batch, table, limits);
    if (excess <= 0) continue;
    if (clock.monotonic() > until) return { ...result, more: true };
    const removed = evictOldest(batch, clock, table, excess, limits.batchMax, until);
    result.removed += removed;
    // What cannot be evicted (tombstones) is no reason to try again at once.
    result.more ||= removed > 0 && excessOf(batch, table, limits) > 0;
  }
  return result;
}

/** Bytes to evict to get below the low-water mark; 0 when the table is within its bound. */
function excessOf(batch: Batch, table: TableTrees, limits: SweepLimits): number {
  const max = limits.tableBytesMax(table);
  if (max === undefined) return 0;
  const { bytes } = batch.sizeOf(table.name);
  return bytes > max ? bytes - max * LOW_WATER : 0;
}

function evictOldest(
  batch: Batch,
  clock: Clock,
  table: TableTrees,
  excess: number,
  max: number,
  until: number,
): number {
  const before = batch.sizeOf(table.name).bytes;
  const oldest = batch.trees.expiry.keys({
    start: [table.name],
    end: [table.name, HIGH],
    limit: max,
  });
  let removed = 0;
  for (const key of oldest) {
    if (before - batch.sizeOf(table.name).bytes >= excess || clock.monotonic() > until) break;
    pop(batch, table, key, 'pressure');
    removed += 1;
  }
  return removed;
}

/** Removes the entry that an expiry key names; tombstones only when they are due. */
function pop(
  batch: Batch,
  table: TableTrees,
  expiryKey: Key,
  reason: EvictionReason | undefined,
): void {
  const [, unit] = expiryKey as readonly Key[];
  const key = keyOfElements((expiryKey as readonly Key[]).slice(EXPIRY_HEAD));
  const row = rowAt(batch, table, key, idOfKey(key) ?? '', table.entries.get(key));
  if (row.entry?.kind === 'tombstone' && reason === 'pressure') return;
  const isGone = row.entry === undefined && row.ruinBytes === 0;
  if (isGone || (row.entry !== undefined && expiryUnit(row.entry.evictAt) !== unit)) {
    // Left behind by an entry that could not be decoded: whatever stands there now is not meant.
    batch.trees.expiry.remove(expiryKey);
    return;
  }
  const why = reason ?? (row.entry?.kind === 'tombstone' ? 'tombstone' : 'expired');
  if (row.entry?.isLocal === true) {
    const from = batch.changes.length;
    uncover(batch, row);
    outdateReaders(batch, from);
  } else removeRow(batch, row);
  batch.trees.expiry.remove(expiryKey);
  batch.noteEviction(table.name, why);
}
