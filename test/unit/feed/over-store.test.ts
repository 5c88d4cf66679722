/**
 * The feed over a real store: what its commits mean to subscribers, and that it stands on what the
 * store's log, ring, rows and indexes do.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Fanout } from '../../../src/feed/fanout.ts';
import type { SubscriptionRequest } from '../../../src/feed/subscriber.ts';
import { openMemoryStore } from '../../../src/store/memory/open.ts';
import type { Store } from '../../../src/store/store-options.ts';
import { parseRowFilter } from '../../../src/table/query/row-filter.ts';
import { recordScope } from '../../../src/table/query/scope.ts';
import type { WriteOp } from '../../../src/table/store-port.ts';
import {
  bytesOf,
  checkRecord,
  definitions,
  ITEM,
  indexedValues,
  makeDefinition,
  patch,
  put,
  remove,
} from '../../contract/store-fixture.ts';
import { FakeSink } from '../../support/fake-sink.ts';
import { until } from '../../support/push-node.ts';

const item = makeDefinition('Item', { indexed: ['tag', 'price'] });

describe('over a store', () => {
  let store: Store;
  let fanout: Fanout;

  beforeEach(async () => {
    store = openMemoryStore({ definitions, clock: systemClock, indexedValues, checkRecord });
    await store.indexesReady;
    fanout = new Fanout({ source: store, clock: systemClock });
    fanout.start();
  });
  afterEach(async () => {
    fanout.stop();
    await store.close();
  });

  const commit = (...ops: WriteOp[]) => store.commit(ops, 'process');
  const subscribe = (request: Partial<SubscriptionRequest> & Pick<SubscriptionRequest, 'kind'>) => {
    const sink = new FakeSink();
    const base = { table: item, protocol: 'websocket' as const };
    sink.subscription = fanout.subscribe({ ...base, ...request } as SubscriptionRequest, sink);
    sink.subscription.begin();
    return sink;
  };
  const reached = (sink: FakeSink) =>
    until(() => sink.lastPosition === `${store.epoch}.${store.lastSequence()}`);

  it('tells of puts, patches with the whole row, deletes, messages and invalidations', async () => {
    const sink = subscribe({ kind: 'record', id: 'a' });
    await commit(put('a', { id: 'a', v: 1 }));
    await commit(patch('a', { v: 2 }));
    await commit({ kind: 'message', table: ITEM, id: 'a', body: bytesOf('"hello"') });
    const scope = { kind: 'key', id: 'a' } as const;
    await commit({ kind: 'invalidate', table: ITEM, scope, soft: false, reason: 'purge' });
    await commit(remove('a'));
    await reached(sink);
    expect(sink.types).toEqual(['delete', 'put', 'put', 'message', 'invalidate', 'delete']);
    expect(sink.events[2]).toMatchObject({ value: { id: 'a', v: 2 } });
    expect(Math.abs((sink.events[2]?.at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('tells nobody of a write that changed nothing', async () => {
    await commit(put('a', { id: 'a', v: 1 }));
    const sink = subscribe({ kind: 'record', id: 'a' });
    await commit(put('a', { id: 'a', v: 1 }));
    await commit(put('a', { id: 'a', v: 2 }));
    await reached(sink);
    expect(sink.events.map((event) => event.value)).toEqual([
      { id: 'a', v: 1 },
      { id: 'a', v: 2 },
    ]);
  });

  it('keeps the membership of conditions from the rows before and after', async () => {
    const filter = parseRowFilter('tag=red', recordScope(item));
    await commit(put('a', { id: 'a', tag: 'red' }), put('b', { id: 'b', tag: 'blue' }));
    const sink = subscribe({ kind: 'collection', filter });
    await until(() => sink.events.length === 1);
    await commit(put('b', { id: 'b', tag: 'red' }));
    await commit(put('a', { id: 'a', tag: 'blue' }));
    await commit(put('b', { id: 'b', tag: 'red', v: 1 }));
    await reached(sink);
    expect(sink.types).toEqual(['snapshot', 'enter', 'leave', 'put']);
    expect(sink.events[0]?.ids).toEqual(['a']);
  });

  it('replays from the log what a position does not have yet', async () => {
    const from = `${store.epoch}.${store.lastSequence()}`;
    for (let v = 1; v <= 40; v += 1) await commit(put(`r${v % 4}`, { v }));
    const sink = subscribe({ kind: 'collection', from });
    await reached(sink);
    expect(sink.types).toEqual(['put', 'put', 'put', 'put']);
    expect(sink.picture.get('r0')).toEqual({ v: 40 });
  });

  it('ends at the state of the table while writers and slow readers race', async () => {
    const sinks = [subscribe({ kind: 'collection' }), subscribe({ kind: 'collection' })];
    const writes: Promise<unknown>[] = [];
    for (let v = 1; v <= 600; v += 1) {
      const id = `r${v % 7}`;
      writes.push(commit(v % 11 === 0 ? remove(id) : put(id, { v })));
      if (v % 40 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
        for (const [at, sink] of sinks.entries()) sink.drain((v / 40 + at) % 2 === 0 ? 0 : 5);
      }
    }
    await Promise.all(writes);
    for (const sink of sinks) {
      sink.drain();
      await reached(sink);
    }
    const state = new Map<string | number, unknown>();
    store.scan(ITEM, { limit: 100 }, (entry) => {
      if (entry.kind === 'record')
        state.set(entry.id, JSON.parse(Buffer.from(entry.body).toString()));
      return true;
    });
    for (const sink of sinks) expect(new Map([...sink.picture].sort())).toEqual(state);
  });
});
