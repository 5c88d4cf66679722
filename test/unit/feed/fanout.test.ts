/**
 * The fan-out over a change source in memory: what each kind of subscription is told, and when.
 */
import { describe, expect, it } from 'vitest';
import { parseRowFilter } from '../../../src/table/query/row-filter.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import { FakeSink } from '../../support/fake-sink.ts';
import { FeedBench, FLIGHT, flightTable } from '../../support/feed-bench.ts';

const atSfo = parseRowFilter('airport=SFO', recordScope(flightTable));

it('weighs a snapshot that is kept with the query it is kept under, however little matched', async () => {
  const bench = new FeedBench();
  const gate = 'g'.repeat(5_000);
  const filter = parseRowFilter(`gate=${gate}`, recordScope(flightTable));
  bench.subscribe({ kind: 'collection', filter });
  await bench.settle();
  const kept = bench.fanout.memory.find(({ name }) => name === 'snapshots');
  expect(kept?.bytes).toBeGreaterThan(gate.length);
});

describe('a record subscription', () => {
  it('begins with the record, marked as retained, then streams its changes', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    const sink = bench.subscribe({ kind: 'record', id: 'AA1' });
    bench.source.put(FLIGHT, 'AA1', { v: 2 });
    bench.source.put(FLIGHT, 'BB2', { v: 3 });
    bench.source.delete(FLIGHT, 'AA1');
    await bench.settle();
    expect(sink.events).toEqual([
      {
        ...{ type: 'put', table: 'Flight', id: 'AA1', value: { v: 1 } },
        ...{ position: 'e1.1', at: 0, retained: true },
      },
      { type: 'put', table: 'Flight', id: 'AA1', value: { v: 2 }, position: 'e1.2', at: 2 },
      { type: 'delete', table: 'Flight', id: 'AA1', position: 'e1.4', at: 4 },
    ]);
  });

  it('writes the fields of an event in the order of the contract', async () => {
    const bench = new FeedBench();
    let json = '';
    const sink = new FakeSink();
    const write = sink.write.bind(sink);
    sink.write = (event) => {
      json = event.json;
      write(event);
    };
    bench.subscribe({ kind: 'record', id: 'AA1' }, sink);
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    await bench.settle();
    expect(Object.keys(JSON.parse(json))).toEqual([
      'type',
      'table',
      'id',
      'value',
      'position',
      'at',
    ]);
  });

  it('begins with delete when there is no record', async () => {
    const bench = new FeedBench();
    const deleted = bench.source.delete(FLIGHT, 'AA1');
    const sink = bench.subscribe({ kind: 'record', id: 'AA1' });
    await bench.settle();
    expect(sink.types).toEqual(['delete']);
    expect(sink.lastPosition).toBe(`e1.${deleted}`);
  });

  it('waits for a read of the origin, and misses no change meanwhile', async () => {
    let answer: (() => void) | undefined;
    const bench = new FeedBench({
      readRecord: (_table, _id, reply) => {
        answer = () => reply({ kind: 'found', value: '{"v":1}', version: 1 as never });
      },
    });
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    const sink = bench.subscribe({ kind: 'record', id: 'AA1' });
    bench.source.put(FLIGHT, 'AA1', { v: 2 });
    await bench.settle();
    expect(sink.events).toEqual([]);
    answer?.();
    await bench.settle();
    expect(sink.events.map((event) => event.value)).toEqual([{ v: 1 }, { v: 2 }]);
  });

  it('does not repeat the record which its own read brought into the store', async () => {
    const bench = new FeedBench({
      readRecord: (_table, _id, reply) => {
        const version = bench.source.put(FLIGHT, 'AA1', { v: 1 });
        reply({ kind: 'found', value: '{"v":1}', version: version as never });
      },
    });
    const sink = bench.subscribe({ kind: 'record', id: 'AA1' });
    await bench.settle();
    expect(sink.types).toEqual(['put']);
  });

  it('is told of invalidations and messages', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    const sink = bench.subscribe({ kind: 'record', id: 'AA1', omitCurrent: true });
    bench.source.invalidate(FLIGHT, 'AA1');
    bench.source.message(FLIGHT, 'AA1', { text: 'now boarding' });
    await bench.settle();
    expect(sink.types).toEqual(['invalidate', 'message']);
    expect(sink.messages).toEqual([{ text: 'now boarding' }]);
  });
});

