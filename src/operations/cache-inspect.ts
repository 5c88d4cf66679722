/**
 * `cache_inspect`: what the store holds under a key, and why a read now would reuse it or not: the
 * rule that decides, every instant, what was invalidated since, and the policy with the source of
 * each value. By `key`, or for pages by `url`; looks, and changes nothing.
 */
import { recordIdFrom } from '../table/record-key.ts';
import { type Operation, tableArgument, usage } from './operation.ts';
import { pagesAt } from './page-argument.ts';

export const cacheInspect: Operation = {
  name: 'cache_inspect',
  takes: ['table', 'key', 'url'],
  run(args, context) {
    const { key, url } = args;
    if ((key === undefined) === (url === undefined)) {
      throw usage('key: the key of a record or page, or url: the URL of a page');
    }
    if (url !== undefined) {
      const { table, id } = pagesAt(args, context);
      return report(table, id);
    }
    const table = tableArgument(args, context);
    if (typeof key !== 'string' && typeof key !== 'number') {
      throw usage('key: a record key is required');
    }
    return report(table, recordIdFrom(table.definition, key));
  },
};

type Inspected = Pick<ReturnType<typeof tableArgument>, 'definition' | 'inspect'>;

/** The facts of the only entry stand beside the rest; of several each has its own. */
function report(table: Inspected, key: Parameters<Inspected['inspect']>[0]): object {
  const inspection = table.inspect(key);
  const [only, second] = inspection.entries;
  const facts = second === undefined ? only : undefined;
  return { table: table.definition.typeName, key, ...facts, ...inspection };
}
