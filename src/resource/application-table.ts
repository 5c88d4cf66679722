/**
 * A table as application code sees it (`import { tables } from 'millrace'`): a `Resource` class
 * whose static methods read and write records as objects, absent as `undefined`. Code of the
 * application is trusted: no grants are checked here, but for a target marked as denied.
 *
 * The class exists before the node has opened its store, so that modules can extend it while they
 * are loaded; it finds its table when it is used.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Context } from './context.ts';
import type { QueryObject } from './query-object.ts';
import type { SourceOptions } from './registrations.ts';
import type { RequestTarget } from './request-target.ts';
import type { Resource, Target } from './resource.ts';
import type { Results } from './results.ts';
import type { Source } from './source.ts';
import type { RecordCount, TableAccess } from './table-access.ts';
import type { SubscribeOptions, TableEvent } from './table-feed.ts';
import { ACCESS, accessOf, TableResource } from './table-resource.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a table holds is known to the application only.
type Held = any;

/** Where to write: an id, a target, or the record itself with its key in it. */
type WriteTarget = RecordId | RequestTarget | JsonRecord;

/**
 * `Row` is what `millrace check --types` writes. Reads are typed by whoever reads: a class that
 * overrides them may answer with something else.
 */
export interface ApplicationTable<Row = Held> {
  new (id?: RecordId | undefined, context?: Context | undefined): TableInstance;
  readonly name: string;
  readonly tableName: string;
  readonly databaseName: string;
  readonly primaryKey: string;
  readonly attributes: TableDefinition['attributes'];
  /**
   * The record, fetched from its origin when it is not held, `undefined` when there is none; or,
   * for a query, the records that match.
   */
  get(target: Target, context?: Context): Promise<Held>;
  search(query?: RequestTarget | QueryObject, context?: Context): Results<Held>;
  /** Stores a whole record: `put(id, record)`, or `put(record)` with the key in it. */
  put(target: WriteTarget, record?: unknown, context?: Context): Promise<void>;
  /** Merges into a record; `{ "n": { "__op__": "add", "value": 1 } }` adds to a number. */
  patch(target: WriteTarget, patch?: unknown, context?: Context): Promise<void>;
  /** Stores a new record, under a new key unless it brings its own; resolves with it. */
  create(record: Partial<Row>, context?: Context): Promise<Row>;
  /** As `create`; resolves with the key. */
  post(target: Target | JsonRecord, record?: unknown, context?: Context): Promise<RecordId>;
  /**
   * The record, to be changed by assignment and `addTo`; what has changed is written with the
   * transaction. With `changes`, those are made at once.
   */
  update(target: WriteTarget, changes?: unknown, context?: Context): Promise<UpdatableRecord>;
  /** Tells subscribers of a message about the record, which stays as it is. */
  publish(target: RecordId | RequestTarget, message: unknown): Promise<void>;
  /** Records of the table; an estimate for a large one, unless `exactCount`. */
  getRecordCount(options?: { readonly exactCount?: boolean | undefined }): Promise<RecordCount>;
  /** False when there was none. */
  delete(target: RecordId | RequestTarget, context?: Context): Promise<boolean>;
  /** One record, or the whole table when no id is given: the next read asks the origin again. */
  invalidate(target?: RecordId | RequestTarget): Promise<void>;
  /** The changes as they come, after the present state; see `TableEvent`. */
  subscribe(options?: SubscribeOptions): AsyncIterableIterator<TableEvent>;
  /** Makes the table a cache over `source`; to be called while the module is loaded. */
  sourcedFrom(source: Source, options?: SourceOptions): void;
  /**
   * Computes an attribute that the schema declares `@computed`; to be called while the module is
   * loaded. Pure: an index keeps what it yielded, until `@computed(version:)` is raised.
   */
  setComputedAttribute(name: string, compute: (record: Row) => unknown): void;
}

export interface TableInstance extends Resource {
  get(target: Target): Promise<Held>;
  search(target?: Target): Results<Held>;
  put(target: Target, record?: unknown): Promise<void>;
  patch(target: Target, patch?: unknown): Promise<void>;
  post(target: Target, record?: unknown): Promise<RecordId>;
  delete(target: Target): Promise<boolean>;
  /** Of a record: itself, with these changes. Else the record of the target, to be changed. */
  update(target?: unknown, changes?: unknown): Promise<UpdatableRecord>;
  publish(target: unknown, message?: unknown): Promise<void>;
  invalidate(target?: Target): Promise<void>;
  /** Writes what was changed now; by itself that happens at the end of the call. */
  save(): Promise<void>;
  getProperty(name: string): unknown;
  set(name: string, value: unknown): void;
  /** Adds to a number so that no other addition is lost. */
  addTo(name: string, by: number): void;
  subtractFrom(name: string, by: number): void;
  /** Has a cache hold the record before its attributes are read: writing verbs do not ask. */
  ensureLoaded(): Promise<this>;
  /** Whether the origin was asked for this record, by this read or one that it waited for. */
  wasLoadedFromSource(): boolean;
  /** Milliseconds since 1970. */
  getUpdatedTime(): number | undefined;
  getExpiresAt(): number | undefined;
}

/** A record that code changes by assignment. */
export type UpdatableRecord = TableInstance & { [attribute: string]: Held };

/** The class of a table. */
export function applicationTable(access: TableAccess): ApplicationTable {
  const { definition } = access;
  const made = class extends TableResource {};
  const fixed = {
    name: definition.typeName,
    tableName: definition.typeName,
    databaseName: definition.database,
    primaryKey: definition.primaryKey,
    attributes: definition.attributes,
    [ACCESS]: access,
  };
  for (const key of Reflect.ownKeys(fixed)) {
    Object.defineProperty(made, key, { value: Reflect.get(fixed, key), configurable: true });
  }
  return made as unknown as ApplicationTable;
}

/** The definition of the table that a class extends; `undefined` for a class of its own. */
export const extendedTable = (type: typeof Resource): TableDefinition | undefined =>
  ACCESS in type ? accessOf(type).definition : undefined;
