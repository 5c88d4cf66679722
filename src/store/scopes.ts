/**
 * The store thread's side of invalidation: it persists each scope in the transaction that
 * invalidates it, keeps the shared table that all threads judge by, and holds the number of scopes
 * within its bound.
 *
 * When there are too many, the oldest go. A soft one, or one that names no single key, leaves a
 * floor behind: every entry of the table with an older stamp is judged as if it belonged to it. A
 * hard one of a single key leaves nothing but is carried out: its entry is evicted. Until no reader
 * can have a view of the store from before that eviction, the scope stays in the shared table.
 */
import type { EpochMs, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { WriteOp } from '../table/store-port.ts';
import { HIGH, type Key } from './engine.ts';
import { packPlain, unpackPlain } from './entry-format.ts';
import type { PrefixScope } from './invalidations.ts';
import { elementsOf, entryKey } from './keys.ts';
import {
  newestOf,
  putScope,
  replaceScopes,
  type ScopeTimes,
  scopeHash,
  scopesInForce,
} from './scope-table.ts';
import { type SharedState, TABLE, WORD } from './shared-state.ts';
import type { TableTrees, Trees } from './tables.ts';

export type InvalidationScope = Extract<WriteOp, { kind: 'invalidate' }>['scope'];
type StoredKind = 'key' | 'group' | 'prefix' | 'table' | 'floor';

interface HeldScope {
  readonly key: Key;
  readonly table: TableTrees;
  readonly kind: StoredKind;
  readonly name: RecordId;
  readonly times: ScopeTimes;
}

/** Prefixes are compared one by one on reading: beyond this the oldest becomes a floor. */
const PREFIXES_MAX = 256;
/** Slots of the shared table that may be taken ahead of a commit: it has room for twice as many. */
const FORESEEN_MAX = 1_024;
/** A part of the scopes folded at a time, when there are too many. */
const FOLD_SHARE = 32;

/** Times of a scope as they are stored: [hard, soft, softAt, name]. */
type Packed = readonly [number, number, number, RecordId];

export class ScopeRegistry {
  readonly #state: SharedState;
  readonly #trees: Trees;
  readonly #max: number;
  /** Oldest first: a scope that is invalidated again moves to the end. */
  readonly #held = new Map<string, HeldScope>();
  /** Carried out by the transaction under way; readers may still see their entries. */
  #leaving: HeldScope[] = [];
  #prefixes = 0;
  #foreseen = 0;
  #isTouched = false;

  constructor(state: SharedState, trees: Trees, max: number) {
    this.#state = state;
    this.#trees = trees;
    this.#max = max;
  }

  get count(): number {
    return this.#held.size;
  }

  /** Reads all scopes, as they were committed. */
  load(): void {
    const found: HeldScope[] = [];
    this.#trees.scopes.range({ start: null, end: HIGH }, (key, value) => {
      const [tableName, kind] = key as readonly string[];
      const table = this.#trees.tables.get(tableName as TableName);
      const [hard, soft, softAt, name] = unpackPlain(value) as Packed;
      if (table !== undefined) {
        found.push({ key, table, kind: kind as StoredKind, name, times: { hard, soft, softAt } });
      }
      return true;
    });
    found.sort((left, right) => newestOf(left.times) - newestOf(right.times));
    for (const scope of found) this.#publish(scope);
  }

  /** Invalidates a scope as of `at`; inside the transaction which logs it. */
  bump(
    table: TableTrees,
    scope: InvalidationScope,
    soft: boolean,
    at: Sequence,
    now: EpochMs,
  ): void {
    this.#isTouched = true;
    const name = nameOf(scope);
    const key = scopeKey(table, scope.kind, name);
    const last = this.#held.get(mapKey(table, scope.kind, name))?.times;
    const times = { hard: last?.hard ?? 0, soft: last?.soft ?? 0, softAt: last?.softAt ?? 0 };
    if (soft) {
      times.soft = at;
      times.softAt = now;
    } else times.hard = at;
    const held = { key, table, kind: scope.kind, name, times };
    this.#store(held);
    this.#publish(held);
  }

  /**
   * Puts an invalidation into force before its commit, in shared memory only: readers obey it while
   * the commit waits for those before it and for the disk. It must count from a sequence that no
   * fetch yet begun can have, and may go beyond what the commit will say: what is refetched for it
   * in between is merely refetched. Prefixes are read from the store, so they wait for the commit.
   */
  foresee(table: TableTrees, scope: InvalidationScope, soft: boolean, at: Sequence, now: EpochMs) {
    if (scope.kind === 'prefix' || this.#held.size >= this.#max) return;
    if (this.#foreseen >= Math.min(FORESEEN_MAX, this.#max / 4)) return;
    this.#foreseen += 1;
    const name = nameOf(scope);
    const last = this.#held.get(mapKey(table, scope.kind, name))?.times;
    const times = { hard: last?.hard ?? 0, soft: last?.soft ?? 0, softAt: last?.softAt ?? 0 };
    if (soft) Object.assign(times, { soft: at, softAt: now });
    else times.hard = at;
    this.#writeShared({ key: null, table, kind: scope.kind, name, times });
  }

  /**
   * Makes room for another scope: drops the oldest when there are too many. Hard scopes of one key
   * are returned, to be carried out by evicting; for the others the floors are raised.
   */
  fold(now: EpochMs): { readonly table: TableTrees; readonly id: RecordId }[] {
    const dropped = this.#tooMany();
    if (dropped.length === 0) return [];
    this.#isTouched = true;
    const evictions: { table: TableTrees; id: RecordId }[] = [];
    for (const scope of dropped) {
      this.#held.delete(mapKey(scope.table, scope.kind, scope.name));
      if (scope.kind === 'prefix') this.#prefixes -= 1;
      this.#trees.scopes.remove(scope.key);
      if (scope.kind === 'key' && scope.times.hard > 0) {
        evictions.push({ table: scope.table, id: scope.name });
        this.#leaving.push(scope);
      }
      this.#raiseFloor(scope, now, scope.kind === 'key');
    }
    // The shared table is twice as large as what is held; too many leave by a floor.
    if (this.#leaving.length > this.#max / 2) {
      for (const scope of this.#leaving.splice(0)) this.#raiseFloor(scope, now, false);
    }
    replaceScopes(this.#state, (scopes) => {
      for (const scope of this.#held.values()) putHashed(scopes, scope);
      for (const scope of this.#leaving) putHashed(scopes, scope);
    });
    this.announcePrefixes();
    return evictions;
  }

  /** The transaction has committed. The next fold takes what left from the shared table. */
  settle(): void {
    this.#foreseen = 0;
    this.#leaving = [];
    this.#isTouched = false;
  }

  /** The transaction was taken back: what it dropped is in force again. */
  revert(): void {
    if (!this.#isTouched) return;
    this.#held.clear();
    this.#prefixes = 0;
    this.settle();
    this.load();
  }

  /** Makes every thread read the prefixes again; once more after the commit that changed them. */
  announcePrefixes(): void {
    Atomics.add(this.#state.words, WORD.prefixes, 1);
  }

  #tooMany(): HeldScope[] {
    const share = Math.ceil(this.#max / FOLD_SHARE);
    if (this.#held.size >= this.#max) return this.#oldest(share, (scope) => isNamed(scope));
    if (this.#prefixes < PREFIXES_MAX) return [];
    return this.#oldest(PREFIXES_MAX / FOLD_SHARE, (scope) => scope.kind === 'prefix');
  }

  #oldest(count: number, wanted: (scope: HeldScope) => boolean): HeldScope[] {
    const found: HeldScope[] = [];
    for (const scope of this.#held.values()) {
      if (found.length >= count) break;
      if (wanted(scope)) found.push(scope);
    }
    return found;
  }

  #raiseFloor(dropped: HeldScope, now: EpochMs, isCarriedOut: boolean): void {
    const { table, times } = dropped;
    const last = this.#held.get(mapKey(table, 'floor', ''))?.times;
    const hard = Math.max(last?.hard ?? 0, isCarriedOut ? 0 : times.hard);
    const soft = Math.max(last?.soft ?? 0, times.soft);
    const softAt = times.soft > 0 ? now : (last?.softAt ?? 0);
    const line = table.index * TABLE.stride;
    const fill = (this.#state.tables[line + TABLE.floorFill] ?? 0) as number;
    // A fetch older than anything dropped may not store: what it must obey is forgotten.
    // A soft group keeps no fetch from storing: what it brings is judged by the soft floor.
    const obeyed = dropped.kind === 'group' ? times.hard : newestOf(times);
    this.#state.tables[line + TABLE.floorFill] = Math.max(fill, obeyed);
    const key = scopeKey(table, 'floor', '');
    const floor: HeldScope = { key, table, kind: 'floor', name: '', times: { hard, soft, softAt } };
    this.#store(floor);
    this.#publish(floor);
  }

  #store(scope: HeldScope): void {
    const { hard, soft, softAt } = scope.times;
    this.#trees.scopes.put(scope.key, packPlain([hard, soft, softAt, scope.name]));
  }

  #publish(scope: HeldScope): void {
    const mapped = mapKey(scope.table, scope.kind, scope.name);
    if (scope.kind === 'prefix' && !this.#held.has(mapped)) this.#prefixes += 1;
    this.#held.delete(mapped);
    this.#held.set(mapped, scope);
    this.#writeShared(scope);
  }

  #writeShared(scope: HeldScope): void {
    const { tables } = this.#state;
    const { hard, soft, softAt } = scope.times;
    const line = scope.table.index * TABLE.stride;
    if (scope.kind === 'table' || scope.kind === 'floor') {
      const isFloor = scope.kind === 'floor';
      tables[line + (isFloor ? TABLE.floorSoftAt : TABLE.softAt)] = softAt;
      tables[line + (isFloor ? TABLE.floorHard : TABLE.hard)] = hard;
      tables[line + (isFloor ? TABLE.floorSoft : TABLE.soft)] = soft;
    } else if (scope.kind === 'prefix') {
      tables[line + TABLE.hasPrefixes] = 1;
      this.announcePrefixes();
    } else {
      putHashed(scopesInForce(this.#state), scope);
      tables[line + (scope.kind === 'key' ? TABLE.hasKeys : TABLE.hasGroups)] = 1;
    }
    const newest = tables[line + TABLE.newest] ?? 0;
    tables[line + TABLE.newest] = Math.max(newest, newestOf(scope.times));
  }
}

/** Scopes that can be dropped; those of whole tables stay. */
const isNamed = (scope: HeldScope): boolean => scope.kind !== 'table' && scope.kind !== 'floor';

function putHashed(scopes: Float64Array, scope: HeldScope): void {
  if (scope.kind !== 'key' && scope.kind !== 'group') return;
  putScope(scopes, scopeHash(scope.table.index, scope.kind, scope.name), scope.times);
}

function nameOf(scope: InvalidationScope): RecordId {
  if (scope.kind === 'key') return typeof scope.id === 'number' ? scope.id + 0 : scope.id;
  if (scope.kind === 'prefix') return scope.prefix;
  return scope.kind === 'group' ? scope.group : '';
}

const mapKey = (table: TableTrees, kind: StoredKind, name: RecordId): string =>
  `${table.index}/${kind}/${typeof name}/${name}`;

const scopeKey = (table: TableTrees, kind: StoredKind, name: RecordId): Key => [
  table.name,
  kind,
  ...elementsOf(entryKey(name, '')),
];

/** The prefix scopes of a table, as they stand in the store; every thread reads them itself. */
export function readPrefixScopes(trees: Trees, table: TableTrees): PrefixScope[] {
  const found: PrefixScope[] = [];
  const range = { start: [table.name, 'prefix', true], end: [table.name, 'prefix', HIGH] };
  trees.scopes.range(range, (_key, value) => {
    const [hard, soft, softAt, name] = unpackPlain(value) as Packed;
    found.push({ prefix: String(name), hard, soft, softAt });
    return true;
  });
  return found;
}
