/**
 * What somebody follows by a topic filter, as presence counts it: a record, or the tables of which
 * the filter may match records, whatever else it asks of them.
 */
import type { Followed } from '../../feed/presence.ts';
import { literalPrefix, type Topics } from './topics.ts';

export function* followedBy(
  filter: string,
  topics: Topics,
  isOfCode: (filter: string) => boolean,
): Generator<Followed> {
  if (filter.startsWith('$') || isOfCode(filter)) return;
  if (!/[+#]/.test(filter)) {
    const located = topics.locate(filter);
    if (located !== undefined) yield located;
    return;
  }
  // Topics below the name of a table are that table's and nobody else's.
  const owner = topics.locate(`${literalPrefix(filter)}0`)?.table;
  if (owner !== undefined && topics.prefixOf(owner.name) !== '') {
    yield { table: owner };
    return;
  }
  for (const table of topics.tablesUnder(filter)) yield { table };
}
