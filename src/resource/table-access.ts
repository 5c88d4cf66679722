/**
 * What the class of a table does when its methods are called: targets become ids or queries, writes
 * join the transaction of the running call, reads leave in it what the answer inherits.
 */
import { deltaSeconds, type RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { NO_REQUEST_DIRECTIVES } from '../cache/directives.ts';
import type { ReadResult } from '../cache/read-request.ts';
import { recordJson } from '../cache/record-json.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { type JsonRecord, patchOp, putOp } from '../table/record-draft.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { WriteOutcome } from '../table/store-port.ts';
import type { Table } from '../table/table.ts';
import type { Context } from './context.ts';
import type { QueryObject } from './query-object.ts';
import { RequestTarget, requirePermission } from './request-target.ts';
import { pickAttributes, searchTable } from './search.ts';
import { type SubscribeOptions, TableEvents } from './table-feed.ts';
import { currentCall, threadScope } from './thread-scope.ts';
import { type UpdatableRecord, updatable } from './updatable-record.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const jsonOf = (value: unknown): string => JSON.stringify(value) ?? 'null';

export class TableAccess {
  readonly definition: TableDefinition;
  readonly table: () => Table;

  /** `find` is called at each use: the table may not be open yet. */
  constructor(definition: TableDefinition, find: () => Table) {
    this.definition = definition;
    this.table = find;
  }

  async get(target: unknown): Promise<unknown> {
    requirePermission(target);
    if (isKey(target)) return this.#read(this.#key(target));
    const isQuery = target instanceof RequestTarget ? target.isCollection : !hasId(target);
    if (isQuery || !hasId(target)) return this.search(target);
    const record = await this.#read(this.#key(target.id));
    const { select } = target as QueryObject;
    return record === undefined || select === undefined ? record : pickAttributes(record, select);
  }

  search(target: unknown): AsyncIterable<unknown> {
    requirePermission(target);
    const table = this.table();
    currentCall()?.reads.addCollection(this.definition.typeName, table.draftContext().now);
    return searchTable(table, (target ?? {}) as QueryObject);
  }

  async put(target: unknown, record: unknown, context?: Context): Promise<void> {
    requirePermission(target);
    const [id, value] = this.#addressed(target, record);
    const call = currentCall();
    const table = this.table();
    const options = { maxAge: maxAge(context ?? call?.context) };
    if (call === undefined || writesThrough(table)) {
      return settled(await table.put(id, value, options));
    }
    const op = putOp(table.draftContext(), id, value, 'client', options);
    return call.transaction.write(op, id, { ...value, [this.definition.primaryKey]: id });
  }

  async patch(target: unknown, patch: unknown, context?: Context): Promise<void> {
    requirePermission(target);
    const [id, value] = this.#addressed(target, patch);
    const call = currentCall();
    const table = this.table();
    const options = { maxAge: maxAge(context ?? call?.context) };
    if (call === undefined || writesThrough(table)) {
      return settled(await table.patch(id, value, 'merge', options));
    }
    const op = patchOp(table.draftContext(), id, value, 'merge', 'client', options);
    const before = call.transaction.written(table.name, id);
    return call.transaction.write(op, id, before ? { ...before, ...value } : undefined);
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

  /** The record to be changed by assignment; a new one when there is none. */
  async update(target: unknown, changes?: unknown, context?: Context): Promise<UpdatableRecord> {
    requirePermission(target);
    const isWhole = changes === undefined && !isKey(target) && !(target instanceof RequestTarget);
    const id = isWhole ? this.#keyIn(target) : this.#keyOf(target);
    const call = currentCall();
    const record = updatable(id, await this.#read(id), isWhole ? target : changes, {
      patch: (key, patch, within) => this.patch(key, patch, within),
      context: context ?? call?.context,
    });
    if (call?.transaction.isOpen === true) call.transaction.beforeCommit(record.save);
    else if (changes !== undefined || isWhole) await record.save();
    return record;
  }

  /** Tells subscribers of a message; the record stays as it is. */
  async publish(target: unknown, message: unknown): Promise<void> {
    requirePermission(target);
    const id = this.#keyOf(target);
    const table = this.table();
    const body = message instanceof Uint8Array ? message : encoder.encode(jsonOf(message));
    const contentType = message instanceof Uint8Array ? 'application/octet-stream' : undefined;
    const op = { kind: 'message', table: table.name, id, body, contentType } as const;
    const call = currentCall();
    if (call === undefined) await table.commit([op], 'process');
    else await call.transaction.write(op, id);
  }

  recordCount(): { readonly recordCount: number } {
    return { recordCount: this.table().size().entries };
  }

  async delete(target: unknown): Promise<boolean> {
    requirePermission(target);
    const id = this.#keyOf(target);
    const table = this.table();
    const call = currentCall();
    if (call === undefined || writesThrough(table)) {
      return (await table.delete(id)).kind === 'deleted';
    }
    const before = call.transaction.written(table.name, id);
    const exists = before === undefined ? table.inspect(id).stored : before !== null;
    const op = { kind: 'delete', table: table.name, id, reason: 'client' } as const;
    await call.transaction.write(op, id, null);
    return exists;
  }

  async invalidate(target: unknown): Promise<void> {
    const whole = target === undefined || target === null;
    await this.table().invalidate(whole ? 'table' : { keys: [this.#keyOf(target)] });
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

  async #read(id: RecordId): Promise<JsonRecord | undefined> {
    const call = currentCall();
    const table = this.table();
    const written = call?.transaction.written(table.name, id);
    if (written !== undefined) return written === null ? undefined : { ...written };
    let found: JsonRecord | undefined;
    await table.read(
      { id, variant: '', directives: NO_REQUEST_DIRECTIVES, mayForce: true },
      (result) => {
        found = recordOf(result, this.definition);
        if (result.kind === 'found') call?.reads.add(this.definition.typeName, result.entry);
        if (result.kind === 'absent') call?.reads.addAbsent(this.definition.typeName, id);
      },
    );
    return found;
  }

  #key(id: unknown): RecordId {
    return recordIdFrom(this.definition, id);
  }

  #keyOf(target: unknown): RecordId {
    return this.#key(hasId(target) ? target.id : target);
  }

  #keyIn(record: unknown): RecordId {
    return this.#key(asRecord(this.definition, record)[this.definition.primaryKey]);
  }

  /** `(id, record)`, `(target, record)`, or `(record)` with its key in it. */
  #addressed(target: unknown, record: unknown): readonly [RecordId, JsonRecord] {
    if (record === undefined) {
      return [this.#keyIn(target), asRecord(this.definition, target)];
    }
    return [this.#keyOf(target), asRecord(this.definition, record)];
  }
}

/** The origin decides such a write when it is made; it cannot wait for the transaction. */
const writesThrough = ({ definition }: Table): boolean =>
  definition.sourcedFrom?.write === 'through';

const isKey = (target: unknown): target is RecordId =>
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

function maxAge(context: Context | undefined) {
  const { expiresAt } = context ?? {};
  if (expiresAt === undefined) return undefined;
  return deltaSeconds(Math.max(0, Math.round((expiresAt - Date.now()) / 1000)));
}

function settled(outcome: WriteOutcome): void {
  if (outcome.kind !== 'preconditionFailed') return;
  throw new NodeError('PRECONDITION_FAILED', 'the record changed meanwhile', { blame: 'client' });
}

function recordOf(result: ReadResult, { primaryKey }: TableDefinition): JsonRecord | undefined {
  switch (result.kind) {
    case 'found':
      return JSON.parse(decoder.decode(recordJson(result.entry, primaryKey))) as JsonRecord;
    case 'absent':
      return undefined;
    case 'failed':
      throw result.error;
    case 'refused':
      throw new NodeError('NOT_CACHED', 'the record is not held here');
  }
}
