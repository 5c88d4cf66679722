/**
 * `{"operation":"purge","table":"Item","keys":["a"]}`: what is named may not be reused by any read
 * that begins after the answer. Without `keys`, the whole table. `soft: true` makes it stale
 * instead, so that the policy's stale permissions still apply.
 */
import type { RecordId } from '../base/brands.ts';
import type { TableDefinition } from '../schema/definition.ts';
import { recordIdFrom } from '../table/record-key.ts';
import { type Operation, tableArgument, usage } from './operation.ts';

const KEYS_MAX = 10_000;

export const purge: Operation = {
  name: 'purge',
  takes: ['table', 'keys', 'soft'],
  async run(args, context) {
    const table = tableArgument(args, context);
    const soft = args.soft ?? false;
    if (typeof soft !== 'boolean') throw usage('soft: true or false');
    const keys = purgedKeys(table.definition, args.keys);
    const scope = keys === undefined ? 'table' : { keys };
    await table.invalidate(scope, { soft, reason: 'purge' });
    const kind = keys === undefined ? 'table' : 'key';
    context.onPurged(table.definition.typeName, kind, keys?.length ?? 1);
    return { table: table.definition.typeName, purged: keys ?? 'all', soft };
  },
};

function purgedKeys(definition: TableDefinition, value: unknown): readonly RecordId[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) {
    throw usage('keys: a list of record keys; leave it out to purge the whole table');
  }
  if (value.length > KEYS_MAX) throw usage(`keys: at most ${KEYS_MAX} at a time`);
  return value.map((key) => recordIdFrom(definition, key));
}
