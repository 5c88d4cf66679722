/**
 * Queries with `sort()` and `limit()` followed in seeded runs: sinks that stall and drain, rows
 * that enter, move and leave. Whoever applies the events shows exactly the first rows in their
 * order, and no record's version goes back.
 */
import { expect, it } from 'vitest';
import type { EncodedEvent } from '../../../src/feed/event.ts';
import type { Sink } from '../../../src/feed/sink.ts';
import type { Subscription } from '../../../src/feed/subscriber.ts';
import { afterSteps, windowSteps } from '../../../src/feed/window-steps.ts';
import { parseRowQuery } from '../../../src/table/query/row-filter.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import type { FeedEvent } from '../../support/fake-sink.ts';
import { FeedBench, FLIGHT, flightTable } from '../../support/feed-bench.ts';
import { OrderedPicture } from '../../support/ordered-picture.ts';
import { type Random, seededRandom } from '../../support/random.ts';

const SEEDS = Number(process.env.MILLRACE_FEED_SEEDS ?? 150);
const STEPS = 80;
const KEYS = Array.from({ length: 14 }, (_, at) => `k${at}`);

class WindowSink implements Sink {
  readonly picture = new OrderedPicture();
  subscription: Subscription | undefined;
  room = Number.POSITIVE_INFINITY;
  closedWith: string | undefined;
  #refused = false;

  ready(): boolean {
    if (this.room > 0) return true;
    this.#refused = true;
    return false;
  }

  write(event: EncodedEvent): void {
    this.room -= 1;
    this.picture.apply(JSON.parse(event.json) as FeedEvent & { index?: number });
  }

  close(code: string): void {
    this.closedWith = code;
  }

  drain(room: number): void {
    this.room = room;
    if (!this.#refused || room <= 0) return;
    this.#refused = false;
    this.subscription?.drained();
  }
}

const QUERIES = ['sort(-v)&limit(3)', 'airport=SFO&sort(gate,-v)&limit(4)', 'limit(2,5)&sort(v)'];

interface Follower {
  readonly text: string;
  readonly sink: WindowSink;
}

function subscribe(bench: FeedBench, text: string, delta: boolean): Follower {
  const { filter, window } = parseRowQuery(text, recordScope(flightTable));
  const sink = new WindowSink();
  const request = { kind: 'collection', table: flightTable, protocol: 'websocket' } as const;
  sink.subscription = bench.fanout.subscribe({ ...request, filter, window, delta }, sink);
  sink.subscription.begin();
  return { text, sink };
}

/** What the query answers, by brute force. */
function wanted(bench: FeedBench, text: string): unknown[] {
  const { filter, window } = parseRowQuery(text, recordScope(flightTable));
  if (window === undefined) throw new Error('no window');
  const rows = [...bench.source.state(FLIGHT)].map(([id, value]) => {
    const row = { id, ...(value as object) };
    return { id, value, row, keys: window.keysOf(row, id) };
  });
  return rows
    .filter(({ row }) => filter?.matches(row) ?? true)
    .sort((one, other) => window.compare(one, other))
    .slice(window.offset, window.end)
    .map(({ value }) => value);
}

function write(bench: FeedBench, next: Random, version: number): void {
  const id = KEYS[next(KEYS.length)] as string;
  if (next(5) === 0) {
    bench.source.delete(FLIGHT, id);
    return;
  }
  const airport = next(3) === 0 ? 'LAX' : 'SFO';
  const gate = `G${next(4)}`;
  bench.source.put(FLIGHT, id, { id, v: next(20), n: version, airport, gate, text: TEXT });
}

const TEXT = 'x'.repeat(60);

async function play(seed: number): Promise<void> {
  const next = seededRandom(seed);
  const limits = { snapshotScanRowsMax: 1 + next(6), changeBatchMax: 1 + next(8) };
  const bench = new FeedBench({ limits });
  let version = 0;
  const writeOne = () => {
    version += 1;
    write(bench, next, version);
  };
  for (let at = 0; at < next(20); at += 1) writeOne();
  const followers = QUERIES.flatMap((text) => [
    subscribe(bench, text, false),
    subscribe(bench, text, true),
  ]);
  for (let step = 0; step < STEPS; step += 1) {
    const { sink } = followers[next(followers.length)] as Follower;
    const choice = next(10);
    if (choice < 5) writeOne();
    else if (choice < 7) await bench.turn();
    else if (choice === 7) sink.room = 0;
    else sink.drain(1 + next(4));
  }
  for (const { sink } of followers) sink.drain(Number.POSITIVE_INFINITY);
  await bench.settle();
  for (const { text, sink } of followers) {
    expect(sink.picture.rows.map(({ value }) => value)).toEqual(wanted(bench, text));
    sink.subscription?.close();
  }
  expect(bench.fanout.counters.subscriptions.websocket).toBe(0);
}

it(`shows the first rows in their order, whatever stalls, in ${SEEDS} runs`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    await play(seed).catch((cause) => {
      throw new Error(`seed ${seed}`, { cause });
    });
  }
}, 120_000);

it('a row that moves is one step, and rows that are as they were are none', () => {
  const row = (id: string, version: number) =>
    ({ id, version, keys: [version], value: '{}' }) as never;
  const [a, b, c] = [row('a', 1), row('b', 2), row('c', 3)];
  const moved = row('a', 4);
  const steps = windowSteps([a, b, c], [b, c, moved]);
  expect(steps).toMatchObject([{ kind: 'put', index: 2 }]);
  expect(afterSteps([a, b, c], steps)).toEqual([b, c, moved]);
});

it('refuses an order without a limit, and more rows than a subscription shows', () => {
  const parse = (text: string) => () => parseRowQuery(text, recordScope(flightTable));
  expect(parse('sort(v)')).toThrowError(expect.objectContaining({ code: 'QUERY_INVALID' }));
  expect(parse('limit(501)')).toThrowError(expect.objectContaining({ code: 'QUERY_INVALID' }));
  expect(parse('limit(400,600)')).toThrowError(expect.objectContaining({ code: 'QUERY_INVALID' }));
});

it('ends those who follow a query whose rows are more than may be held', async () => {
  const bench = new FeedBench({ limits: { windowBytesMax: 300 } });
  for (const id of KEYS) bench.source.put(FLIGHT, id, { id, v: 1, text: TEXT });
  const { sink } = subscribe(bench, 'sort(v)&limit(10)', false);
  const { sink: small } = subscribe(bench, 'sort(v)&limit(2)', false);
  await bench.settle();
  expect(sink.closedWith).toBe('QUERY_TOO_EXPENSIVE');
  expect(small.picture.rows).toHaveLength(2);
});
