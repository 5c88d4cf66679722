/** Of many distinct filters only those are evaluated that a change can concern. */
import { expect, it } from 'vitest';
import { parseRowFilter } from '../../../src/table/query/row-filter.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { FeedBench, FLIGHT, flightTable } from '../../support/feed-bench.ts';

it('evaluates each distinct filter at most once a change, and few of those by one value', async () => {
  const bench = new FeedBench();
  const evaluated: string[] = [];
  const follow = (text: string) => {
    const filter = parseRowFilter(text, recordScope(flightTable));
    if (filter === undefined) throw new Error(text);
    const matches = (row: unknown) => {
      evaluated.push(text);
      return filter.matches(row);
    };
    return bench.subscribe({ kind: 'collection', filter: { ...filter, matches } });
  };
  const places = Array.from({ length: 1_000 }, (_, n) => follow(`airport=A${n}`));
  const twice = [follow('gate=G1'), follow('gate=G1')];
  await bench.settle();
  bench.source.put(FLIGHT, 'f', { v: 1, airport: 'A7', gate: 'G1' });
  await bench.settle();
  expect(new Set(evaluated)).toEqual(new Set(['airport=A7', 'gate=G1']));
  evaluated.length = 0;
  bench.source.put(FLIGHT, 'f', { v: 2, airport: 'A8', gate: 'G1' });
  await bench.settle();
  expect(new Set(evaluated)).toEqual(new Set(['airport=A7', 'airport=A8', 'gate=G1']));
  expect(places[7]?.types).toEqual(['snapshot', 'enter', 'leave']);
  expect(places[8]?.types).toEqual(['snapshot', 'enter']);
  expect(places[9]?.types).toEqual(['snapshot']);
  expect(twice.map(({ types }) => types.length)).toEqual([3, 3]);
  for (const { subscription } of [...places, ...twice]) subscription?.close();
  expect(bench.fanout.subscriptionCount).toBe(0);
});
