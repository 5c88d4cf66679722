/**
 * One distinct query with `sort()` and `limit()`, kept for all who follow it: reads the table once,
 * then looks at the present row of each record that changed. What is shown is a list that is never
 * altered, only followed by another, so that a reader far behind holds on to the one it was shown
 * and nothing else. Reading is done in steps of bounded work.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { RowFilter } from '../table/query/row-filter.ts';
import type { RowWindow } from '../table/query/row-window.ts';
import type { ChangeSource } from './change-source.ts';
import type { FeedLimits } from './limits.ts';
import { parse } from './live-change.ts';
import { isEvictable, type RecordState, stateOfEntry, storedState } from './record-state.ts';
import { type WindowRow, WindowRows } from './window-rows.ts';
import type { WindowList } from './window-steps.ts';

/** Changed records noted while the table is read; with more it is read again. */
const NOTED_MAX = 10_000;
const CHANGED_PER_STEP = 1_024;

export class LiveWindow {
  readonly key: string;
  readonly table: TableDefinition;
  readonly #filter: RowFilter | undefined;
  readonly #window: RowWindow;
  readonly #source: ChangeSource;
  readonly #scanRowsMax: number;
  readonly #rows: WindowRows;
  readonly #noted = new Set<RecordId>();
  /** Reading the table: up to which record. */
  #reading: { after: RecordId | undefined } | undefined = { after: undefined };
  #visible: WindowList | undefined;

  constructor(
    key: string,
    asked: { table: TableDefinition; filter: RowFilter | undefined; window: RowWindow },
    source: ChangeSource,
    limits: FeedLimits,
  ) {
    this.key = key;
    this.table = asked.table;
    this.#filter = asked.filter;
    this.#window = asked.window;
    this.#source = source;
    this.#scanRowsMax = limits.snapshotScanRowsMax;
    this.#rows = new WindowRows(asked.window, limits.windowBytesMax);
  }

  /** The rows shown now; `undefined` until the table was read. */
  get visible(): WindowList | undefined {
    return this.#visible;
  }

  get isTooLarge(): boolean {
    return this.#rows.isTooLarge;
  }

  get hasWork(): boolean {
    return this.#reading !== undefined || this.#noted.size > 0;
  }

  /** A record changed; `undefined`: all may have. */
  note(id: RecordId | undefined): void {
    if (id !== undefined) this.#noted.add(id);
    if (id === undefined || this.#noted.size > NOTED_MAX) this.readAnew();
  }

  /** What was noted is passed over: every row is going to be looked at. */
  readAnew(): void {
    this.#noted.clear();
    this.#reading = { after: undefined };
  }

  /** One bounded step; true when what is shown is another list now. */
  advance(): boolean {
    if (this.#reading !== undefined) this.#read(this.#reading);
    if (this.#reading !== undefined) return false;
    this.#lookAtNoted();
    if (this.#rows.isShort) this.readAnew();
    if (this.hasWork) return false;
    return this.#show();
  }

  #read(reading: { after: RecordId | undefined }): void {
    if (reading.after === undefined) this.#rows.clear();
    const invalidations = this.#source.invalidations(this.table.name);
    const { after } = reading;
    const page = this.#source.scan(
      this.table.name,
      { after, limit: this.#scanRowsMax },
      (entry) => {
        this.#see(entry.id, stateOfEntry(entry, invalidations, this.table));
        return true;
      },
    );
    this.#reading = page.next === undefined ? undefined : { after: page.next };
  }

  #lookAtNoted(): void {
    let left = CHANGED_PER_STEP;
    for (const id of this.#noted) {
      if (left === 0) return;
      left -= 1;
      this.#noted.delete(id);
      this.#see(id, storedState(this.#source, this.table, id, isEvictable(this.table)));
    }
  }

  #see(id: RecordId, state: RecordState): void {
    const row = state.kind === 'found' ? this.#rowOf(id, state) : undefined;
    if (row === undefined) this.#rows.remove(id);
    else this.#rows.set(row);
  }

  /** `undefined` when it does not match. */
  #rowOf(
    id: RecordId,
    { value = 'null', version }: RecordState & { kind: 'found' },
  ): WindowRow | undefined {
    const row = parse(value);
    if (typeof row !== 'object' || row === null) return undefined;
    if (this.#filter?.matches(row) === false) return undefined;
    const keys = this.#window.keysOf(row as Record<string, unknown>, id);
    return { id, keys, version, value: this.#filter?.project?.(row) ?? value };
  }

  #show(): boolean {
    const visible = this.#rows.visible();
    const former = this.#visible;
    const isSame = (row: WindowRow, at: number): boolean =>
      former?.[at]?.id === row.id && former[at]?.version === row.version;
    if (former?.length === visible.length && visible.every(isSame)) return false;
    this.#visible = visible;
    return true;
  }
}
