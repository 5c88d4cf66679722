/**
 * From a record a client sent to the operation which stores it: checked against the schema, its
 * primary key in place, its bytes exactly as a `GET` will answer them, its index values computed.
 */
import type { DeltaSeconds, DurationMs, EpochMs, RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import type { EntryMeta, IndexedValues } from '../cache/entry.ts';
import { unknownOperation } from '../cache/merge-record.ts';
import type { PolicySettings } from '../cache/policy.ts';
import type { AttributeDefinition, TableDefinition } from '../schema/definition.ts';
import type { WriteCondition, WriteOp, WriteReason } from './store-port.ts';
import { writeTimes } from './write-times.ts';

export type JsonRecord = Record<string, unknown>;

/** What the schema says of a record; `undefined` when it is in order. */
export interface RecordRules {
  check(record: JsonRecord, mode: 'put' | 'patch'): string | undefined;
  indexed(record: JsonRecord): IndexedValues | undefined;
}

export interface WriteOptions {
  readonly condition?: WriteCondition | undefined;
  readonly maxAge?: DeltaSeconds | undefined;
  /** What the record was made from, for a table which is its own origin. */
  readonly groups?: readonly string[] | undefined;
  /** No other node is to see it: `LOCAL_ONLY`. */
  readonly isLocal?: boolean | undefined;
  /** What its publisher says beside the record; see `WriteOp`. */
  readonly publication?: Uint8Array | undefined;
}

export interface DraftContext {
  readonly definition: TableDefinition;
  readonly settings: PolicySettings;
  readonly rules: RecordRules;
  readonly now: EpochMs;
}

const NO_META: EntryMeta = Object.freeze({});

export type RecordPut = Extract<WriteOp, { kind: 'put' }> & { readonly body: Uint8Array };

export type RecordPatch = Extract<WriteOp, { kind: 'patch' }>;

/** The `put` of a whole record. Throws `RECORD_INVALID` (naming the attribute). */
export function putOp(
  context: DraftContext,
  id: RecordId,
  record: JsonRecord,
  reason: WriteReason,
  options: WriteOptions,
): RecordPut {
  const { definition, settings, rules, now } = context;
  const keyed = withPrimaryKey(definition, id, record);
  const problem = rules.check(keyed, 'put');
  if (problem !== undefined) throw recordInvalid(definition, id, problem);
  const indexed = rules.indexed(keyed);
  return {
    kind: 'put',
    table: definition.name,
    id,
    variant: '',
    entryKind: 'record',
    status: 200,
    body: Buffer.from(JSON.stringify(keyed)),
    meta: metaOf(indexed, options.groups),
    times: expiresAtTimes(context, keyed) ?? writeTimes(definition, settings, now, options.maxAge),
    storedAt: now,
    initialAge: 0 as DurationMs,
    mustValidate: false,
    staleForbidden: false,
    reason,
    condition: options.condition,
    publication: options.publication,
    isLocal: options.isLocal,
    stampAttributes: rolesOf(definition).stamps,
  };
}

/** The `patch` of a record. The merged record is checked inside the commit. */
export function patchOp(
  context: DraftContext,
  id: RecordId,
  patch: JsonRecord,
  format: 'merge' | 'merge-patch',
  reason: WriteReason,
  options: WriteOptions,
): RecordPatch {
  const { definition, settings, rules, now } = context;
  const problem =
    format === 'merge' ? (rules.check(patch, 'patch') ?? unknownOperation(patch)) : undefined;
  if (problem !== undefined) throw recordInvalid(definition, id, problem);
  const isCache = definition.sourcedFrom !== undefined;
  // What a patch does not name, a cache still has from a reply: that is as old as it was.
  const keepsTimes =
    options.maxAge === undefined && (isCache || definition.expiration === undefined);
  return {
    kind: 'patch',
    table: definition.name,
    id,
    patch: Buffer.from(JSON.stringify(withPrimaryKey(definition, id, patch))),
    format,
    times: keepsTimes ? undefined : writeTimes(definition, settings, now, options.maxAge),
    reason,
    condition: options.condition,
    // A part of a record must not pass for the whole of it: the origin has the rest.
    create: !isCache,
    isLocal: options.isLocal,
    stampAttributes: rolesOf(definition).stamps,
  };
}

/** Most records have neither: those share one. */
function metaOf(indexed: IndexedValues | undefined, groups: WriteOptions['groups']): EntryMeta {
  if (groups === undefined) return indexed === undefined ? NO_META : { indexed };
  return indexed === undefined ? { groups } : { indexed, groups };
}

/** The record with its key attribute; a body that names another key is refused. */
function withPrimaryKey(definition: TableDefinition, id: RecordId, record: JsonRecord): JsonRecord {
  const key = definition.primaryKey;
  const given = record[key];
  if (given === id) return record;
  if (given === undefined || given === null) return { [key]: id, ...record, [key]: id };
  throw recordInvalid(
    definition,
    id,
    `${key}: the body says ${JSON.stringify(given)}, the URL says ${JSON.stringify(id)}; ` +
      'leave it out or make them equal',
  );
}

/** `@expiresAt`: the record's own end, in epoch milliseconds, beats the table's lifetime. */
function expiresAtTimes(context: DraftContext, record: JsonRecord) {
  const { expiresAt } = rolesOf(context.definition);
  if (expiresAt === undefined) return undefined;
  const value = record[expiresAt];
  const at = typeof value === 'string' ? Date.parse(value) : value;
  if (typeof at !== 'number' || !(at >= 0)) return undefined;
  const unbounded = writeTimes(
    { ...context.definition, expiration: undefined, sourcedFrom: undefined },
    context.settings,
    context.now,
    undefined,
  );
  return { ...unbounded, freshUntil: at as EpochMs, evictAt: at as EpochMs };
}

interface Roles {
  readonly stamps:
    | { readonly created: string | undefined; readonly updated: string | undefined }
    | undefined;
  readonly expiresAt: string | undefined;
}

/** Looked up once a definition: a bulk write asks for every row. */
const rolesByDefinition = new WeakMap<TableDefinition, Roles>();

function rolesOf(definition: TableDefinition): Roles {
  let roles = rolesByDefinition.get(definition);
  if (roles === undefined) {
    const nameOf = (role: AttributeDefinition['role']) =>
      definition.attributes.find((attribute) => attribute.role === role)?.name;
    const [created, updated] = [nameOf('createdTime'), nameOf('updatedTime')];
    const isStamped = created !== undefined || updated !== undefined;
    roles = {
      stamps: isStamped ? { created, updated } : undefined,
      expiresAt: nameOf('expiresAt'),
    };
    rolesByDefinition.set(definition, roles);
  }
  return roles;
}

export function recordInvalid(
  definition: TableDefinition,
  id: RecordId,
  problem: string,
): NodeError {
  return new NodeError('RECORD_INVALID', `${definition.typeName}/${String(id)}: ${problem}`, {
    blame: 'client',
    // Schema problems begin with the attribute at fault.
    details: { table: definition.typeName, id, attribute: problem.split(':', 1)[0] },
  });
}
