/**
 * The first rows in an order, of however many are shown: at most twice the number that is wanted is
 * held, and no more bytes than the budget.
 */
import type { RecordId } from '../../base/brands.ts';
import type { RowVerdict } from '../../cache/decide.ts';
import type { EntryFacts } from '../../cache/entry.ts';
import { LIMITS } from '../../config/limits.ts';
import { compareIds, compareValues } from './compare.ts';
import type { RowFacts } from './project.ts';
import type { QueryValue, SortKey } from './query.ts';
import { queryTooExpensive } from './query-error.ts';

export interface Ranked {
  readonly keys: readonly QueryValue[];
  readonly id: RecordId;
}

export interface HeldRow extends Ranked {
  readonly facts: RowFacts;
  readonly body: Uint8Array;
  readonly verdict: RowVerdict;
  readonly times: RowTimes;
}

/** When a row was made and until when it is fresh. */
export type RowTimes = Pick<EntryFacts, 'freshUntil' | 'storedAt' | 'initialAge'>;

/** Ties are ordered by record key, in the direction of the first sort key. */
export function rankingOf(sort: readonly SortKey[]): (one: Ranked, other: Ranked) => number {
  const signs = sort.map((key) => (key.isDescending ? -1 : 1));
  const idSign = signs[0] ?? 1;
  return (one, other) => {
    for (let at = 0; at < signs.length; at += 1) {
      const order = compareValues(one.keys[at] ?? null, other.keys[at] ?? null);
      if (order !== 0) return order * (signs[at] ?? 1);
    }
    return compareIds(one.id, other.id) * idSign;
  };
}

const SPARE = 64;

export class TopRows {
  readonly #wanted: number;
  readonly #compare: (one: Ranked, other: Ranked) => number;
  #rows: HeldRow[] = [];
  #worst: Ranked | undefined;
  #bytes = 0;
  #hasDropped = false;

  constructor(wanted: number, compare: (one: Ranked, other: Ranked) => number) {
    this.#wanted = wanted;
    this.#compare = compare;
  }

  /** Whether there were more rows than are held. */
  get hasDropped(): boolean {
    return this.#hasDropped;
  }

  /** Whether a row of this rank could be among the first: others need not be copied. */
  admits(rank: Ranked): boolean {
    const isAdmitted =
      this.#wanted > 0 && (this.#worst === undefined || this.#compare(rank, this.#worst) < 0);
    if (!isAdmitted) this.#hasDropped = true;
    return isAdmitted;
  }

  add(row: HeldRow): void {
    this.#rows.push(row);
    this.#bytes += row.body.length;
    const isOver = this.#bytes > LIMITS.querySortBytesMax;
    if (isOver || this.#rows.length >= 2 * this.#wanted + SPARE) this.#compact();
    if (this.#bytes > LIMITS.querySortBytesMax) {
      throw queryTooExpensive(
        'querySortBytesMax',
        `sorting would hold more than ${LIMITS.querySortBytesMax} bytes; ` +
          'index the attribute it sorts by, narrow the conditions, or lower limit()',
      );
    }
  }

  /** The first rows in order; nothing is held afterwards. */
  take(): readonly HeldRow[] {
    this.#compact();
    const rows = this.#rows;
    this.#rows = [];
    this.#worst = undefined;
    this.#bytes = 0;
    return rows;
  }

  #compact(): void {
    this.#rows.sort(this.#compare);
    if (this.#rows.length > this.#wanted) {
      this.#hasDropped = true;
      this.#rows.length = this.#wanted;
    }
    this.#bytes = this.#rows.reduce((sum, row) => sum + row.body.length, 0);
    this.#worst = this.#rows.length === this.#wanted ? this.#rows.at(-1) : undefined;
  }
}
