/**
 * A subscriber that asks for a rate is conflated to it by the clock.
 */
import { expect, it } from 'vitest';
import { durationMs } from '../../../src/base/brands.ts';
import { PacedSink } from '../../../src/feed/paced-sink.ts';
import { FakeSink } from '../../support/fake-sink.ts';
import { FeedBench, FLIGHT } from '../../support/feed-bench.ts';
import { ManualClock } from '../../support/manual-clock.ts';

async function paced(bench: FeedBench, clock: ManualClock) {
  const sink = new FakeSink();
  const slow = new PacedSink(sink, clock, 5, () => subscription.drained());
  const subscription = bench.open({ kind: 'collection', omitCurrent: true }, slow);
  subscription.begin();
  return { sink, slow };
}

it('gets the newest value of every record once an interval, however many changes there were', async () => {
  const bench = new FeedBench();
  const clock = new ManualClock();
  const { sink } = await paced(bench, clock);
  for (let v = 1; v <= 90; v += 1) {
    bench.source.put(FLIGHT, `F${v % 3}`, { v });
    await bench.settle();
    if (v % 30 === 0) clock.advance(durationMs(200));
    await bench.settle();
  }
  // The first change at once, then three records at the end of each interval.
  expect(sink.events).toHaveLength(10);
  expect(sink.picture).toEqual(bench.source.state(FLIGHT));
});

it('leaves no timer behind when it is stopped', async () => {
  const bench = new FeedBench();
  const clock = new ManualClock();
  const { slow } = await paced(bench, clock);
  bench.source.put(FLIGHT, 'F1', { v: 1 });
  await bench.settle();
  expect(clock.timers).toBe(1);
  slow.stop();
  expect(clock.timers).toBe(0);
});
