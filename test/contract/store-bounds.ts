/** Bounds: expiry, eviction for room, a full queue, a full disk. */
import { expect, it } from 'vitest';
import { epochMs } from '../../src/base/brands.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { Subject } from './store.ts';
import { FLIGHT, FRESH, ITEM, invalidate, patch, put, remove, textOf } from './store-fixture.ts';

const MB = 1024 * 1024;
const MONTH_MS = 31 * 24 * 60 * 60 * 1000;

async function sweepAll(store: Store): Promise<number> {
  let removed = 0;
  for (;;) {
    const result = await store.sweep();
    removed += result.removed;
    if (!result.more) return removed;
  }
}

export function boundsContract(subject: Subject): void {
  const kept = (store: Store, ids: readonly string[]) =>
    ids.filter((id) => textOf(store, id, FLIGHT) !== undefined);

  it('removes what is due, when it is due, with its index entries', async () => {
    const { store, clock } = subject();
    const until = (ms: number) => ({ times: { ...FRESH, evictAt: epochMs(clock.now() + ms) } });
    await store.commit([put('a', { tag: 'x' }, until(1_000)), put('b', 'y')], 'process');
    await store.commit([put('c', 'x', { ...until(1_000), variant: 'v' })], 'process');
    await store.commit([put('d', 'x', until(1_000)), put('d', 'x', until(90_000))], 'process');
    const early = await sweepAll(store);
    clock.advance(3_000);
    const late = await sweepAll(store);
    expect([early, late]).toEqual([0, 2]);
    expect([textOf(store, 'a'), textOf(store, 'b'), textOf(store, 'd')]).toEqual([
      undefined,
      'y',
      'x',
    ]);
    expect(store.idsByIndex(ITEM, { attribute: 'tag' }, { limit: 9, offset: 0 })).toEqual([]);
    expect(store.stats().evictions).toEqual({ expired: 2 });
  });

  it('says that there is more to sweep when a batch was full, whichever table it came from', async () => {
    const { open, clock } = subject();
    const store = await open({ limits: { expiryBatchMax: 10 } });
    const times = { ...FRESH, evictAt: epochMs(clock.now() + 1_000) };
    const due = Array.from({ length: 25 }, (_, at) => put(`k${at}`, 'x', { table: FLIGHT, times }));
    await store.commit(due, 'process');
    clock.advance(3_000);
    const sweeps = [await store.sweep(), await store.sweep(), await store.sweep()];
    expect(sweeps).toEqual([
      { removed: 10, more: true },
      { removed: 10, more: true },
      { removed: 5, more: false },
    ]);
  });

  it('keeps a tombstone for its retention and no longer', async () => {
    const { store, clock } = subject();
    await store.commit([put('a', 'x'), remove('a')], 'process');
    const kindOf = () => store.withEntry(ITEM, 'a', '', (entry) => entry?.kind);
    clock.advance(MONTH_MS / 2);
    await sweepAll(store);
    const half = kindOf();
    clock.advance(MONTH_MS);
    await sweepAll(store);
    expect([half, kindOf()]).toEqual(['tombstone', undefined]);
  });

  it('evicts the soonest due of a cache above its mark, and nothing of other tables', async () => {
    const { open, clock } = subject();
    const store = await open({ tableBytesMax: () => 20_000 });
    const ids = Array.from({ length: 20 }, (_, at) => `k${String(at).padStart(2, '0')}`);
    const body = Buffer.alloc(2_000, 'x');
    for (const [at, id] of ids.entries()) {
      const times = { ...FRESH, evictAt: epochMs(clock.now() + 60_000 * (at + 1)) };
      await store.commit(
        [put(id, '', { table: FLIGHT, body, times }), put(id, '', { body })],
        'process',
      );
    }
    await sweepAll(store);
    const left = kept(store, ids);
    expect(store.tableSize(FLIGHT).bytes).toBeLessThanOrEqual(18_000);
    expect(left).toEqual(ids.slice(-left.length));
    expect(left.length).toBeGreaterThan(5);
    expect(store.tableSize(ITEM).entries).toBe(20);
    expect(store.stats().evictions).toEqual({ pressure: 20 - left.length });
  });

  it('takes no fills below the soft mark and no client writes below the hard one', async () => {
    const { open, clock } = subject();
    let freeBytes = 10_000 * MB;
    const limits = { diskSoftFreeBytes: 5_000 * MB, diskHardFreeBytes: 1_000 * MB };
    const store = await open({ limits, freeBytes: () => freeBytes });
    const ops = [
      put('fill', 'x', { reason: 'fill' }),
      put('client', 'x'),
      patch('client', { a: 1 }, { create: true }),
      put('feed', 'x', { reason: 'feed' }),
      remove('feed'),
      invalidate({ kind: 'table' }),
    ];
    const kinds: string[][] = [];
    for (const free of [10_000, 4_000, 500]) {
      freeBytes = free * MB;
      clock.advance(1_000);
      const outcomes = await store.commit(ops, 'process');
      kinds.push(outcomes.map((outcome) => outcome.kind));
    }
    expect(kinds[0]?.slice(0, 2)).toEqual(['stored', 'stored']);
    expect(kinds[1]?.slice(0, 2)).toEqual(['shed', 'stored']);
    expect(kinds[2]).toEqual(['shed', 'shed', 'shed', 'stored', 'deleted', 'invalidated']);
    expect(store.stats().shed).toMatchObject({ fillsByDisk: 2, writesByDisk: 2 });
  });

  it('evicts a tenth of its caches when the disk runs short, and leaves it at that', async () => {
    const { open, clock } = subject();
    let freeBytes = 10_000 * MB;
    const limits = { diskSoftFreeBytes: 5_000 * MB, diskHardFreeBytes: 1_000 * MB };
    const store = await open({ limits, freeBytes: () => freeBytes });
    const body = Buffer.alloc(2_000, 'x');
    const ids = Array.from({ length: 40 }, (_, at) => `k${at}`);
    await store.commit(
      ids.map((id) => put(id, '', { table: FLIGHT, body })),
      'process',
    );
    await sweepAll(store);
    const before = store.tableSize(FLIGHT).entries;
    freeBytes = 4_000 * MB;
    clock.advance(1_000);
    await sweepAll(store);
    await sweepAll(store);
    expect([before, store.tableSize(FLIGHT).entries]).toEqual([40, 35]);
  });

  it('gives up fills first, then client writes, when its queue is full', async () => {
    const { open } = subject();
    const store = await open({ limits: { writeQueueBytesMax: 4_000 } });
    const body = Buffer.alloc(1_000);
    const fill = () => store.commit([put('f', '', { body, reason: 'fill' })], 'process');
    const client = (id: string) => store.commit([put(id, '', { body })], 'process');
    const begun = [client('a'), client('b'), fill(), client('c'), client('d'), client('e')];
    const exempt = [remove('a'), put('z', '', { body, reason: 'feed' as const })];
    const outcomes = (await Promise.all([...begun, store.commit(exempt, 'process')])).flat();
    expect(outcomes.map((outcome) => outcome.kind)).toEqual([
      ...['stored', 'stored', 'shed', 'stored', 'stored', 'shed'],
      ...['deleted', 'stored'],
    ]);
    expect(outcomes[5]).toMatchObject({ code: 'WRITE_QUEUE_FULL' });
  });

  it('goes on with the next commit when one has taken long, in order', async () => {
    const { open, clock } = subject();
    const sizes: number[] = [];
    const store = await open({
      checkRecord: () => {
        clock.advance(15);
        return undefined;
      },
      events: { committed: (_seconds, operations) => void sizes.push(operations) },
    });
    sizes.length = 0;
    const add = { n: { __op__: 'add', value: 1 } };
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5].map(() => store.commit([patch('a', add, { create: true })], 'flushed')),
    );
    expect(outcomes.flat().map((outcome) => outcome.kind)).toEqual(Array(5).fill('stored'));
    expect(sizes).toEqual([2, 2, 1]);
    expect(JSON.parse(textOf(store, 'a') ?? '')).toMatchObject({ n: 5 });
    expect(store.stats()).toMatchObject({ queueDepth: 0, queueBytes: 0 });
  });

  it('refuses writes while it closes, and keeps those it took', async () => {
    const { open } = subject();
    const store = await open({});
    const taken = store.commit([put('a', 'x')], 'flushed');
    const closing = store.close();
    await expect(store.commit([put('b', 'x')], 'process')).rejects.toMatchObject({
      code: 'SHUTTING_DOWN',
    });
    expect((await taken)[0]?.kind).toBe('stored');
    await closing;
    await open({});
  });
}