describe('a collection subscription', () => {
  it('begins with a snapshot, then streams puts and deletes of every row', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    const sink = bench.subscribe({ kind: 'collection' });
    bench.source.put(FLIGHT, 'BB2', { v: 2 });
    bench.source.delete(FLIGHT, 'AA1');
    await bench.settle();
    expect(sink.types).toEqual(['snapshot', 'put', 'delete']);
    expect(sink.events[0]?.position).toBe('e1.1');
    expect(sink.picture).toEqual(new Map([['BB2', { v: 2 }]]));
  });

  it('sends a large snapshot in chunks, all but the last marked with more', async () => {
    const bench = new FeedBench({ limits: { snapshotChunkRowsMax: 10 } });
    for (let id = 0; id < 35; id += 1) bench.source.put(FLIGHT, `F${id}`, { v: 1 });
    const sink = bench.subscribe({ kind: 'collection' });
    await bench.settle();
    expect(sink.events.map((event) => [event.type, event.more === true])).toEqual([
      ['snapshot', true],
      ['snapshot', true],
      ['snapshot', true],
      ['snapshot', false],
    ]);
    expect(sink.picture).toEqual(bench.source.state(FLIGHT));
  });

  it('paces the snapshot by the sink and joins the stream without a gap', async () => {
    const bench = new FeedBench({ limits: { snapshotChunkRowsMax: 5 } });
    for (let id = 10; id < 40; id += 1) bench.source.put(FLIGHT, `F${id}`, { v: 1 });
    const sink = new FakeSink();
    sink.room = 1;
    bench.subscribe({ kind: 'collection' }, sink);
    await bench.settle();
    expect(sink.events).toHaveLength(1);
    bench.source.put(FLIGHT, 'F10', { v: 2 });
    bench.source.delete(FLIGHT, 'F39');
    sink.drain();
    await bench.settle();
    expect(sink.picture).toEqual(bench.source.state(FLIGHT));
  });

  it('ends with an empty snapshot when the table is empty', async () => {
    const bench = new FeedBench();
    const sink = bench.subscribe({ kind: 'collection' });
    await bench.settle();
    expect(sink.events[0]).toMatchObject({ type: 'snapshot', values: [] });
  });

  it('leaves invalidated rows out of the snapshot', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    bench.source.invalidate(FLIGHT, 'AA1');
    const sink = bench.subscribe({ kind: 'collection' });
    await bench.settle();
    expect(sink.events[0]?.values).toEqual([]);
  });
});

describe('a collection subscription with conditions', () => {
  it('tells of rows that begin to match, change inside and stop to match', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1, airport: 'SFO' });
    bench.source.put(FLIGHT, 'BB2', { v: 2, airport: 'LAX' });
    const sink = bench.subscribe({ kind: 'collection', filter: atSfo });
    await bench.settle();
    bench.source.put(FLIGHT, 'BB2', { v: 3, airport: 'SFO' });
    bench.source.put(FLIGHT, 'BB2', { v: 4, airport: 'SFO' });
    bench.source.put(FLIGHT, 'AA1', { v: 5, airport: 'LAX' });
    bench.source.put(FLIGHT, 'CC3', { v: 6, airport: 'LAX' });
    bench.source.put(FLIGHT, 'DD4', { v: 7, airport: 'SFO' });
    bench.source.delete(FLIGHT, 'CC3');
    bench.source.delete(FLIGHT, 'DD4');
    await bench.settle();
    expect(sink.types).toEqual(['snapshot', 'enter', 'put', 'leave', 'enter', 'delete']);
    expect([...sink.picture.keys()]).toEqual(['BB2']);
  });

  it('tells of a changed row that does not match as leave when the ring is passed', async () => {
    const bench = new FeedBench();
    bench.source.ringSize = 0;
    bench.source.put(FLIGHT, 'AA1', { v: 1, airport: 'SFO' });
    const sink = bench.subscribe({ kind: 'collection', filter: atSfo });
    await bench.settle();
    bench.source.put(FLIGHT, 'AA1', { v: 2, airport: 'LAX' });
    bench.source.put(FLIGHT, 'BB2', { v: 3, airport: 'SFO' });
    await bench.settle();
    expect(sink.types).toEqual(['snapshot', 'leave', 'put']);
  });

  it('loses no leave when one of two changes in a batch is left out', async () => {
    const bench = new FeedBench();
    bench.source.ringSize = 1;
    bench.source.put(FLIGHT, 'AA1', { v: 1, airport: 'SFO' });
    const sink = bench.subscribe({ kind: 'collection', filter: atSfo });
    await bench.settle();
    bench.source.put(FLIGHT, 'AA1', { v: 2, airport: 'LAX' });
    bench.source.put(FLIGHT, 'AA1', { v: 3, airport: 'LAX' });
    await bench.settle();
    expect(sink.picture.size).toBe(0);
  });

  it('shares one evaluation among subscribers with the same conditions in any order', () => {
    const one = parseRowFilter('airport=SFO&late=true', recordScope(flightTable));
    const other = parseRowFilter('late=true&airport=SFO', recordScope(flightTable));
    expect(one?.key).toBe(other?.key);
  });

  it('refuses attributes that are not declared and values of another type', () => {
    expect(() => parseRowFilter('wings=2', recordScope(flightTable))).toThrowError(
      expect.objectContaining({ code: 'QUERY_INVALID' }),
    );
    expect(() => parseRowFilter('v=many', recordScope(flightTable))).toThrowError(
      expect.objectContaining({ code: 'QUERY_INVALID' }),
    );
  });
});

