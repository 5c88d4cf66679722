/**
 * `cache_inspect`: what the store holds under a key, its instants, its permissions, and whether a
 * read now would reuse it. Looks, and changes nothing.
 */
import { type Operation, tableArgument, usage } from './operation.ts';

export const cacheInspect: Operation = {
  name: 'cache_inspect',
  takes: ['table', 'key'],
  run(args, context) {
    const table = tableArgument(args, context);
    const { key } = args;
    if (typeof key !== 'string' && typeof key !== 'number')
      throw usage('key: a record key is required');
    return { table: table.definition.typeName, key, ...table.inspect(key) };
  },
};
