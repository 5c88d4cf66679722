/**
 * Reading the store, on any thread: entries, pages of a table, indexes, the change log, verdicts of
 * invalidation. Before every read one word of shared memory is compared, and the read transaction
 * is renewed when some thread has committed since: who was told of a write can read it.
 */

import type { Epoch, NodeId, RecordId, Sequence, TableName } from '../base/brands.ts';
import type { Clock } from '../base/clock.ts';
import type { Entry } from '../cache/entry.ts';
import type { Invalidations } from '../cache/ports.ts';
import { LIMITS } from '../config/limits.ts';
import type {
  ChangeBatch,
  IndexHit,
  IndexPageOptions,
  IndexRange,
  IndexSpan,
  ScanOptions,
  ScanPage,
  ScopeReport,
  StoreReader,
} from '../table/store-port.ts';
import { loadBody } from './bodies.ts';
import { ChangeReader } from './change-log.ts';
import { ChangeRing } from './change-ring.ts';
import type { Engine, Key } from './engine.ts';
import { EntryView } from './entry-view.ts';
import { countIndex, readIndex, readIndexPage } from './index-read.ts';
import { TableInvalidations } from './invalidations.ts';
import { entryKey, keyBeneath } from './keys.ts';
import { isIndexBuilt, readTableSize } from './meta.ts';
import { NamedVersions } from './named-versions.ts';
import { scanTable } from './scan.ts';
import { readPrefixScopes } from './scopes.ts';
import {
  commitCount,
  committedSequence,
  firstSequence,
  type SharedState,
  watchedCount,
} from './shared-state.ts';
import { indexForm, type TableTrees, type Trees, tableOf } from './tables.ts';

export interface ReaderParts {
  readonly engine: Engine;
  readonly trees: Trees;
  readonly shared: SharedState;
  readonly epoch: Epoch;
  readonly author: NodeId;
  readonly clock: Clock;
  /** Told of bytes that are no entry; the read goes on as if there were none. */
  readonly onUndecodable: (table: TableName, id: RecordId) => void;
}

