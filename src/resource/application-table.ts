/**
 * A table as application code sees it (`import { tables } from 'millrace'`): a `Resource` class
 * whose static methods read and write records as objects, absent as `undefined`. Code of the
 * application is trusted: no grants are checked here, but for a target marked as denied.
 *
 * The class exists before the node has opened its store, so that modules can extend it while they
 * are loaded; it finds its table when it is used.
 */
// biome-ignore-all lint/complexity/noThisInStatic: `this` is the application's subclass.
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import type { Context, User } from './context.ts';
import type { QueryObject } from './query-object.ts';
import { registrations, type SourceOptions } from './registrations.ts';
import type { RequestTarget } from './request-target.ts';
import {
  type Allowed,
  CALL_VERBS,
  type CallVerb,
  callInstance,
  markDefaults,
  ownMethod,
  Resource,
  type Target,
} from './resource.ts';
import { type Source, sourceToOrigin } from './source.ts';
import type { TableAccess } from './table-access.ts';
import type { SubscribeOptions, TableEvent } from './table-feed.ts';
import { currentCall } from './thread-scope.ts';
import type { UpdatableRecord } from './updatable-record.ts';

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
  search(query?: RequestTarget | QueryObject, context?: Context): AsyncIterable<Held>;
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
  getRecordCount(options?: { readonly exactCount?: boolean }): Promise<RecordCount>;
  /** False when there was none. */
  delete(target: RecordId | RequestTarget, context?: Context): Promise<boolean>;
  /** One record, or the whole table when no id is given: the next read asks the origin again. */
  invalidate(target?: RecordId | RequestTarget): Promise<void>;
  /** The changes as they come, after the present state; see `TableEvent`. */
  subscribe(options?: SubscribeOptions): AsyncIterableIterator<TableEvent>;
  /** Makes the table a cache over `source`; to be called while the module is loaded. */
  sourcedFrom(source: Source, options?: SourceOptions): void;
}

/** How many entries the table has. */
export interface RecordCount {
  readonly recordCount: number;
}

export interface TableInstance extends Resource {
  get(target: Target): Promise<Held>;
  search(target?: Target): AsyncIterable<Held>;
  put(target: Target, record?: unknown): Promise<void>;
  patch(target: Target, patch?: unknown): Promise<void>;
  post(target: Target, record?: unknown): Promise<RecordId>;
  delete(target: Target): Promise<boolean>;
  update(target: Target, changes?: unknown): Promise<UpdatableRecord>;
  publish(target: Target, message: unknown): Promise<void>;
  invalidate(target?: Target): Promise<void>;
}

const ACCESS = Symbol.for('millrace.tableAccess');
type Holder = { readonly [ACCESS]: TableAccess };
const accessOf = (holder: unknown): TableAccess => (holder as Holder)[ACCESS];
const accessOfInstance = (instance: object): TableAccess => accessOf(instance.constructor);

/** Runs the method of the instance when an application has overridden it there. */
function instanceFirst<T>(
  type: unknown,
  verb: CallVerb,
  args: readonly unknown[],
  otherwise: (access: TableAccess) => T,
): T {
  const own = ownMethod((type as typeof Resource).prototype, verb);
  if (own !== undefined) return callInstance(type as typeof Resource, verb, args) as T;
  return otherwise(accessOf(type));
}

class TableResource extends Resource {
  static override get(target: Target, context?: Context): unknown {
    return instanceFirst(this, 'get', [target, context], (access) => access.get(target));
  }
  static override search(target: Target, context?: Context): unknown {
    return instanceFirst(this, 'search', [target, context], (access) => access.search(target));
  }
  static override put(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'put', args, (access) => access.put(target, body, context));
  }
  static override patch(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'patch', args, (access) => access.patch(target, body, context));
  }
  static override post(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'post', args, (access) => access.post(target, body, context));
  }
  static override delete(target: Target, context?: Context): unknown {
    return instanceFirst(this, 'delete', [target, context], (access) => access.delete(target));
  }
  static create(record: JsonRecord, context?: Context): unknown {
    return accessOf(this).create(record, context);
  }
  static update(target: Target, changes?: unknown, context?: Context): unknown {
    return accessOf(this).update(target, changes, context);
  }
  static publish(target: Target, message: unknown): unknown {
    return accessOf(this).publish(target, message);
  }
  static async getRecordCount(): Promise<RecordCount> {
    return accessOf(this).recordCount();
  }
  static invalidate(target?: Target): unknown {
    return accessOf(this).invalidate(target);
  }
  static subscribe(options: SubscribeOptions = {}): unknown {
    return accessOf(this).subscribe(options);
  }
  static sourcedFrom(source: Source, options: SourceOptions = {}): void {
    const { typeName } = accessOf(this).definition;
    const { sources } = registrations(`tables.${typeName}.sourcedFrom(…)`);
    sources.push({ typeName, origin: sourceToOrigin(source), options });
  }

  get(target: Target): unknown {
    return accessOfInstance(this).get(target);
  }
  search(target: Target): unknown {
    return accessOfInstance(this).search(target);
  }
  put(target: Target, record?: unknown): unknown {
    return accessOfInstance(this).put(target, record, this.getContext());
  }
  patch(target: Target, patch?: unknown): unknown {
    return accessOfInstance(this).patch(target, patch, this.getContext());
  }
  post(target: Target, record?: unknown): unknown {
    return accessOfInstance(this).post(target, record, this.getContext());
  }
  delete(target: Target): unknown {
    return accessOfInstance(this).delete(target);
  }
  update(target: Target, changes?: unknown): unknown {
    return accessOfInstance(this).update(target, changes, this.getContext());
  }
  publish(target: Target, message: unknown): unknown {
    return accessOfInstance(this).publish(target, message);
  }
  invalidate(target?: Target): unknown {
    return accessOfInstance(this).invalidate(target ?? this.getId());
  }

  override allowRead(user: User | undefined): Allowed {
    return super.allowRead(user) || mayDo(this, 'read');
  }
  override allowUpdate(user: User | undefined): Allowed {
    return super.allowUpdate(user) || (mayDo(this, 'update') && mayDo(this, 'insert'));
  }
  override allowCreate(user: User | undefined): Allowed {
    return super.allowCreate(user) || mayDo(this, 'insert');
  }
  override allowDelete(user: User | undefined): Allowed {
    return super.allowDelete(user) || mayDo(this, 'delete');
  }
}

markDefaults(TableResource, CALL_VERBS);
markDefaults(TableResource.prototype, [
  ...CALL_VERBS,
  'allowRead',
  'allowUpdate',
  'allowCreate',
  'allowDelete',
]);

/** What the client of the running call was granted; nothing outside of one. */
function mayDo(instance: object, verb: 'read' | 'insert' | 'update' | 'delete'): boolean {
  return currentCall()?.may(accessOfInstance(instance).definition, verb) === true;
}

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