describe('resuming', () => {
  it('replays from a position which the log still holds, without a snapshot', async () => {
    const bench = new FeedBench();
    const first = bench.source.put(FLIGHT, 'AA1', { v: 1 });
    bench.source.put(FLIGHT, 'AA1', { v: 2 });
    bench.source.put(FLIGHT, 'BB2', { v: 3 });
    const sink = bench.subscribe({ kind: 'collection', from: `e1.${first}` });
    await bench.settle();
    expect(sink.events.map((event) => [event.type, event.id, event.position])).toEqual([
      ['put', 'AA1', 'e1.2'],
      ['put', 'BB2', 'e1.3'],
    ]);
  });

  it.each([
    ['of another epoch', 'e0.1'],
    ['of the future', 'e1.99'],
    ['that is malformed', 'yesterday'],
    ['that is empty', ''],
  ])('tells reset and sends a snapshot for a position %s', async (_what, from) => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    const sink = bench.subscribe({ kind: 'collection', from });
    await bench.settle();
    expect(sink.types).toEqual(['reset', 'snapshot']);
    expect(bench.fanout.counters.resets.websocket).toBe(1);
  });

  it('tells reset for a position below the log, and when the replay would be too long', async () => {
    const bench = new FeedBench({ limits: { replayEntriesMax: 5 } });
    for (let v = 1; v <= 20; v += 1) bench.source.put(FLIGHT, 'AA1', { v });
    bench.source.trimTo(10);
    const trimmed = bench.subscribe({ kind: 'record', id: 'AA1', from: 'e1.8' });
    const long = bench.subscribe({ kind: 'record', id: 'AA1', from: 'e1.12' });
    const short = bench.subscribe({ kind: 'record', id: 'AA1', from: 'e1.16' });
    await bench.settle();
    expect(trimmed.types).toEqual(['reset', 'put']);
    expect(long.types).toEqual(['reset', 'put']);
    expect(short.types).toEqual(['put']);
  });

  it('gives positions from which nothing is missed, while it conflates', async () => {
    const bench = new FeedBench();
    for (const id of ['A', 'B', 'A', 'C', 'B']) bench.source.put(FLIGHT, id, { v: 1 });
    const sink = new FakeSink();
    sink.room = 1;
    bench.subscribe({ kind: 'collection', from: 'e1.0' }, sink);
    await bench.settle();
    expect(sink.events.map((event) => event.id)).toEqual(['A']);
    const rest = bench.subscribe({ kind: 'collection', from: sink.lastPosition });
    await bench.settle();
    expect([...rest.picture.keys()].sort()).toEqual(['A', 'B', 'C']);
  });
});

