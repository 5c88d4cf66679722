/**
 * Subscribers who are handed events together: who stands in the crowd, and who does not. That all
 * end at the table's state is asserted by `slow-subscribers.test.ts`, where half of the sinks may.
 */
import { describe, expect, it } from 'vitest';
import { FakeHost, FakeSink } from '../../support/fake-sink.ts';
import { FeedBench, FLIGHT } from '../../support/feed-bench.ts';

const RECORD = { kind: 'record', id: 'A' } as const;

async function crowd(size: number, host = new FakeHost()) {
  const bench = new FeedBench();
  bench.source.put(FLIGHT, 'A', { v: 1 });
  const sinks = Array.from({ length: size }, () => bench.subscribe(RECORD, new FakeSink(host)));
  let version = 1;
  const change = async () => {
    version += 1;
    bench.source.put(FLIGHT, 'A', { v: version });
    await bench.settle();
    return version;
  };
  // The first change is handed to each by itself.
  await change();
  return { bench, host, sinks, change };
}

const shown = (sink: FakeSink | undefined) => sink?.picture.get('A');

describe('subscribers who follow the same', () => {
  it('are sent a change by one call from the second on, in order and once', async () => {
    const { host, sinks, change } = await crowd(5);
    expect(host.sent).toEqual([]);
    await change();
    await change();
    expect(host.sent).toEqual([5, 5]);
    for (const { events } of sinks) {
      expect(events.map(({ value }) => value)).toEqual([{ v: 1 }, { v: 2 }, { v: 3 }, { v: 4 }]);
    }
  });

  it('are told by themselves while one of them is all there is', async () => {
    const { host, change } = await crowd(1);
    await change();
    expect(host.sent).toEqual([]);
  });

  it('leave when they have no room, are conflated, and come back', async () => {
    const host = new FakeHost();
    host.unaskedBytesMax = 200;
    const { sinks, change } = await crowd(4, host);
    const [slow, other] = sinks;
    if (slow !== undefined) slow.room = 0;
    for (let n = 0; n < 20; n += 1) await change();
    expect(slow?.events.length).toBeLessThan(other?.events.length ?? 0);
    slow?.drain();
    for (let n = 0; n < 2; n += 1) await change();
    const last = await change();
    expect(shown(slow)).toEqual({ v: last });
    expect(host.sent.at(-1)).toBe(4);
  });

  it('are asked for room before more than the bound was handed to them', async () => {
    const { host, sinks, change } = await crowd(4);
    const [slow] = sinks;
    if (slow !== undefined) slow.room = 0;
    const before = slow?.events.length ?? 0;
    for (let n = 0; n < 100; n += 1) await change();
    const unasked = (slow?.events ?? []).slice(before);
    const bytes = unasked.reduce((sum, event) => sum + JSON.stringify(event).length, 0);
    expect(unasked.length).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(2 * host.unaskedBytesMax);
  });

  it('are sent by themselves what is larger than a crowd may be handed unasked', async () => {
    const host = new FakeHost();
    host.unaskedBytesMax = 60;
    const { sinks, change } = await crowd(3, host);
    const last = await change();
    expect(host.sent).toEqual([]);
    for (const sink of sinks) expect(shown(sink)).toEqual({ v: last });
  });

  it('are told nothing more once they have gone, and the topic goes with the last', async () => {
    const { host, sinks, change } = await crowd(3);
    await change();
    const [gone] = sinks;
    gone?.subscription?.close();
    const before = gone?.events.length;
    await change();
    expect(gone?.events.length).toBe(before);
    expect(host.sent.at(-1)).toBe(2);
    for (const { subscription } of sinks) subscription?.close();
    expect(host.topics.size).toBe(0);
  });

  it('are led to the present when the log is trimmed past them', async () => {
    const { bench, host, sinks, change } = await crowd(3);
    await change();
    for (let n = 0; n < 10; n += 1) bench.source.put(FLIGHT, 'A', { v: 100 + n });
    bench.source.trimTo(bench.source.lastSequence() - 2);
    await bench.settle();
    for (const sink of sinks) {
      expect(sink.types).toContain('reset');
      expect(shown(sink)).toEqual({ v: 109 });
    }
    expect(host.topics.size).toBe(0);
  });

  it('who want patches, or begin later, are not taken for members', async () => {
    const { bench, host, sinks, change } = await crowd(3);
    const patched = bench.subscribe({ ...RECORD, delta: true }, new FakeSink(host));
    const late = bench.subscribe(RECORD, new FakeSink(host));
    const first = await change();
    expect(host.sent).toEqual([3]);
    expect(shown(late)).toEqual({ v: first });
    const second = await change();
    expect(host.sent).toEqual([3, 4]);
    for (const sink of [...sinks, patched, late]) expect(shown(sink)).toEqual({ v: second });
  });
});
