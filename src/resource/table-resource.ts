/**
 * What every table's class is: static methods over the table, and instances. An application that
 * overrides methods of the instance gets them in one of two ways. With `loadAsInstance = false`
 * they take a target, as static ones do. Without it an instance stands for the record itself:
 * its attributes are properties, `get(query)`, `put(record)`, `post(body)` and `delete()` act on
 * it, and what a writing method changed of it is written when the call commits.
 */
// biome-ignore-all lint/complexity/noThisInStatic: `this` is the application's subclass.
import { asNodeError, NodeError } from '../base/errors.ts';
import type { Compute } from '../schema/computed.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import { BoundRecord } from './bound-record.ts';
import type { Context, User } from './context.ts';
import { registrations, type SourceOptions } from './registrations.ts';
import { RequestTarget, requirePermission, selectFor } from './request-target.ts';
import {
  type Allowed,
  CALL_VERBS,
  type CallVerb,
  callInstance,
  type Method,
  markDefaults,
  ownMethod,
  Resource,
  type Target,
} from './resource.ts';
import { pickAttributes } from './search.ts';
import { type Source, sourceToOrigin } from './source.ts';
import { isKey, isWriteContext, type TableAccess } from './table-access.ts';
import type { SubscribeOptions } from './table-feed.ts';
import { currentCall, threadScope } from './thread-scope.ts';

export const ACCESS = Symbol.for('millrace.tableAccess');
type Holder = { readonly [ACCESS]: TableAccess };
export const accessOf = (holder: unknown): TableAccess => (holder as Holder)[ACCESS];
const accessOfInstance = (instance: object): TableAccess => accessOf(instance.constructor);

/** Instances that stand for a record. */
const bound = new WeakMap<object, BoundRecord>();
/** Those whose changes are written with the transaction. */
const saving = new WeakSet<object>();

/** Those whose hook was asked: the method that follows acts on the same one. */
const asked = new WeakMap<object, TableResource>();

type TableType = typeof TableResource;

/** The record whose `allow…` hook is to be asked; the method which follows will find it read. */
export async function boundForHook(
  type: TableType,
  target: RequestTarget,
  context: Context,
  isRead: boolean,
): Promise<TableResource> {
  const instance = await type.bind(target as Target, context, isRead);
  asked.set(target, instance);
  return instance;
}

function takeAsked(type: TableType, target: unknown): TableResource | undefined {
  if (!(target instanceof RequestTarget)) return undefined;
  const instance = asked.get(target);
  asked.delete(target);
  return instance?.constructor === type && instance.getId() === target.id ? instance : undefined;
}

/** Runs the method of the instance when an application has overridden it there. */
function instanceFirst<T>(
  type: TableType,
  verb: CallVerb,
  args: readonly unknown[],
  otherwise: (access: TableAccess) => T,
): T | Promise<unknown> {
  const own = ownMethod(type.prototype, verb);
  if (own === undefined) return otherwise(accessOf(type));
  if (type.loadAsInstance === false) return callInstance(type, verb, args) as T;
  return callBound(type, verb, own, args);
}

/** Runs a method of a record: writing ones get the body first. */
async function callBound(
  type: TableType,
  verb: CallVerb,
  method: Method,
  args: readonly unknown[],
): Promise<unknown> {
  const [target, ...rest] = args;
  const context = rest.at(-1) as Context | undefined;
  const isRead = verb === 'get' || verb === 'search';
  const instance = takeAsked(type, target) ?? (await type.bind(target as Target, context, isRead));
  const isWrite = verb === 'put' || verb === 'patch' || verb === 'post';
  const result = await method.apply(
    instance,
    isWrite ? [rest[0], target, context] : [target, context],
  );
  if (!isRead && verb !== 'delete') instance.saveLater();
  return result instanceof TableResource ? result.toJSON() : result;
}

