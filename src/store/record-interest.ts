/**
 * Which records the entries of this node were made from: what a change of a record must make stale.
 *
 * For each table whose entries name groups of records (`Flight/AA100`, `Flight`) there is the exact
 * number of such names by the table they point to, kept in the store, and a fixed array that counts
 * names by their hash. Two names with one hash only make a change invalidate a group which nobody
 * names. A name is counted before its commit and forgotten after it, so a commit that fails leaves
 * too high a count, never too low a one. After a start the array is counted anew, a page of
 * rows at a time; until that is done every record is taken to be named and nothing is forgotten.
 */
import { type RecordVersion, recordVersion, type TableName } from '../base/brands.ts';
import { parseRecordGroup } from '../table/record-groups.ts';
import type { Batch } from './commit/batch.ts';
import type { Committer } from './committer.ts';
import { HIGH, type Key } from './engine.ts';
import { EntryView } from './entry-view.ts';
import { idOfKey } from './keys.ts';
import { readNameCounts, writeNameCounts } from './meta.ts';
import { scopeHash } from './scope-table.ts';
import { type SharedState, TABLE } from './shared-state.ts';
import type { TableTrees, Trees } from './tables.ts';

/** Slots of a counting array: a power of two. */
const SLOTS = 65_536;
/** Rows counted at a time after a start: the thread serves nothing else meanwhile. */
const PAGE_ROWS = 1_000;

interface Names {
  readonly table: TableTrees;
  /** Type name → names that point to it. */
  readonly counts: Map<string, number>;
  readonly slots: Uint32Array;
  /** False until the rows of an earlier run were counted. */
  isCounted: boolean;
}

/** A name that an entry of the table does not hold any more. */
export interface DroppedName {
  readonly table: TableName;
  readonly type: string;
  readonly scope: string;
}

export class RecordInterest {
  readonly #trees: Trees;
  readonly #shared: SharedState;
  readonly #sources = new Map<string, TableTrees>();
  readonly #names = new Map<TableName, Names>();
  /** Type name → the tables whose entries name it. */
  readonly #readers = new Map<string, Set<Names>>();
  readonly #touched = new Set<Names>();
  /** By the table's line: sequence of its newest change in this run. */
  readonly #newest: Float64Array;

  constructor(trees: Trees, shared: SharedState) {
    this.#trees = trees;
    this.#shared = shared;
    this.#newest = new Float64Array(trees.tables.size);
    for (const table of trees.tables.values()) {
      this.#sources.set(table.definition.typeName, table);
    }
    for (const table of trees.tables.values()) {
      const counts = readNameCounts(trees.meta, table.name);
      if (counts.size === 0) continue;
      const names = this.#namesOf(table, counts);
      names.isCounted = false;
      for (const type of counts.keys()) this.#readersOf(type).add(names);
    }
  }

  /** The table whose records a group names; `undefined` when it names none of this node. */
  source(type: string): TableTrees | undefined {
    return this.#sources.get(type);
  }

  /** Notes a change, in constant time; true when entries of some table name such records. */
  changed(table: TableTrees, version: number, sequence: number): boolean {
    // What another node wrote may come late, under an older version.
    const line = table.index * TABLE.stride;
    this.#shared.tables[line + TABLE.changed] = Math.max(this.newestVersion(table), version);
    this.#newest[table.index] = sequence;
    return this.#readers.has(table.definition.typeName);
  }

