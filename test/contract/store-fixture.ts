/**
 * Makes definitions and write operations for the store's contract suite, with the defaults that a
 * test does not care about.
 */
import {
  durationMs,
  epochMs,
  type RecordId,
  type TableName,
  tableName,
} from '../../src/base/brands.ts';
import { FOREVER, type IndexedValues, type IndexValue, NEVER } from '../../src/cache/entry.ts';
import type { AttributeDefinition, TableDefinition } from '../../src/schema/definition.ts';
import type { EntryTimes, StoreReader, WriteOp } from '../../src/table/store-port.ts';

const place = { file: 'schema.graphql', line: 1, column: 1 };

const attribute = (
  name: string,
  type: AttributeDefinition['type'],
  more: Partial<AttributeDefinition> = {},
): AttributeDefinition => ({
  name,
  type,
  list: false,
  required: false,
  elementRequired: false,
  primaryKey: false,
  indexed: false,
  hidden: false,
  place,
  ...more,
});

export function makeDefinition(
  name: string,
  more: Partial<TableDefinition> & { readonly indexed?: readonly string[] } = {},
): TableDefinition {
  const { indexed = [], ...rest } = more;
  return {
    name: tableName(name),
    typeName: name,
    database: 'data',
    attributes: [
      attribute('id', 'ID', { primaryKey: true }),
      attribute('created', 'Long', { role: 'createdTime' }),
      attribute('updated', 'Long', { role: 'updatedTime' }),
      ...indexed.map((key) => attribute(key, 'Any', { indexed: true })),
    ],
    primaryKey: 'id',
    primaryKeyType: 'string',
    sealed: false,
    hidden: false,
    replicate: true,
    history: false,
    place,
    ...rest,
  };
}

export const ITEM = tableName('Item');
export const HISTORY = tableName('Ledger');
export const FLIGHT = tableName('Flight');

export const definitions: readonly TableDefinition[] = [
  makeDefinition('Item', { indexed: ['tag', 'price'] }),
  makeDefinition('Ledger', { history: true }),
  makeDefinition('Flight', { sourcedFrom: { origin: 'flights', write: 'none' } }),
];

const isIndexValue = (value: unknown): value is IndexValue =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** The index values of a record, as the table layer computes them. */
export function indexedValues(
  table: TableName,
  record: Readonly<Record<string, unknown>>,
): IndexedValues {
  const definition = definitions.find((known) => known.name === table);
  const indexed: Record<string, IndexValue[]> = {};
  for (const { name, indexed: isIndexed } of definition?.attributes ?? []) {
    const value = record[name];
    if (!isIndexed || value === undefined) continue;
    indexed[name] = (Array.isArray(value) ? value : [value]).filter(isIndexValue);
  }
  return indexed;
}

/** Refuses records whose `price` is negative. */
export const checkRecord = (
  _table: TableName,
  record: Readonly<Record<string, unknown>>,
): string | undefined =>
  typeof record.price === 'number' && record.price < 0 ? 'price must not be negative' : undefined;

export const bytesOf = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

export const FRESH: EntryTimes = {
  freshUntil: FOREVER,
  staleWhileRevalidateUntil: NEVER,
  staleIfErrorUntil: NEVER,
  evictAt: FOREVER,
};

type PutOp = Extract<WriteOp, { kind: 'put' }>;

export function put(id: RecordId, value: unknown, more: Partial<PutOp> = {}): PutOp {
  const table = more.table ?? ITEM;
  const record = typeof value === 'object' ? (value as Record<string, unknown>) : {};
  return {
    kind: 'put',
    table,
    id,
    variant: '',
    entryKind: 'record',
    status: 200,
    body: bytesOf(value),
    meta: { indexed: indexedValues(table, record) },
    times: FRESH,
    storedAt: epochMs(1_000),
    initialAge: durationMs(0),
    mustValidate: false,
    staleForbidden: false,
    reason: 'client',
    ...more,
  };
}

export const patch = (
  id: RecordId,
  value: unknown,
  more: Partial<Extract<WriteOp, { kind: 'patch' }>> = {},
): WriteOp => ({
  kind: 'patch',
  table: ITEM,
  id,
  patch: bytesOf(value),
  format: 'merge',
  times: undefined,
  reason: 'client',
  create: false,
  ...more,
});

export const remove = (
  id: RecordId,
  more: Partial<Extract<WriteOp, { kind: 'delete' }>> = {},
): WriteOp => ({ kind: 'delete', table: ITEM, id, reason: 'client', ...more });

export const invalidate = (
  scope: Extract<WriteOp, { kind: 'invalidate' }>['scope'],
  soft = false,
  table: TableName = ITEM,
): WriteOp => ({ kind: 'invalidate', table, scope, soft, reason: 'purge' });

/** The stored body as text; `undefined` when there is no entry. */
export const textOf = (
  store: StoreReader,
  id: RecordId,
  table: TableName = ITEM,
  variant = '',
): string | undefined =>
  store.withEntry(table, id, variant, (entry) =>
    entry === undefined ? undefined : Buffer.from(entry.body).toString(),
  );
