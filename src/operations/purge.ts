/**
 * `{"operation":"purge","table":"Item","keys":["a"]}`: what is named may not be reused by any read
 * that begins after the answer. What is named is said by one of WHAT; a table alone means all of
 * it. A group, URL or host without a table is purged wherever it is cached on the node: its tables
 * are one site [RFC9875 §2.1]. `soft: true` makes it stale instead, so that the policy's stale
 * permissions still apply.
 *
 * Prefix, host, group and table are one write each, whatever they hold; `query` finds the rows.
 * Other nodes are told at once. `wait: "all"` answers when each has obeyed: `confirmed` and
 * `unconfirmed` name them; who could not be told in time obeys when it is reached again.
 */
import type { TableDefinition } from '../schema/definition.ts';
import type { PurgeKind } from '../table/purge-note.ts';
import { groupScope } from '../table/record-groups.ts';
import { recordIdFrom } from '../table/record-key.ts';
import type { PurgeScope, Table } from '../table/table.ts';
import {
  type Arguments,
  type Operation,
  type OperationContext,
  tableArgument,
  usage,
} from './operation.ts';
import { pagesAt } from './page-argument.ts';
import { matchingRows } from './purge-query.ts';

const NAMED_MAX = 10_000;
const NAME_CHARS_MAX = 1_024;
const WHAT = [
  ...['key', 'keys', 'url', 'urls', 'prefix', 'host', 'group', 'groups', 'query', 'all'],
] as const;

interface TablePurge {
  readonly table: Table;
  readonly scopes: readonly PurgeScope[];
}

interface Purge {
  readonly kind: PurgeKind;
  readonly purges: readonly TablePurge[];
  /** What the answer and the log call it. */
  readonly purged: unknown;
  readonly count: number;
}

export const purge: Operation = {
  name: 'purge',
  takes: ['table', ...WHAT, 'soft', 'wait'],
  async run(args, context) {
    const soft = args.soft ?? false;
    if (typeof soft !== 'boolean') throw usage('soft: true or false');
    const { wait = 'none' } = args;
    if (wait !== 'none' && wait !== 'all') throw usage('wait: all, or none');
    const given = WHAT.filter((name) => args[name] !== undefined);
    if (given.length > 1) throw usage(`purge one of ${given.join(', ')} at a time`);
    const { kind, purges, purged, count } = await whatToPurge(args, context);
    await Promise.all(
      purges.flatMap(({ table, scopes }) =>
        scopes.map((scope) => table.invalidate(scope, { soft, reason: 'purge' })),
      ),
    );
    const tables = purges.map(({ table }) => table.definition.typeName);
    const by = { by: context.by, via: 'operation' } as const;
    context.purges.add({ ...by, kind, tables, purged, soft, count });
    const { address, identity } = context;
    for (const table of tables) {
      const what = { table, scope: kind, soft, count };
      identity.audit({ kind: 'purged', by: context.by, address, ...what });
    }
    const isNodeWide = args.table === undefined && kind !== 'table';
    const answer = { ...(isNodeWide ? { tables } : { table: tables[0] }), purged, soft };
    if (wait === 'none') return answer;
    const none = { confirmed: [], missing: [] };
    const { confirmed, missing } = (await context.cluster?.confirmPurges()) ?? none;
    return { ...answer, confirmed, unconfirmed: missing };
  },
};

async function whatToPurge(args: Arguments, context: OperationContext): Promise<Purge> {
  const urls = args.url === undefined ? args.urls : [args.url];
  if (urls !== undefined) return pagesToPurge(listed('urls', urls), args, context);
  const groups = args.group === undefined ? args.groups : [args.group];
  if (groups !== undefined) {
    const names = listed('groups', groups).map(groupName);
    const purges = caches(args, context).map((table) => ({ table, scopes: [{ groups: names }] }));
    return { kind: 'group', purges, purged: { groups: names }, count: names.length };
  }
  if (args.host !== undefined) return hostToPurge(args, context);
  return rowsToPurge(tableArgument(args, context), args);
}

async function rowsToPurge(table: Table, args: Arguments): Promise<Purge> {
  const { definition } = table;
  const keys = args.key === undefined ? args.keys : [args.key];
  if (keys !== undefined) {
    const ids = listed('keys', keys).map((key) => recordIdFrom(definition, key));
    const purges = [{ table, scopes: [{ keys: ids }] }];
    return { kind: 'key', purges, purged: ids, count: ids.length };
  }
  if (args.prefix !== undefined) {
    const prefix = prefixOf(definition, args.prefix);
    return {
      kind: 'prefix',
      purges: [{ table, scopes: [{ prefix }] }],
      purged: { prefix },
      count: 1,
    };
  }
  if (args.query !== undefined) {
    const { query } = args;
    if (typeof query !== 'string')
      throw usage('query: conditions as in a URL: status=404&host=a.b');
    const { ids, more } = await matchingRows(table, query);
    const purged = { query, count: ids.length, ...(more ? { more } : {}) };
    return {
      kind: 'query',
      purges: [{ table, scopes: [{ keys: ids }] }],
      purged,
      count: ids.length,
    };
  }
  if (args.all !== undefined && args.all !== true) {
    throw usage('all: true; leave it out to purge what keys, a prefix or groups name');
  }
  return { kind: 'table', purges: [{ table, scopes: ['table'] }], purged: 'all', count: 1 };
}

/** The caches meant: that of `table`, or all of the node. */
const caches = (args: Arguments, context: OperationContext): readonly Table[] =>
  args.table === undefined
    ? context.tables.all().filter((table) => table.isCache)
    : [tableArgument(args, context)];

function pagesToPurge(urls: readonly unknown[], args: Arguments, context: OperationContext): Purge {
  const scopes = new Map<Table, PurgeScope[]>();
  const purged = urls.map((url) => {
    const { table, id, ids, prefixes } = pagesAt({ ...args, url }, context);
    const own = scopes.get(table) ?? [];
    own.push({ keys: ids }, ...prefixes.map((prefix) => ({ prefix })));
    scopes.set(table, own);
    return id;
  });
  const purges = [...scopes].map(([table, own]) => ({ table, scopes: own }));
  return { kind: 'url', purges, purged, count: purged.length };
}

/** Keys of pages begin with their host. */
function hostToPurge(args: Arguments, context: OperationContext): Purge {
  const { host } = args;
  if (typeof host !== 'string' || !/^[\w.:[\]-]{1,255}$/.test(host)) {
    throw usage('host: the host of pages, with its port if it has one: www.example.com');
  }
  const tables = caches(args, context).filter(({ definition }) => definition.pages !== undefined);
  if (tables.length === 0) throw usage('host: only pages have one; there is no such page table');
  const prefix = `${host.toLowerCase()}/`;
  const purges = tables.map((table) => ({ table, scopes: [{ prefix }] }));
  return { kind: 'host', purges, purged: { host }, count: 1 };
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
  if (typeof value === 'string' && value !== '' && value.length <= NAME_CHARS_MAX) {
    return groupScope(value);
  }
  throw usage(`group: the name of a group, 1 to ${NAME_CHARS_MAX} characters`);
}

/** Of pages a URL may be given, as one has it at hand. */
function prefixOf({ primaryKeyType, typeName, pages }: TableDefinition, value: unknown): string {
  if (primaryKeyType !== 'string') {
    throw usage(`prefix: the keys of ${typeName} are numbers; name them by keys`);
  }
  if (typeof value !== 'string' || value === '') {
    throw usage('prefix: the beginning of the keys; leave it out to purge the whole table');
  }
  return pages === undefined ? value : value.replace(/^https?:\/\//i, '');
}
