/**
 * What the class of a table does when its methods are called: targets become ids or queries, writes
 * join the transaction of the running call, reads leave in it what the answer inherits.
 */
import { must } from '../base/assert.ts';
import { deltaSeconds, type RecordId } from '../base/brands.ts';
import { asNodeError, NodeError } from '../base/errors.ts';
import { hasBlobs } from '../cache/blobs.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives } from '../cache/directives.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { NO_NODES } from '../table/confirmation.ts';
import { type JsonRecord, patchOp, putOp, type WriteOptions } from '../table/record-draft.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { WriteOutcome } from '../table/store-port.ts';
import type { Table } from '../table/table.ts';
import type { Call } from './call.ts';
import type { Context } from './context.ts';
import { selectOf } from './object-query.ts';
import type { QueryObject, QuerySelect } from './query-object.ts';
import {
  directivesOf,
  HELD_ONLY,
  type RecordRead,
  readForCode,
  type SeenEntry,
} from './record-read.ts';
import { RequestTarget, requirePermission, selectFor } from './request-target.ts';
import type { Results } from './results.ts';
import { pickAttributes, searchTable } from './search.ts';
import { siblingOp } from './source-call.ts';
import { type SubscribeOptions, TableEvents } from './table-feed.ts';
import { takenBlobs } from './taken-blobs.ts';
import { currentCall, threadScope } from './thread-scope.ts';
import { transaction as alone } from './transaction.ts';

const decoder = new TextDecoder();
const jsonOf = (value: unknown): string => JSON.stringify(value) ?? 'null';

/** Entries up to which `getRecordCount()` counts. */
const COUNTED_MAX = 10_000;

export interface RecordCount {
  readonly recordCount: number;
  /** Between these the true number lies, when it was not counted. */
  readonly estimatedRange?: readonly [number, number] | undefined;
}

const NOTHING_HELD: RecordRead = { found: undefined, fromOrigin: false, askedOrigin: false };

export class TableAccess {
  readonly definition: TableDefinition;
  readonly table: () => Table;

  /** `find` is called at each use: the table may not be open yet. */
  constructor(definition: TableDefinition, find: () => Table) {
    this.definition = definition;
    this.table = find;
  }

  async get(target: unknown, context?: Context): Promise<unknown> {
    requirePermission(target);
    if (isKey(target)) return (await this.read(target, context)).found?.record;
    const isQuery = target instanceof RequestTarget ? target.isCollection : !hasId(target);
    if (isQuery || !hasId(target)) return this.search(target, context);
    const select =
      target instanceof RequestTarget ? selectFor(target) : (target as QueryObject).select;
    return select === undefined
      ? (await this.read(target, context)).found?.record
      : this.#part(target, select, context);
  }

  search(target: unknown, context?: Context): Results<unknown> {
    requirePermission(target);
    const table = this.table();
    const call = currentCall();
    call?.reads.addCollection(this.definition.typeName, table.draftContext().now);
    const wishes = wishesOf(call, context);
    return searchTable(table, (target ?? {}) as QueryObject, wishes);
  }