export class EngineReader implements StoreReader {
  readonly epoch: Epoch;
  readonly author: NodeId;
  readonly #parts: ReaderParts;
  readonly #changes: ChangeReader;
  readonly #named: NamedVersions;
  readonly #completeIndexes = new Set<string>();
  readonly #invalidations = new Map<TableName, TableInvalidations>();
  readonly #listeners = new Set<() => void>();
  /** One view for each level of reads within reads; nearly always only the first is used. */
  readonly #views: EntryView[] = [];
  #depth = 0;
  #commitsSeen = -1;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.epoch = parts.epoch;
    this.author = parts.author;
    this.#named = new NamedVersions(parts.trees, parts.shared, this);
    this.#changes = new ChangeReader(new ChangeRing(parts.shared), parts.trees.log);
  }

  lastSequence(): Sequence {
    return committedSequence(this.#parts.shared);
  }

  firstSequence(): Sequence {
    return firstSequence(this.#parts.shared);
  }

  watchedVersion(): number {
    return watchedCount(this.#parts.shared);
  }

  withEntry<T>(
    table: TableName,
    id: RecordId,
    variant: string,
    fn: (entry: Entry | undefined) => T,
  ): T {
    return this.#withBytes(table, id, entryKey(id, variant), fn);
  }

  /** The row as other nodes are to see it: what lies beneath a local one. */
  withSharedEntry<T>(table: TableName, id: RecordId, fn: (entry: Entry | undefined) => T): T {
    return this.withEntry(table, id, '', (entry) =>
      entry?.isLocal === true ? this.#withBytes(table, id, keyBeneath(id), fn) : fn(entry),
    );
  }

  #withBytes<T>(table: TableName, id: RecordId, key: Key, fn: (entry: Entry | undefined) => T): T {
    this.#renew();
    const trees = tableOf(this.#parts.trees, table);
    return trees.entries.withBytes(key, (bytes) => {
      if (bytes === undefined) return fn(undefined);
      const view = this.#borrowView();
      this.#depth += 1;
      try {
        return fn(this.#isEntry(view, table, id, bytes) ? view : undefined);
      } finally {
        this.#depth -= 1;
      }
    });
  }

  scan(
    table: TableName,
    options: ScanOptions,
    visit: (entry: Entry) => boolean | undefined,
  ): ScanPage {
    return this.#scan(table, options, visit, false);
  }

  /** As `scan`, with the rows as other nodes are to see them. */
  scanShared(
    table: TableName,
    options: ScanOptions,
    visit: (entry: Entry) => boolean | undefined,
  ): ScanPage {
    return this.#scan(table, options, visit, true);
  }

  #scan(
    table: TableName,
    options: ScanOptions,
    visit: (entry: Entry) => boolean | undefined,
    isShared: boolean,
  ): ScanPage {
    this.#renew();
    const view = this.#newView();
    const until = this.#parts.clock.monotonic() + LIMITS.readTransactionMsMax;
    return scanTable(tableOf(this.#parts.trees, table), options, {
      isShared,
      isOver: () => this.#parts.clock.monotonic() > until,
      see: (key, id, bytes) => {
        if (view.attach(id ?? '', bytes) && view.isComplete) {
          if (view.keyHashed) view.id = view.meta.fullKey ?? '';
          return view;
        }
        this.#parts.onUndecodable(table, id ?? describe(key));
        return undefined;
      },
      visit,
    });
  }

  idsByIndex(
    table: TableName,
    range: IndexRange,
    page: { readonly limit: number; readonly offset: number },
  ): readonly RecordId[] {
    this.#renew();
    return readIndex(tableOf(this.#parts.trees, table), range, page);
  }

  indexPage(table: TableName, span: IndexSpan, page: IndexPageOptions): readonly IndexHit[] {
    this.#renew();
    return readIndexPage(tableOf(this.#parts.trees, table), span, page);
  }

  countByIndex(table: TableName, range: IndexSpan, max: number): number {
    this.#renew();
    return countIndex(tableOf(this.#parts.trees, table), range, max);
  }

  isIndexComplete(table: TableName, attribute: string): boolean {
    const index = `${table}/${attribute}`;
    if (this.#completeIndexes.has(index)) return true;
    this.#renew();
    const { trees } = this.#parts;
    const form = indexForm(tableOf(trees, table), attribute);
    const isComplete = isIndexBuilt(trees.meta, table, attribute, form);
    // What is complete stays so: later queries need not look.
    if (isComplete) this.#completeIndexes.add(index);
    return isComplete;
  }

  tableSize(table: TableName): { readonly entries: number; readonly bytes: number } {
    this.#renew();
    return readTableSize(this.#parts.trees.meta, tableOf(this.#parts.trees, table).name);
  }

  changesAfter(after: Sequence, max: number): ChangeBatch {
    this.#renew();
    return this.#changes.changesAfter(after, max, this.firstSequence(), this.lastSequence());
  }

  /** As `changesAfter`, with those which concern other nodes only, up to `last`. */
  allChangesAfter(after: Sequence, max: number, last: Sequence): ChangeBatch {
    this.#renew();
    return this.#changes.allAfter(after, max, this.firstSequence(), last);
  }

  invalidations(table: TableName): Invalidations {
    return this.tableInvalidations(table);
  }

  newerScopes(table: TableName, entry: Entry): readonly ScopeReport[] {
    return this.tableInvalidations(table).newerScopes(entry);
  }

  /** As `invalidations`, with what the writer asks besides. */
  tableInvalidations(table: TableName): TableInvalidations {
    const known = this.#invalidations.get(table);
    if (known !== undefined) return known;
    const trees = tableOf(this.#parts.trees, table);
    const made = new TableInvalidations(this.#parts.shared, trees.index, {
      loadPrefixes: () => this.#loadPrefixes(trees),
      isNewer: (group, at) => this.#named.isNewer(trees, group, at),
    });
    this.#invalidations.set(table, made);
    return made;
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls the listeners of this thread; by whoever learns here of a commit. */
  announceCommit(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #loadPrefixes(table: TableTrees) {
    // The count of prefix changes may be ahead of this thread's snapshot.
    this.#parts.engine.refresh();
    return readPrefixScopes(this.#parts.trees, table);
  }

  /** Makes this read see what any thread has committed before it. */
  #renew(): void {
    const commits = commitCount(this.#parts.shared);
    if (commits === this.#commitsSeen) return;
    this.#commitsSeen = commits;
    this.#parts.engine.refresh();
  }

  #isEntry(view: EntryView, table: TableName, id: RecordId, bytes: Uint8Array): boolean {
    if (!view.attach(id, bytes) || !view.isComplete) {
      this.#parts.onUndecodable(table, id);
      return false;
    }
    // Two ids with one digest: the entry is the other's.
    return !view.keyHashed || view.meta.fullKey === String(id);
  }

  #borrowView(): EntryView {
    const view = this.#views[this.#depth];
    if (view !== undefined) return view;
    const made = this.#newView(true);
    this.#views[this.#depth] = made;
    return made;
  }

  #newView(isReused = false): EntryView {
    const load = (id: number, whole: Uint8Array) => loadBody(this.#parts.trees.bodies, id, whole);
    return new EntryView(load, isReused);
  }
}

const describe = (key: Key): string => JSON.stringify(key);