describe('slow subscribers', () => {
  it('get the newest value of each record once when they read again, and lose no message', async () => {
    const bench = new FeedBench();
    const sink = new FakeSink();
    bench.subscribe({ kind: 'collection', omitCurrent: true }, sink);
    sink.room = 0;
    for (let v = 1; v <= 50; v += 1) {
      bench.source.put(FLIGHT, `F${v % 3}`, { v });
      if (v % 10 === 0) bench.source.message(FLIGHT, 'F0', v);
      await bench.settle();
    }
    sink.drain();
    await bench.settle();
    expect(sink.messages).toEqual([10, 20, 30, 40, 50]);
    expect(sink.types.filter((type) => type === 'put')).toHaveLength(3);
    expect(sink.picture).toEqual(bench.source.state(FLIGHT));
    expect(bench.fanout.counters.conflated.websocket).toBe(47);
  });

  it('do not hold up the others', async () => {
    const bench = new FeedBench();
    const slow = bench.subscribe({ kind: 'record', id: 'AA1' });
    const quick = bench.subscribe({ kind: 'record', id: 'AA1' });
    slow.room = 0;
    for (let v = 1; v <= 10; v += 1) bench.source.put(FLIGHT, 'AA1', { v });
    await bench.settle();
    expect(quick.events.filter((event) => event.type === 'put')).toHaveLength(10);
  });

  it('are owed a bounded number of records; the rest stays in the log', async () => {
    const bench = new FeedBench({ limits: { conflatedRecordsMax: 4 } });
    const sink = new FakeSink();
    sink.room = 0;
    bench.subscribe({ kind: 'collection', omitCurrent: true }, sink);
    for (let v = 1; v <= 100; v += 1) bench.source.put(FLIGHT, `F${v}`, { v });
    await bench.settle();
    while (sink.picture.size < 100) {
      sink.drain(1);
      await bench.settle();
    }
    expect(sink.picture).toEqual(bench.source.state(FLIGHT));
  });

  it('are told reset when the log was trimmed past them', async () => {
    const bench = new FeedBench();
    const sink = bench.subscribe({ kind: 'collection' });
    await bench.settle();
    sink.room = 0;
    for (let v = 1; v <= 20; v += 1) bench.source.put(FLIGHT, 'AA1', { v });
    await bench.settle();
    bench.source.trimTo(15);
    sink.drain();
    await bench.settle();
    expect(sink.types).toEqual(['snapshot', 'reset', 'snapshot']);
    expect(sink.picture).toEqual(bench.source.state(FLIGHT));
  });

  it('are closed with a code to come back when the log outruns their snapshots', async () => {
    const bench = new FeedBench({ limits: { snapshotChunkRowsMax: 1, snapshotRestartsMax: 2 } });
    for (let v = 1; v <= 4; v += 1) bench.source.put(FLIGHT, `F${v}`, { v });
    const sink = new FakeSink();
    sink.room = 1;
    bench.subscribe({ kind: 'collection' }, sink);
    for (let round = 0; round < 60 && sink.closedWith === undefined; round += 1) {
      await bench.settle();
      const last = bench.source.put(FLIGHT, 'F1', { v: 5 + round });
      bench.source.trimTo(last + 1);
      sink.drain(1);
    }
    expect(sink.closedWith).toBe('POSITION_UNKNOWN');
    expect(bench.fanout.subscriptionCount).toBe(0);
  });

  it('who are live while the head itself is trimmed are told reset', async () => {
    const bench = new FeedBench();
    const sink = bench.subscribe({ kind: 'record', id: 'AA1' });
    await bench.settle();
    for (let v = 1; v <= 20; v += 1) bench.source.put(FLIGHT, 'AA1', { v });
    bench.source.trimTo(15);
    await bench.settle();
    expect(sink.types).toEqual(['delete', 'reset', 'put']);
    expect(sink.picture.get('AA1')).toEqual({ v: 20 });
  });
});

describe('the shared reader', () => {
  it('encodes an event once for all subscribers', async () => {
    const bench = new FeedBench();
    const seen = new Set<unknown>();
    for (let n = 0; n < 10; n += 1) {
      const sink = new FakeSink();
      sink.write = (event) => seen.add(event);
      bench.subscribe({ kind: 'record', id: 'AA1', omitCurrent: true }, sink);
    }
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    await bench.settle();
    expect(seen.size).toBe(1);
  });

  it('reads the log in bounded batches and yields between them', async () => {
    const bench = new FeedBench({ limits: { changeBatchMax: 10 } });
    const sink = bench.subscribe({ kind: 'collection', omitCurrent: true });
    for (let v = 1; v <= 25; v += 1) bench.source.put(FLIGHT, `F${v}`, { v });
    await bench.turn();
    expect(sink.events).toHaveLength(10);
    await bench.settle();
    expect(sink.events).toHaveLength(25);
  });

  it('does not read the log while nobody is subscribed', async () => {
    const bench = new FeedBench();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    await bench.settle();
    expect(bench.source.logReads).toBe(0);
  });

  it('reads once for many who resume from the same place', async () => {
    const bench = new FeedBench();
    for (let v = 1; v <= 1_000; v += 1) bench.source.put(FLIGHT, 'AA1', { v });
    for (let n = 0; n < 50; n += 1) bench.subscribe({ kind: 'record', id: 'AA1', from: 'e1.0' });
    await bench.settle();
    expect(bench.source.logReads).toBeLessThan(10);
  });

  it('stands a sink that ends its subscription while it is told', async () => {
    const bench = new FeedBench();
    const first = bench.subscribe({ kind: 'record', id: 'AA1', omitCurrent: true });
    const second = bench.subscribe({ kind: 'record', id: 'AA1', omitCurrent: true });
    first.write = () => first.subscription?.close();
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    await bench.settle();
    expect(second.types).toEqual(['put']);
    expect(bench.fanout.subscriptionCount).toBe(1);
  });

  it('says that a record is not known any more when its row was evicted', async () => {
    const bench = new FeedBench();
    bench.source.ringSize = 0;
    const table = { ...flightTable, sourcedFrom: { origin: 'api', write: 'none' as const } };
    const sink = bench.subscribe({ kind: 'record', id: 'AA1', omitCurrent: true, table });
    bench.source.put(FLIGHT, 'AA1', { v: 1 });
    bench.source.evict(FLIGHT, 'AA1');
    await bench.settle();
    expect(sink.types).toEqual(['invalidate']);
  });
});
