/**
 * `{"operation":"purge","table":"Item","keys":["a"]}`: what is named may not be reused by any read
 * that begins after the answer. One of `key`, `keys`, `prefix`, `group`, `groups` or `all` says
 * what; a table alone means all of it. A group without a table is purged in every cache of the
 * node: its tables are one site [RFC9875 §2.1]. `soft: true` makes it stale instead, so that the
 * policy's stale permissions still apply.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { groupScope } from '../table/record-groups.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { PurgeScope, Table } from '../table/table.ts';
import {
  type Arguments,
  type Operation,
  type PurgeKind,
  tableArgument,
  usage,
} from './operation.ts';

const NAMED_MAX = 10_000;
const GROUP_CHARS_MAX = 1_024;
const WHAT = ['key', 'keys', 'prefix', 'group', 'groups', 'all'] as const;

interface Purge {
  readonly kind: PurgeKind;
  readonly scope: PurgeScope;
  /** What the answer and the log call it. */
  readonly purged: 'all' | readonly RecordId[] | object;
}

export const purge: Operation = {
  name: 'purge',
  takes: ['table', ...WHAT, 'soft'],
  async run(args, context) {
    const soft = args.soft ?? false;
    if (typeof soft !== 'boolean') throw usage('soft: true or false');
    const given = WHAT.filter((name) => args[name] !== undefined);
    if (given.length > 1) throw usage(`purge one of ${given.join(', ')} at a time`);
    const isNodeWide = args.table === undefined && (given[0]?.startsWith('group') ?? false);
    const tables = isNodeWide
      ? context.tables.all().filter((table) => table.isCache)
      : [tableArgument(args, context)];
    const purges = tables.map((table) => ({ table, ...whatToPurge(table.definition, args) }));
    await Promise.all(
      purges.map(({ table, scope }) => table.invalidate(scope, { soft, reason: 'purge' })),
    );
    for (const { table, kind, scope } of purges) {
      context.onPurged(table.definition.typeName, kind, countOf(scope));
    }
    const said = { ...answerOf(purges, isNodeWide), soft };
    context.purges.add({ by: context.by, ...said });
    return said;
  },
};

function answerOf(purges: readonly (Purge & { table: Table })[], isNodeWide: boolean): object {
  const names = purges.map(({ table }) => table.definition.typeName);
  const purged = purges[0]?.purged ?? [];
  return isNodeWide ? { tables: names, purged } : { table: names[0], purged };
}

function whatToPurge(definition: TableDefinition, args: Arguments): Purge {
  const keys = args.key === undefined ? args.keys : [args.key];
  if (keys !== undefined) {
    const ids = listed('keys', keys).map((key) => recordIdFrom(definition, key));
    return { kind: 'key', scope: { keys: ids }, purged: ids };
  }
  const groups = args.group === undefined ? args.groups : [args.group];
  if (groups !== undefined) {
    const names = listed('groups', groups).map(groupName);
    return { kind: 'group', scope: { groups: names }, purged: { groups: names } };
  }
  if (args.prefix !== undefined) {
    const prefix = prefixOf(definition, args.prefix);
    return { kind: 'prefix', scope: { prefix }, purged: { prefix } };
  }
  if (args.all !== undefined && args.all !== true) {
    throw usage('all: true; leave it out to purge what keys, a prefix or groups name');
  }
  return { kind: 'table', scope: 'table', purged: 'all' };
}

function listed(argument: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw usage(`${argument}: a list; leave it out to purge the whole table`);
  }
  if (value.length > NAMED_MAX) throw usage(`${argument}: at most ${NAMED_MAX} at a time`);
  return value;
}

/** A group's name; that of a record's group is taken without its version. */
function groupName(value: unknown): string {
  if (typeof value === 'string' && value !== '' && value.length <= GROUP_CHARS_MAX) {
    return groupScope(value);
  }
  throw usage(`group: the name of a group, 1 to ${GROUP_CHARS_MAX} characters`);
}

function prefixOf(definition: TableDefinition, value: unknown): string {
  if (definition.primaryKeyType !== 'string') {
    throw usage(`prefix: the keys of ${definition.typeName} are numbers; name them by keys`);
  }
  if (typeof value === 'string' && value !== '') return value;
  throw usage('prefix: the beginning of the keys; leave it out to purge the whole table');
}

function countOf(scope: PurgeScope): number {
  if (scope === 'table' || 'prefix' in scope) return 1;
  return 'keys' in scope ? scope.keys.length : scope.groups.length;
}
