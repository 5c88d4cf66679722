/** The change log: order, rows before and after, retention, wake-ups. */
import { expect, it } from 'vitest';
import { type Sequence, sequence } from '../../src/base/brands.ts';
import type { Change, StoreReader } from '../../src/table/store-port.ts';
import type { Subject } from './store.ts';
import { bytesOf, HISTORY, ITEM, invalidate, patch, put, remove } from './store-fixture.ts';

const text = (bytes: Uint8Array | null | undefined) =>
  bytes === null || bytes === undefined ? bytes : Buffer.from(bytes).toString();

function follow(store: StoreReader, after: Sequence): Change[] {
  const changes: Change[] = [];
  let next = after;
  for (;;) {
    const batch = store.changesAfter(next, 7);
    if (batch.changes.length === 0) return changes;
    changes.push(...batch.changes);
    next = batch.next;
  }
}

export function changeContract(subject: Subject): void {
  it('tells every change in order with the row before and after', async () => {
    const { store } = subject();
    const from = store.lastSequence();
    await store.commit([put('a', '1'), put('a', '2'), put(7, { id: 7, price: 1 })], 'process');
    await store.commit([patch(7, { price: 2 }), remove('a')], 'process');
    await store.commit(
      [invalidate({ kind: 'key', id: 'a' }), invalidate({ kind: 'table' })],
      'process',
    );
    const told = follow(store, from).map((change) => [
      change.op,
      change.id,
      text(change.before),
      text(change.after),
    ]);
    expect(told).toEqual([
      ['put', 'a', null, '1'],
      ['put', 'a', '1', '2'],
      ['put', 7, null, '{"id":7,"price":1}'],
      ['patch', 7, '{"id":7,"price":1}', '{"id":7,"price":2}'],
      ['delete', 'a', '2', undefined],
      ['invalidate', 'a', undefined, undefined],
      ['invalidate', undefined, undefined, undefined],
    ]);
  });

  it('gives every change the sequence after the last, its author and its time', async () => {
    const { store, clock } = subject();
    const from = store.lastSequence();
    await store.commit([put('a', '1'), put('b', '2')], 'process');
    const changes = follow(store, from);
    expect(changes.map((change) => change.sequence - from)).toEqual([1, 2]);
    expect(changes[0]).toMatchObject({ author: store.author, at: clock.now(), table: ITEM });
    expect(store.lastSequence()).toBe(from + 2);
  });

  it('keeps the bodies of messages, and of tables with history, off the ring too', async () => {
    const { open } = subject();
    const store = await open({ limits: { changeRingBytes: 4_096 } });
    const from = store.lastSequence();
    const message = { kind: 'message', table: ITEM, id: 'm', body: bytesOf('hello') } as const;
    await store.commit([message, put('h', 'kept', { table: HISTORY }), put('a', 'row')], 'process');
    for (let at = 0; at < 40; at += 1)
      await store.commit([put('z', `${at}`.repeat(50))], 'process');
    const [first, second, third] = follow(store, from);
    expect([first?.op, text(first?.after)]).toEqual(['message', 'hello']);
    expect([second?.op, text(second?.after)]).toEqual(['put', 'kept']);
    expect([third?.op, third?.before, third?.after]).toEqual(['put', undefined, undefined]);
  });

  it('goes on from the log to the ring without a gap', async () => {
    const { open } = subject();
    const store = await open({ limits: { changeRingBytes: 4_096 } });
    const from = store.lastSequence();
    for (let at = 0; at < 100; at += 1) await store.commit([put(at, 'x'.repeat(60))], 'process');
    const sequences = follow(store, from).map((change) => change.sequence - from);
    expect(sequences).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
  });

  it('does not tell of fills that bring the same bytes, nor of evictions', async () => {
    const { store } = subject();
    await store.commit([put('a', 'same')], 'process');
    const from = store.lastSequence();
    await store.commit([put('a', 'same', { reason: 'fill', stamp: from })], 'process');
    await store.commit([{ kind: 'evict', table: ITEM, id: 'a', variant: '' }], 'process');
    expect(follow(store, from)).toEqual([]);
  });

  it('tells of a record as deleted when its origin has it no more', async () => {
    const { store } = subject();
    await store.commit([put('a', 'x')], 'process');
    const from = store.lastSequence();
    const negative = put('a', '', { entryKind: 'negative', status: 404, reason: 'fill' });
    await store.commit([negative, { ...negative, id: 'never' }], 'process');
    expect(follow(store, from).map((change) => [change.op, change.id])).toEqual([['delete', 'a']]);
  });

  it('forgets the oldest changes beyond its bounds and says so to who asks for them', async () => {
    const { open } = subject();
    const store = await open({ limits: { logEntriesMax: 20 } });
    for (let at = 0; at < 60; at += 1) await store.commit([put(at, 'x')], 'process');
    const first = store.firstSequence();
    const behind = store.changesAfter(sequence(0), 5);
    expect(store.stats().logEntries).toBe(20);
    expect(store.lastSequence() - first).toBe(19);
    expect(behind.truncated).toBe(true);
    expect(behind.changes[0]?.sequence).toBe(first);
    expect(store.changesAfter(sequence(first - 1), 5).truncated).toBe(false);
  });

  it('forgets changes by age and by bytes', async () => {
    const { open, clock } = subject();
    const store = await open({ limits: { logDaysMax: 1, logBytesMax: 3_000 } });
    const body = bytesOf('x'.repeat(500));
    for (let at = 0; at < 20; at += 1) {
      await store.commit([{ kind: 'message', table: ITEM, id: at, body }], 'process');
    }
    const { logBytes } = store.stats();
    clock.advance(2 * 24 * 60 * 60 * 1000);
    await store.commit([put('a', 'x')], 'process');
    expect(logBytes).toBeLessThanOrEqual(3_000);
    expect(store.stats().logEntries).toBe(1);
  });

  it('wakes its listeners after a commit, once for many', async () => {
    const { store } = subject();
    let calls = 0;
    let seen = 0;
    // The wake-up of whatever opening the store committed comes first.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const woken = new Promise<void>((resolve) => {
      const stop = store.onCommit(() => {
        calls += 1;
        seen = store.lastSequence();
        stop();
        resolve();
      });
    });
    const from = store.lastSequence();
    await Promise.all([1, 2, 3].map((id) => store.commit([put(id, 'x')], 'process')));
    await woken;
    expect([calls, seen - from]).toEqual([1, 3]);
  });

  it('says of a position from the future that it does not know it', () => {
    const { store } = subject();
    expect(store.changesAfter(sequence(999), 5)).toMatchObject({ changes: [], truncated: true });
  });
}
