/**
 * The first rows of a query in its order, and some beyond those that are shown, so that rows may
 * leave without the table being read again. Pure: told of each row that changed.
 *
 * Invariant: of the rows that match, those held are the first; when `isWhole`, all.
 */
import type { RecordId, RecordVersion } from '../base/brands.ts';
import type { RowWindow } from '../table/query/row-window.ts';
import type { Ranked } from '../table/query/top-rows.ts';

export interface WindowRow extends Ranked {
  readonly version: RecordVersion;
  /** JSON of what is shown of it. */
  readonly value: string;
}

const SPARE_MIN = 32;

export class WindowRows {
  readonly #window: RowWindow;
  readonly #rowsMax: number;
  readonly #bytesMax: number;
  readonly #ids = new Set<RecordId>();
  #rows: WindowRow[] = [];
  #bytes = 0;
  #isWhole = true;

  constructor(window: RowWindow, bytesMax: number) {
    this.#window = window;
    this.#rowsMax = window.end + Math.max(SPARE_MIN, window.end);
    this.#bytesMax = bytesMax;
  }

  /** Which rows come after those held is not known, and they are needed. */
  get isShort(): boolean {
    return !this.#isWhole && this.#rows.length < this.#window.end;
  }

  /** The rows shown alone are more than may be held. */
  get isTooLarge(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  clear(): void {
    this.#rows = [];
    this.#ids.clear();
    this.#bytes = 0;
    this.#isWhole = true;
  }

  /** The row as it is now; it takes the place of what was held of it. */
  set(row: WindowRow): void {
    this.remove(row.id);
    const at = this.#placeOf(row);
    // What comes behind the last one held may not be the next.
    if (at === this.#rows.length && !this.#isWhole) return;
    this.#rows.splice(at, 0, row);
    this.#ids.add(row.id);
    this.#bytes += row.value.length;
    while (this.#isOverfull()) this.#drop();
  }

  remove(id: RecordId): void {
    if (!this.#ids.delete(id)) return;
    const at = this.#rows.findIndex((row) => row.id === id);
    const [row] = this.#rows.splice(at, 1);
    this.#bytes -= row?.value.length ?? 0;
  }

  visible(): readonly WindowRow[] {
    return this.#rows.slice(this.#window.offset, this.#window.end);
  }

  #isOverfull(): boolean {
    const { length } = this.#rows;
    return length > this.#rowsMax || (this.#bytes > this.#bytesMax && length > this.#window.end);
  }

  #drop(): void {
    const row = this.#rows.pop();
    this.#isWhole = false;
    if (row === undefined) return;
    this.#bytes -= row.value.length;
    this.#ids.delete(row.id);
  }

  #placeOf(row: WindowRow): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const held = this.#rows[middle];
      if (held !== undefined && this.#window.compare(held, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
