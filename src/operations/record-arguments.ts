/**
 * Arguments which the operations on records share. Several have two names, an older and a newer
 * one, of which either may be given. What is wrong is a `USAGE` naming the argument and its cure.
 */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';
import { LIMITS } from '../config/limits.ts';
import type { JsonRecord } from '../table/record-draft.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { Table } from '../table/table.ts';
import { type Arguments, type OperationContext, tableArgument, usage } from './operation.ts';

export const TABLE_ARGUMENTS = ['database', 'schema', 'table'] as const;
export const ID_ARGUMENTS = ['ids', 'hash_values'] as const;
export const WINDOW_ARGUMENTS = ['get_attributes', 'limit', 'offset', 'sort'] as const;

/** The argument under either of its names. */
export function either(args: Arguments, newer: string, older: string): unknown {
  if (args[newer] === undefined) return args[older];
  if (args[older] === undefined) return args[newer];
  throw usage(`${newer} and ${older} mean the same: give one of them`);
}

/** The table of records; throws `TABLE_UNKNOWN`, or `USAGE` for one that holds pages. */
export function recordTable(args: Arguments, context: OperationContext): Table {
  const database = either(args, 'database', 'schema');
  if (database !== undefined && typeof database !== 'string') {
    throw usage('database: the name of a database; leave it out for any');
  }
  const qualified = database && context.tables.get(`${database}.${String(args.table)}`);
  const table = qualified || tableArgument(args, context);
  const { definition } = table;
  if (database !== undefined && definition.database !== database) {
    const message =
      `there is no table ${JSON.stringify(args.table)} in the database ` +
      `${JSON.stringify(database)}; it is in ${JSON.stringify(definition.database)}`;
    throw new NodeError('TABLE_UNKNOWN', message, { blame: 'client' });
  }
  if (definition.pages === undefined) return table;
  throw usage(
    `table: ${definition.typeName} holds pages of an origin, not records; ` +
      'look at them with cache_inspect, and remove them with purge',
  );
}

export function recordsArgument({ records }: Arguments): readonly JsonRecord[] {
  for (const [index, record] of boundedList('records', records).entries()) {
    if (isObject(record)) continue;
    throw usage(`records: the entry ${index + 1} is no object; each record is one`);
  }
  return records as readonly JsonRecord[];
}

/** Keys without repetitions; throws `KEY_INVALID` for what cannot be one. */
export function idsArgument({ definition }: Table, args: Arguments): readonly RecordId[] {
  const keys = boundedList('ids', either(args, 'ids', 'hash_values'));
  return [...new Set(keys.map((key) => recordIdFrom(definition, key)))];
}

function boundedList(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw usage(`${name}: a list, with an entry`);
  const most = LIMITS.operationRecordsMax;
  if (value.length > most) {
    const message = `${name}: at most ${most} at a time, not ${value.length}; send them in parts`;
    throw usage(message, 'operationRecordsMax');
  }
  return value;
}

/** `undefined`: whole records, as `*` says too. */
export function selectArgument({
  get_attributes: given,
}: Arguments): readonly string[] | undefined {
  if (given === undefined || given === '*') return undefined;
  const isNames = Array.isArray(given) && given.every((name) => typeof name === 'string');
  const most = LIMITS.querySelectMax;
  if (!isNames || given.length === 0 || given.length > most) {
    const limit = isNames && given.length > most ? 'querySelectMax' : undefined;
    throw usage(`get_attributes: a list of 1 to ${most} names; ["*"] means all of them`, limit);
  }
  return given.includes('*') ? undefined : given;
}

export function wholeNumber(
  args: Arguments,
  name: string,
  least: number,
  most: number,
): number | undefined {
  const value = args[name];
  if (value === undefined) return undefined;
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
    return Number(value);
  }
  throw usage(`${name}: a whole number from ${least} to ${most}`);
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
