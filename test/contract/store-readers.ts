/** Entries made from records: a change of a record makes them stale in the same commit. */
import { expect, it } from 'vitest';
import { epochMs, type RecordId } from '../../src/base/brands.ts';
import type { InvalidationVerdict } from '../../src/cache/ports.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { Subject } from './store.ts';
import { FLIGHT, FRESH, ITEM, invalidate, patch, put, remove } from './store-fixture.ts';

const verdict = (store: Store, id: RecordId): InvalidationVerdict['kind'] | 'absent' =>
  store.withEntry(FLIGHT, id, '', (entry) =>
    entry === undefined ? 'absent' : store.invalidations(FLIGHT).judge(entry).kind,
  );

/** An entry of `Flight` which was made from records, by a fetch that begins now. */
const made = (store: Store, id: string, ...groups: string[]) =>
  put(id, id, {
    ...{ table: FLIGHT, reason: 'fill', meta: { groups }, stamp: store.lastSequence() },
  });

const versionOf = (store: Store, id: string) =>
  store.withEntry(ITEM, id, '', (entry) => Number(entry?.version ?? 0));

export function readerContract(subject: Subject): void {
  it.each([
    ['is put', put('a', { n: 2 })],
    ['is patched', patch('a', { n: 2 })],
    ['is deleted', remove('a')],
    ['is invalidated', invalidate({ kind: 'key', id: 'a' })],
    ['is invalidated with its table', invalidate({ kind: 'table' })],
  ])('makes what was made from a record stale when it %s', async (_how, op) => {
    const { store } = subject();
    await store.commit([put('a', { n: 1 }), put('b', { n: 1 })], 'process');
    const version = versionOf(store, 'a');
    await store.commit(
      [made(store, 'of a', `Item/a;v=${version}`), made(store, 'of all', `Item;v=${version + 9}`)],
      'process',
    );
    expect([verdict(store, 'of a'), verdict(store, 'of all')]).toEqual(['valid', 'valid']);
    await store.commit([op], 'process');
    expect([verdict(store, 'of a'), verdict(store, 'of all')]).toEqual(['soft', 'soft']);
  });

  it('leaves it fresh when another record changes, or the record is written as it is', async () => {
    const { store } = subject();
    await store.commit([put('a', { n: 1 })], 'process');
    await store.commit([made(store, 'of a', `Item/a;v=${versionOf(store, 'a')}`)], 'process');
    await store.commit([put('a', { n: 1 }), put('b', { n: 1 })], 'process');
    expect(verdict(store, 'of a')).toBe('valid');
  });

  it('takes a scope only for records which some entry names', async () => {
    const { store } = subject();
    await store.commit([put('a', { n: 1 })], 'process');
    await store.commit([made(store, 'of a', `Item/a;v=${versionOf(store, 'a')}`)], 'process');
    for (let at = 0; at < 20; at += 1) await store.commit([put(`x${at}`, { n: 1 })], 'process');
    const before = store.stats().scopes;
    await store.commit([put('a', { n: 2 })], 'process');
    expect([before, store.stats().scopes]).toEqual([0, 1]);
    const evict = { kind: 'evict', table: FLIGHT, id: 'of a', variant: '' } as const;
    await store.commit([evict], 'process');
    await store.commit([made(store, 'of b', 'Item/b;v=0')], 'process');
    await store.commit([put('a', { n: 3 })], 'process');
    expect(store.stats().scopes).toBe(1);
  });

  it('stores stale what was made from an older version than is here', async () => {
    const { store, clock } = subject();
    await store.commit([put('a', { n: 1 })], 'process');
    const old = versionOf(store, 'a');
    await store.commit([put('a', { n: 2 })], 'process');
    const now = clock.now();
    const times = {
      ...FRESH,
      freshUntil: epochMs(now + 60_000),
      staleWhileRevalidateUntil: epochMs(now + 90_000),
    };
    const groups = [[`Item/a;v=${old}`], [`Item;v=${old}`], ['Item/a;v=0'], ['Item/none;v=0']];
    const found: unknown[] = [];
    for (const [at, names] of groups.entries()) {
      await store.commit([{ ...made(store, `p${at}`, ...names), times }], 'process');
      found.push(
        store.withEntry(FLIGHT, `p${at}`, '', (entry) => [
          (entry?.freshUntil ?? 0) - now,
          (entry?.staleWhileRevalidateUntil ?? 0) - now,
        ]),
      );
    }
    expect(found).toEqual([
      [0, 30_000],
      [0, 30_000],
      [0, 30_000],
      [60_000, 90_000],
    ]);
  });

  it('stores, stale, what was fetched while its record changed', async () => {
    const { store } = subject();
    await store.commit([put('a', { n: 1 })], 'process');
    const version = versionOf(store, 'a');
    await store.commit([made(store, 'first', `Item/a;v=${version}`)], 'process');
    const late = made(store, 'late', `Item/a;v=${version}`);
    await store.commit([put('a', { n: 2 })], 'process');
    const [outcome] = await store.commit([late], 'process');
    expect([outcome?.kind, verdict(store, 'late')]).toEqual(['stored', 'soft']);
  });

  it('knows after a restart which records were named', async () => {
    const { store, open } = subject();
    await store.commit([put('a', { n: 1 })], 'process');
    await store.commit([made(store, 'of a', `Item/a;v=${versionOf(store, 'a')}`)], 'process');
    const again = await open({});
    // A store in memory begins empty.
    if (verdict(again, 'of a') === 'absent') return;
    await again.indexesReady;
    await again.commit([put('b', { n: 2 })], 'process');
    const before = verdict(again, 'of a');
    await again.commit([put('a', { n: 2 })], 'process');
    expect([before, verdict(again, 'of a'), again.stats().scopes]).toEqual(['valid', 'soft', 1]);
  });
}