  /** What `select` takes of a record, related ones included. */
  async #part(target: unknown, select: QuerySelect, context?: Context): Promise<unknown> {
    const table = this.table();
    const wanted = selectOf(table.scope, select);
    let part: Uint8Array | undefined;
    const { found } = await this.read(target, context, (entry) => {
      part = entry && table.part(entry, wanted);
    });
    if (part !== undefined) return JSON.parse(decoder.decode(part));
    // Written by this very transaction: there is no entry of it yet.
    return found && pickAttributes(found.record, select);
  }

  async put(target: unknown, record: unknown, context?: Context): Promise<void> {
    if (context === undefined && isWriteContext(record)) {
      return this.put(target, undefined, record);
    }
    requirePermission(target);
    const [id, given] = this.#addressed(target, record);
    const call = currentCall();
    // Bytes and record belong to one write, which a call of nobody's makes too.
    if (call === undefined && hasBlobs(this.definition)) {
      return alone(() => this.put(id, given, context));
    }
    const { value, blobs } = await takenBlobs(this.table().definition, id, given);
    const table = this.table();
    const options = writeOptions(context ?? call?.context);
    if (call?.fills !== undefined) return this.#fill(call, id, value, options);
    if (call === undefined || writesThrough(table)) {
      return settled(await table.put(id, value, options));
    }
    const op = { ...putOp(table.draftContext(), id, value, 'client', options), blobs };
    return call.transaction.write(op, id, { ...value, [this.definition.primaryKey]: id });
  }

  async patch(target: unknown, patch: unknown, context?: Context): Promise<void> {
    if (context === undefined && isWriteContext(patch)) {
      return this.patch(target, undefined, patch);
    }
    requirePermission(target);
    const [id, given] = this.#addressed(target, patch);
    const call = currentCall();
    if (call === undefined && hasBlobs(this.definition)) {
      return alone(() => this.patch(id, given, context));
    }
    const { value, blobs } = await takenBlobs(this.table().definition, id, given);
    const table = this.table();
    const options = writeOptions(context ?? call?.context);
    if (call === undefined || (writesThrough(table) && call.fills === undefined)) {
      return settled(await table.patch(id, value, 'merge', options));
    }
    const reason = call.fills === undefined ? 'client' : 'feed';
    const op = { ...patchOp(table.draftContext(), id, value, 'merge', reason, options), blobs };
    const before = call.transaction.written(table.name, id);
    return call.transaction.write(op, id, before ? merged(before, value) : undefined);
  }

  async create(record: unknown, context?: Context): Promise<JsonRecord> {
    const value = asRecord(this.definition, record);
    const { primaryKey } = this.definition;
    const given = value[primaryKey];
    const id = given === undefined || given === null ? await this.table().freeId() : given;
    await this.put(this.#key(id), { ...value, [primaryKey]: id }, context);
    return { ...value, [primaryKey]: id };
  }

  async post(target: unknown, record: unknown, context?: Context): Promise<RecordId> {
    requirePermission(target);
    const created = await this.create(record === undefined ? target : record, context);
    return created[this.definition.primaryKey] as RecordId;
  }

  /** Tells subscribers of a message; the record stays as it is. */
  async publish(target: unknown, message: unknown): Promise<void> {
    requirePermission(target);
    const id = this.keyOf(target);
    const table = this.table();
    const body = message instanceof Uint8Array ? message : Buffer.from(jsonOf(message));
    const contentType = message instanceof Uint8Array ? 'application/octet-stream' : undefined;
    const op = { kind: 'message', table: table.name, id, body, contentType } as const;
    const call = currentCall();
    if (call === undefined) await table.commit([op], 'process');
    else await call.transaction.write(op, id);
  }

  /** Small tables, and `exactCount`, are counted; others are told by what the store has counted. */
  async recordCount({ exactCount = false } = {}): Promise<RecordCount> {
    const { entries } = this.table().size();
    if (exactCount || entries <= COUNTED_MAX) {
      let recordCount = 0;
      for await (const _ of searchTable(this.table(), {}, HELD_ONLY)) recordCount += 1;
      return { recordCount };
    }
    return { recordCount: entries, estimatedRange: [0, entries] };
  }

  async delete(target: unknown, context?: Context): Promise<boolean> {
    requirePermission(target);
    const id = this.keyOf(target);
    const table = this.table();
    const call = currentCall();
    const { isLocal } = writeOptions(context ?? call?.context);
    if (call === undefined || (writesThrough(table) && call.fills === undefined)) {
      return (await table.delete(id, { isLocal })).kind === 'deleted';
    }
    const before = call.transaction.written(table.name, id);
    const exists = before === undefined ? table.inspect(id).stored : before !== null;
    const reason = call.fills === undefined ? 'client' : 'feed';
    const op = { kind: 'delete', table: table.name, id, reason, isLocal } as const;
    // What lies beneath a local row is seen again: the store knows it after the commit.
    await call.transaction.write(op, id, isLocal === true ? undefined : null);
    return exists;
  }

  async invalidate(target: unknown): Promise<void> {
    const whole = target === undefined || target === null;
    await this.table().invalidate(whole ? 'table' : { keys: [this.keyOf(target)] });
  }

  subscribe(options: SubscribeOptions): TableEvents {
    const { openFeed } = threadScope();
    if (openFeed === undefined) {
      throw new Error(`tables.${this.definition.typeName}.subscribe: this thread has no feed yet`);
    }
    const id = options.id === undefined ? undefined : this.#key(options.id);
    // The subscription of a request ends with its client.
    const signal = options.signal ?? currentCall()?.context.signal;
    return new TableEvents(openFeed, this.table().definition, { ...options, id, signal });
  }

  /** One record, as the running call has left it or as it is held or fetched. */
  async read(target: unknown, context?: Context, seen?: SeenEntry): Promise<RecordRead> {
    const id = this.keyOf(target);
    const call = currentCall();
    const table = this.table();
    const written = call?.transaction.written(table.name, id);
    if (written !== undefined) return ownWrite(written, table);
    const { typeName } = this.definition;
    const wishes = wishesOf(call, context);
    const noted: SeenEntry = (entry) => {
      if (entry === undefined) call?.reads.addAbsent(typeName, id);
      else call?.reads.add(typeName, entry);
      seen?.(entry);
    };
    const read = await readForCode(table, id, wishes, { seen: noted });
    if (target instanceof RequestTarget) target.loadedFromSource = read.askedOrigin;
    return read;
  }

  /** What is held, without asking the origin; nothing when it is not. */
  async held(target: unknown): Promise<RecordRead> {
    const id = this.keyOf(target);
    const table = this.table();
    const written = currentCall()?.transaction.written(table.name, id);
    if (written !== undefined) return ownWrite(written, table);
    return readForCode(table, id, HELD_ONLY).catch((error: unknown) => {
      if (asNodeError(error).code === 'NOT_CACHED') return NOTHING_HELD;
      throw error;
    });
  }

  #key(id: unknown): RecordId {
    return recordIdFrom(this.definition, id);
  }

  /** The key that a target means. */
  keyOf(target: unknown): RecordId {
    return this.#key(hasId(target) ? target.id : target);
  }

  /** The key that stands in a record. */
  keyIn(record: unknown): RecordId {
    return this.#key(asRecord(this.definition, record)[this.definition.primaryKey]);
  }

  /** A row that the fetch of an origin brings along. */
  async #fill(call: Call, id: RecordId, record: JsonRecord, options: WriteOptions): Promise<void> {
    const table = this.table();
    const terms = must(call.fills, 'the terms of a fetch');
    const op = siblingOp(table.draftContext(), id, record, options, terms);
    if (op === undefined) return;
    await call.transaction.write(op, id, { ...record, [this.definition.primaryKey]: id });
  }

  /** `(id, record)`, `(target, record)`, or `(record)` with its key in it. */
  #addressed(target: unknown, record: unknown): readonly [RecordId, JsonRecord] {
    if (record === undefined) {
      return [this.keyIn(target), asRecord(this.definition, target)];
    }
    return [this.keyOf(target), asRecord(this.definition, record)];
  }
}

