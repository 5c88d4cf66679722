/** The tree agrees with a filter compared by itself, whatever filters and topics there are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileTopicFilter, topicFilterFault } from '../../../../src/base/topic-filter.ts';
import {
  type Subscription,
  SubscriptionTree,
} from '../../../../src/protocols/mqtt/subscription-tree.ts';

const subscription = (filter: string): Subscription => ({
  ...{ written: filter, filter, qos: 0, noLocal: false, retainAsPublished: false },
  id: undefined,
});

const level = fc.constantFrom('a', 'b', '', '$SYS');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const wildLevel = fc.constantFrom('a', 'b', '', '+', '#', '$SYS');
const filters = fc
  .array(wildLevel, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((filter) => topicFilterFault(filter) === undefined);

describe('a subscription tree', () => {
  it('matches what each filter matches by itself, and forgets what is removed', () => {
    const owned = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), filters), { maxLength: 20 });
    fc.assert(
      fc.property(owned, fc.array(topics, { minLength: 1, maxLength: 6 }), (given, names) => {
        const tree = new SubscriptionTree<number>();
        for (const [owner, filter] of given) tree.add(owner, subscription(filter));
        for (const [owner, filter] of given.slice(0, 5)) tree.remove(owner, filter);
        const left = given.filter(
          ([owner, filter]) =>
            !given.slice(0, 5).some(([one, other]) => one === owner && other === filter),
        );
        for (const name of names) {
          const found = new Set<string>();
          tree.match(name, (owner, matched) => {
            for (const { filter } of matched) found.add(`${owner} ${filter}`);
          });
          const wanted = left.filter(([, filter]) => compileTopicFilter(filter)(name));
          expect(found).toEqual(new Set(wanted.map(([owner, filter]) => `${owner} ${filter}`)));
        }
        for (const [owner, filter] of left) tree.remove(owner, filter);
        expect(tree.size).toBe(0);
      }),
    );
  });
});