export class TableResource extends Resource {
  static override get(target: Target, context?: Context): unknown {
    if (asksMany(target) && ownMethod(this.prototype, 'search') !== undefined) {
      return this.search(target, context);
    }
    const args = [target, context];
    return instanceFirst(this, 'get', args, (access) => access.get(target, context));
  }
  static override search(target: Target, context?: Context): unknown {
    return instanceFirst(this, 'search', [target, context], (access) =>
      access.search(target, context),
    );
  }
  static override put(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'put', args, async (access) => {
      await check(this, isWriteContext(body) ? target : (body ?? target), false);
      await access.put(target, body, context);
    });
  }
  static override patch(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'patch', args, async (access) => {
      await check(this, isWriteContext(body) ? target : (body ?? target), true);
      await access.patch(target, body, context);
    });
  }
  static override post(target: Target, body?: unknown, context?: Context): unknown {
    const args = [target, body, context];
    return instanceFirst(this, 'post', args, async (access) => {
      await check(this, body ?? target, false);
      return access.post(target, body, context);
    });
  }
  static override delete(target: Target, context?: Context): unknown {
    return instanceFirst(this, 'delete', [target, context], (access) =>
      access.delete(target, context),
    );
  }
  static async create(record: JsonRecord, context?: Context): Promise<JsonRecord> {
    await check(this, record, false);
    return accessOf(this).create(record, context);
  }
  /** `update(target, changes?)`, or `update(record)` with the key in it. */
  static async update(target: unknown, changes?: unknown, context?: Context): Promise<unknown> {
    requirePermission(target);
    const access = accessOf(this);
    const isWhole = changes === undefined && !isKey(target) && !(target instanceof RequestTarget);
    const id = isWhole ? access.keyIn(target) : access.keyOf(target);
    const instance = await this.bind(id, context, true);
    return instance.#change(isWhole ? target : changes);
  }
  static publish(target: Target, message: unknown): unknown {
    return accessOf(this).publish(target, message);
  }
  static getRecordCount(options?: { readonly exactCount?: boolean }): unknown {
    return accessOf(this).recordCount(options);
  }
  static invalidate(target?: Target): unknown {
    return accessOf(this).invalidate(target);
  }
  static override subscribe(options: SubscribeOptions = {}): unknown {
    return accessOf(this).subscribe(options);
  }
  static setComputedAttribute(name: string, compute: Compute): void {
    const { definition } = accessOf(this);
    const attribute = definition.attributes.find((one) => one.name === name);
    if (attribute?.computed === undefined) {
      throw new TypeError(`${definition.typeName}.${name} is not declared @computed in the schema`);
    }
    const { computed } = registrations(`tables.${definition.typeName}.setComputedAttribute(…)`);
    computed.push({ table: definition.name, attribute: name, compute });
  }
  static sourcedFrom(source: Source, options: SourceOptions = {}): void {
    const { typeName } = accessOf(this).definition;
    const { sources } = registrations(`tables.${typeName}.sourcedFrom(…)`);
    sources.push({ typeName, origin: sourceToOrigin(source), options });
  }

  /** An instance that stands for the record of a target; only a read asks the origin for it. */
  static async bind(
    target: Target,
    context: Context | undefined,
    isRead: boolean,
  ): Promise<TableResource> {
    const access = accessOf(this);
    const isMany = asksMany(target);
    const id = isMany ? undefined : access.keyOf(target);
    const instance = new this(id, context ?? currentCall()?.context);
    const state = new BoundRecord(instance);
    bound.set(instance, state);
    if (id !== undefined) {
      state.take(await (isRead ? access.read(target, context) : access.held(id)));
    }
    return instance;
  }

  get(target?: Target): unknown {
    const state = bound.get(this);
    if (state === undefined) return accessOfInstance(this).get(target);
    if (typeof target === 'string') return state.get(target);
    if (this.getId() === undefined) return accessOfInstance(this).search(target);
    if (state.before === undefined) return undefined;
    const select = target instanceof RequestTarget ? selectFor(target) : undefined;
    return select === undefined ? this : pickAttributes(state.toRecord(), select);
  }
  search(target?: Target): unknown {
    return accessOfInstance(this).search(target);
  }
  async put(first: unknown, second?: unknown): Promise<void> {
    const [target, record] = this.#written(first, second);
    await check(this.constructor, record ?? target, false);
    await accessOfInstance(this).put(target, record, this.getContext());
  }
  async patch(first: unknown, second?: unknown): Promise<void> {
    const [target, record] = this.#written(first, second);
    await check(this.constructor, record ?? target, true);
    await accessOfInstance(this).patch(target, record, this.getContext());
  }
  async post(first: unknown, second?: unknown): Promise<unknown> {
    const body = bound.has(this) ? first : (second ?? first);
    await check(this.constructor, body, false);
    return accessOfInstance(this).post(body, undefined, this.getContext());
  }
  delete(target?: Target): unknown {
    const id = bound.has(this) ? this.getId() : target;
    return accessOfInstance(this).delete(id, this.getContext());
  }
  invalidate(target?: Target): unknown {
    return accessOfInstance(this).invalidate(target ?? this.getId());
  }
  publish(first: unknown, second?: unknown): unknown {
    const access = accessOfInstance(this);
    return second === undefined
      ? access.publish(this.getId(), first)
      : access.publish(first, second);
  }

  update(target?: unknown, changes?: unknown): unknown {
    if (bound.has(this)) return this.#change(target);
    return (this.constructor as TableType).update(target, changes, this.getContext());
  }

  getProperty(name: string): unknown {
    return this.#state.get(name);
  }
  set(name: string, value: unknown): void {
    this.#state.set(name, value);
    this.saveLater();
  }
  addTo(name: string, by: number): void {
    this.#state.add(name, by);
    this.saveLater();
  }
  subtractFrom(name: string, by: number): void {
    this.addTo(name, -by);
  }
  async ensureLoaded(): Promise<this> {
    const state = this.#state;
    const id = this.getId();
    if (state.before === undefined && id !== undefined) {
      state.take(await accessOfInstance(this).read(id, this.getContext()));
    }
    return this;
  }
  wasLoadedFromSource(): boolean {
    return this.#state.fromOrigin;
  }
  getUpdatedTime(): number | undefined {
    return this.#state.updatedTime;
  }
  getExpiresAt(): number | undefined {
    return this.#state.expiresAt;
  }
  /** Writes what has changed, as one patch. */
  async save(): Promise<void> {
    const state = this.#state;
    const changes = state.changes();
    if (changes === undefined) return;
    state.saved();
    await check(this.constructor, changes, true);
    await accessOfInstance(this).patch(this.getId(), changes, this.getContext());
  }
  /** Has the running call write the changes when it commits. */
  saveLater(): void {
    const call = currentCall();
    if (call?.transaction.isOpen !== true || this.getId() === undefined) return;
    if (saving.has(this)) return;
    saving.add(this);
    // The commit happens outside of the call; what is saved then is still a part of it.
    call.transaction.beforeCommit(() => threadScope().calls.run(call, () => this.save()));
  }
  /** The attributes alone. */
  toJSON(): JsonRecord {
    return bound.get(this)?.toRecord() ?? Object.fromEntries(Object.entries(this));
  }

  async #change(changes: unknown): Promise<this> {
    const given = typeof changes === 'object' && changes !== null ? Object.entries(changes) : [];
    for (const [name, value] of given) this.#state.set(name, value);
    this.saveLater();
    if (!saving.has(this) && given.length > 0) await this.save();
    return this;
  }

  get #state(): BoundRecord {
    const state = bound.get(this);
    if (state !== undefined) return state;
    throw new TypeError(
      `${this.constructor.name}: this instance stands for no record; get one by ` +
        'update(id), or leave out loadAsInstance = false',
    );
  }

  /** Target and record, in whichever order this class's instances take them. */
  #written(first: unknown, second: unknown): readonly [unknown, unknown] {
    if (!bound.has(this)) return [first, second];
    const id = this.getId();
    return id === undefined ? [first, undefined] : [id, first];
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

