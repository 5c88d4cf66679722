/**
 * One page of a table in key order. A page ends between records, never between the variants of one,
 * so that an id is enough to go on from; it also ends when its time is up, since a long read
 * transaction keeps the engine from using its free pages again.
 */
import type { RecordId } from '../base/brands.ts';
import type { Entry } from '../cache/entry.ts';
import type { ScanOptions, ScanPage } from '../table/store-port.ts';
import { HIGH, type Key, type RangeOptions } from './engine.ts';
import { elementsOf, entryKey, idOfKey, isBeneath, isHashedKey } from './keys.ts';
import type { TableTrees } from './tables.ts';

export interface ScanDriver {
  /** Rows as other nodes are to see them: what lies beneath local ones, and not those. */
  readonly isShared?: boolean | undefined;
  readonly isOver: () => boolean;
  /** The entry in `bytes`; `undefined` when they are none (it is then reported and left out). */
  readonly see: (key: Key, id: RecordId | undefined, bytes: Uint8Array) => Entry | undefined;
  readonly visit: (entry: Entry) => boolean | undefined;
}

/** Above every text. */
const LAST_CODE_POINT = '\u{10ffff}';

export function scanTable(table: TableTrees, options: ScanOptions, driver: ScanDriver): ScanPage {
  const page = { visited: 0, lastId: undefined as RecordId | undefined, isFull: false };
  for (const range of rangesOf(options)) {
    table.entries.range(range, (key, bytes) => {
      if (driver.isShared !== true && isBeneath(key)) return true;
      const entry = driver.see(key, idOfKey(key), bytes);
      if (driver.isShared === true && entry?.isLocal === true) return true;
      if (entry === undefined || !isWanted(entry.id, options.prefix)) return true;
      const isNext = entry.id !== page.lastId;
      if (isNext && (page.visited >= options.limit || (page.visited > 0 && driver.isOver()))) {
        page.isFull = true;
        return false;
      }
      page.lastId = entry.id;
      page.visited += 1;
      page.isFull = driver.visit(entry) === false;
      return !page.isFull;
    });
    if (page.isFull) break;
  }
  return { next: page.isFull ? page.lastId : undefined };
}

const isWanted = (id: RecordId, prefix: string | undefined): boolean =>
  prefix === undefined || (typeof id === 'string' && id.startsWith(prefix));

/**
 * Hashed keys come before all others and in no order of their ids: with a prefix they are sifted.
 */
function rangesOf({ after, prefix }: ScanOptions): RangeOptions[] {
  const last = after === undefined ? undefined : entryKey(after, '');
  // Past all variants of the last id.
  const start: Key = last === undefined ? false : [...elementsOf(last), HIGH];
  if (prefix === undefined) return [{ start, end: HIGH }];
  const among: RangeOptions = {
    start: last !== undefined && !isHashedKey(last) ? start : prefix,
    end: `${prefix}${LAST_CODE_POINT}`,
  };
  if (last !== undefined && !isHashedKey(last)) return [among];
  return [{ start, end: [true, HIGH] }, among];
}