/** What a fetch says of its own record is no wish for what it reads meanwhile. */
function wishesOf(call: Call | undefined, context: Context | undefined): RequestDirectives {
  const given = context ?? call?.context;
  const isOfFetch = call?.fills !== undefined && given === call.context;
  return isOfFetch ? NO_REQUEST_DIRECTIVES : directivesOf(given);
}

/** A patch applied to what the transaction has of a record, as the store will. */
function merged(before: JsonRecord, patch: JsonRecord): JsonRecord {
  const values = Object.entries(patch).map(([name, value]): [string, unknown] => {
    const isSum = typeof value === 'object' && value !== null && '__op__' in value;
    if (!isSum || !('value' in value)) return [name, value];
    return [name, Number(before[name] ?? 0) + Number(value.value)];
  });
  return { ...before, ...Object.fromEntries(values) };
}

/** What the transaction of the running call has made of a record; `null`: deleted it. */
function ownWrite(written: JsonRecord | null, table: Table): RecordRead {
  if (written === null) return NOTHING_HELD;
  const { now } = table.draftContext();
  return {
    ...NOTHING_HELD,
    found: { record: { ...written }, updatedTime: now, expiresAt: undefined },
  };
}

/** The origin decides such a write when it is made; it cannot wait for the transaction. */
const writesThrough = ({ definition }: Table): boolean =>
  definition.sourcedFrom?.write === 'through';

export const isKey = (target: unknown): target is RecordId =>
  typeof target === 'string' || typeof target === 'number';

const hasId = (target: unknown): target is { readonly id: RecordId } =>
  typeof target === 'object' && target !== null && 'id' in target && isKey(target.id);

function asRecord(definition: TableDefinition, value: unknown): JsonRecord {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonRecord;
  }
  throw new NodeError('RECORD_INVALID', `${definition.typeName}: a record is an object`, {
    blame: 'client',
  });
}

/** `put(record, { metadata: { LOCAL_ONLY: true } })`: how to write what stands before it. */
export function isWriteContext(value: unknown): value is Context {
  if (typeof value !== 'object' || value === null) return false;
  const [name, another] = Object.keys(value);
  if (name !== 'metadata' || another !== undefined || !('metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null && 'LOCAL_ONLY' in metadata;
}

function writeOptions(context: Context | undefined): WriteOptions {
  const isLocal = context?.metadata?.LOCAL_ONLY === true || context?.replicateTo === NO_NODES;
  return isLocal ? { maxAge: maxAge(context), isLocal } : { maxAge: maxAge(context) };
}

function maxAge(context: Context | undefined) {
  const { expiresAt } = context ?? {};
  if (expiresAt === undefined) return undefined;
  return deltaSeconds(Math.max(0, Math.round((expiresAt - Date.now()) / 1000)));
}

function settled(outcome: WriteOutcome): void {
  if (outcome.kind !== 'preconditionFailed') return;
  throw new NodeError('PRECONDITION_FAILED', 'the record changed meanwhile', { blame: 'client' });
}