markDefaults(TableResource, [...CALL_VERBS, 'subscribe']);
markDefaults(TableResource.prototype, [
  ...CALL_VERBS,
  'allowRead',
  'allowUpdate',
  'allowCreate',
  'allowDelete',
]);

/** No target, a query, or the target of a path that ends in a slash. */
function asksMany(target: unknown): boolean {
  if (target instanceof RequestTarget) return target.isCollection || target.id === undefined;
  if (target === undefined || target === null) return true;
  return typeof target === 'object' && !('id' in target);
}

/** `validate(record, isPartial)` of the class, where it has one: what it throws is a 400. */
async function check(type: unknown, record: unknown, isPartial: boolean): Promise<void> {
  const { prototype } = type as TableType;
  const validate = ownMethod(prototype, 'validate');
  if (validate === undefined) return;
  try {
    await validate.call(prototype, record, isPartial);
  } catch (thrown) {
    if (!(thrown instanceof Error) || 'statusCode' in thrown || 'status' in thrown) throw thrown;
    const { code, message } = asNodeError(thrown);
    if (code !== 'INTERNAL') throw thrown;
    throw new NodeError('RECORD_INVALID', message, { blame: 'client', cause: thrown });
  }
}

/** What the client of the running call was granted; nothing outside of one. */
function mayDo(instance: object, verb: 'read' | 'insert' | 'update' | 'delete'): boolean {
  return currentCall()?.may(accessOfInstance(instance).definition, verb) === true;
}