  /** Version of the table's newest change in this run; 0 when there was none. */
  newestVersion(table: TableTrees): RecordVersion {
    return recordVersion(this.#shared.tables[table.index * TABLE.stride + TABLE.changed] ?? 0);
  }

  newestSequence(table: TableTrees): number {
    return this.#newest[table.index] ?? 0;
  }

  /** Tables whose entries name records of the type. */
  readers(type: string): readonly TableTrees[] {
    return [...(this.#readers.get(type) ?? [])].map(({ table }) => table);
  }

  /** Whether some entry of the table may name the group. */
  mayName(table: TableTrees, scope: string): boolean {
    const names = this.#names.get(table.name);
    if (names === undefined) return false;
    return !names.isCounted || (names.slots[slotOf(scope)] ?? 0) > 0;
  }

  /** An entry of the table now holds these groups. */
  hold(table: TableTrees, groups: readonly string[]): void {
    for (const { type, scope } of this.#parsed(table, groups)) {
      const names = this.#namesOf(table);
      names.counts.set(type, (names.counts.get(type) ?? 0) + 1);
      names.slots[slotOf(scope)] = (names.slots[slotOf(scope)] ?? 0) + 1;
      this.#readersOf(type).add(names);
      this.#touched.add(names);
    }
  }

  /** The names which are forgotten once the commit is done that takes these groups away. */
  dropped(table: TableTrees, groups: readonly string[]): DroppedName[] {
    return this.#parsed(table, groups).map((name) => ({ table: table.name, ...name }));
  }

  /** Writes the counts as they are after the commit; the last thing but one in it. */
  save(dropped: readonly DroppedName[]): void {
    for (const { table } of dropped) {
      const names = this.#names.get(table);
      if (names !== undefined) this.#touched.add(names);
    }
    for (const { table, counts } of this.#touched) {
      const after = new Map(counts);
      for (const name of dropped) if (name.table === table.name) lower(after, name.type);
      writeNameCounts(this.#trees.meta, table.name, after);
    }
    this.#touched.clear();
  }

  /** The commit is done. */
  forget(dropped: readonly DroppedName[]): void {
    for (const { table, type, scope } of dropped) {
      const names = this.#names.get(table);
      if (names === undefined) continue;
      lower(names.counts, type);
      if (!names.counts.has(type)) this.#release(type, names);
      const count = names.slots[slotOf(scope)] ?? 0;
      if (names.isCounted && count > 0) names.slots[slotOf(scope)] = count - 1;
    }
  }

  /** Counts what the entries of an earlier run name. */
  async countStored(committer: Committer): Promise<void> {
    for (const names of this.#names.values()) {
      if (names.isCounted) continue;
      let after: Key | undefined;
      do {
        await committer.chore(() => {
          after = this.#countPage(names, after);
        });
      } while (after !== undefined);
      names.isCounted = true;
    }
  }

  #countPage(names: Names, after: Key | undefined): Key | undefined {
    const view = new EntryView(() => undefined);
    const start = after ?? false;
    let last: Key | undefined;
    let rows = 0;
    const range = { start, exclusiveStart: after !== undefined, end: HIGH, limit: PAGE_ROWS };
    names.table.entries.range(range, (key, value) => {
      last = key;
      rows += 1;
      if (!view.attach(idOfKey(key) ?? '', value)) return true;
      for (const { scope } of this.#parsed(names.table, view.meta.groups ?? [])) {
        names.slots[slotOf(scope)] = (names.slots[slotOf(scope)] ?? 0) + 1;
      }
      return true;
    });
    return rows < PAGE_ROWS ? undefined : last;
  }

  /** A row of a table is not made from rows of it: an upper node's own names of it say no more. */
  #parsed(
    { definition }: TableTrees,
    groups: readonly string[],
  ): { readonly type: string; readonly scope: string }[] {
    const found: { type: string; scope: string }[] = [];
    for (const group of groups) {
      const named = parseRecordGroup(group);
      if (named === undefined || named.table === definition.typeName) continue;
      if (!this.#sources.has(named.table)) continue;
      const end = named.version === undefined ? group.length : group.lastIndexOf(';');
      found.push({ type: named.table, scope: group.slice(0, end) });
    }
    return found;
  }

  #namesOf(table: TableTrees, counts = new Map<string, number>()): Names {
    let names = this.#names.get(table.name);
    if (names === undefined) {
      names = { table, counts, slots: new Uint32Array(SLOTS), isCounted: true };
      this.#names.set(table.name, names);
    }
    return names;
  }

  #readersOf(type: string): Set<Names> {
    let readers = this.#readers.get(type);
    if (readers === undefined) {
      readers = new Set();
      this.#readers.set(type, readers);
    }
    return readers;
  }

  #release(type: string, names: Names): void {
    const readers = this.#readers.get(type);
    readers?.delete(names);
    if (readers?.size === 0) this.#readers.delete(type);
  }
}

const slotOf = (scope: string): number => scopeHash(0, 'group', scope) % SLOTS;

function lower(counts: Map<string, number>, type: string): void {
  const count = (counts.get(type) ?? 0) - 1;
  if (count > 0) counts.set(type, count);
  else counts.delete(type);
}

/** Moves the names of an entry that is written over, or removed. */
export function moveNames(
  batch: Batch,
  table: TableTrees,
  last: readonly string[] | undefined,
  next: readonly string[] | undefined,
): void {
  if (last === next) return;
  const { interest } = batch.parts;
  if (next !== undefined) interest.hold(table, next);
  if (last !== undefined) batch.droppedNames.push(...interest.dropped(table, last));
}
