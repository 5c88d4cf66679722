/**
 * Invalidation: scopes against stamps, hard and soft, and what is left of scopes that are too many.
 */
import { expect, it } from 'vitest';
import type { RecordId } from '../../src/base/brands.ts';
import type { InvalidationVerdict } from '../../src/cache/ports.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { Subject } from './store.ts';
import { FLIGHT, ITEM, invalidate, put } from './store-fixture.ts';

const judge = (store: Store, id: RecordId, table = ITEM): InvalidationVerdict['kind'] | 'absent' =>
  store.withEntry(table, id, '', (entry) =>
    entry === undefined ? 'absent' : store.invalidations(table).judge(entry).kind,
  );

export function invalidationContract(subject: Subject): void {
  it.each([
    ['the key', { kind: 'key', id: 'news/1' }],
    ['a group', { kind: 'group', group: 'g' }],
    ['a prefix', { kind: 'prefix', prefix: 'news/' }],
    ['the table', { kind: 'table' }],
  ] as const)(
    'judges an entry older than an invalidation of %s, and no other',
    async (_name, scope) => {
      const { store } = subject();
      const meta = { groups: ['g', 'other'] };
      await store.commit(
        [put('news/1', 'x', { meta }), put('news/1', 'x', { table: FLIGHT })],
        'process',
      );
      await store.commit([put('old', 'x')], 'process');
      const before = judge(store, 'news/1');
      await store.commit([invalidate(scope)], 'process');
      const after = judge(store, 'news/1');
      await store.commit([put('news/1', 'x', { meta, stamp: store.lastSequence() })], 'process');
      expect([before, after, judge(store, 'news/1')]).toEqual(['valid', 'hard', 'valid']);
      expect(judge(store, 'news/1', FLIGHT)).toBe('valid');
      expect(judge(store, 'old')).toBe(scope.kind === 'table' ? 'hard' : 'valid');
    },
  );

  it('says since when a softly invalidated entry is stale, and lets a hard one win', async () => {
    const { store, clock } = subject();
    await store.commit([put('a', 'x')], 'process');
    clock.advance(1_000);
    const at = clock.now();
    await store.commit([invalidate({ kind: 'key', id: 'a' }, true)], 'process');
    const soft = store.withEntry(ITEM, 'a', '', (entry) =>
      entry === undefined ? undefined : store.invalidations(ITEM).judge(entry),
    );
    await store.commit([invalidate({ kind: 'table' })], 'process');
    await store.commit([invalidate({ kind: 'key', id: 'a' }, true)], 'process');
    expect(soft).toEqual({ kind: 'soft', at });
    expect(judge(store, 'a')).toBe('hard');
  });

  it('knows the newest invalidation that names a key', async () => {
    const { store } = subject();
    const { newest } = bound(store);
    expect(newest('a/1')).toBe(0);
    await store.commit([invalidate({ kind: 'key', id: 'a/1' })], 'process');
    const first = newest('a/1');
    await store.commit([invalidate({ kind: 'prefix', prefix: 'a/' })], 'process');
    const second = newest('a/1');
    await store.commit([invalidate({ kind: 'group', group: 'g' })], 'process');
    expect(first).toBe(1);
    expect([second, newest('a/1'), newest('b')]).toEqual([2, 2, 0]);
    await store.commit([invalidate({ kind: 'table' })], 'process');
    expect(newest('b')).toBe(store.lastSequence());
  });

  it('keeps number and text keys apart', async () => {
    const { store } = subject();
    await store.commit([put(1, 'x'), put('1', 'x')], 'process');
    await store.commit([invalidate({ kind: 'key', id: 1 })], 'process');
    expect([judge(store, 1), judge(store, '1')]).toEqual(['hard', 'valid']);
  });

  it('never believes an entry again whose scope had to be forgotten', async () => {
    const { open } = subject();
    const store = await open({ limits: { scopesMax: 64 } });
    const ids = Array.from({ length: 300 }, (_, at) => `k${at}`);
    await store.commit(
      ids.map((id) => put(id, 'x')),
      'process',
    );
    await store.commit([put('grouped', 'x', { meta: { groups: ['g'] } })], 'process');
    const begun = store.lastSequence();
    await store.commit([invalidate({ kind: 'group', group: 'g' })], 'process');
    for (const id of ids) await store.commit([invalidate({ kind: 'key', id })], 'process');
    const verdicts = new Set(ids.map((id) => judge(store, id)));
    const late = put('k0', 'late', { reason: 'fill', stamp: begun });
    const [outcome] = await store.commit([late], 'process');
    expect(store.stats().scopes).toBeLessThanOrEqual(66);
    expect([...verdicts].toSorted()).toEqual(['absent', 'hard']);
    expect(judge(store, 'grouped')).toBe('hard');
    expect(outcome?.kind).toBe('superseded');
  });

  it('judges softly what a forgotten soft scope may have named', async () => {
    const { open } = subject();
    const store = await open({ limits: { scopesMax: 64 } });
    await store.commit([put('a', 'x')], 'process');
    for (let at = 0; at < 100; at += 1) {
      await store.commit([invalidate({ kind: 'group', group: `g${at}` }, true)], 'process');
    }
    expect(judge(store, 'a')).toBe('soft');
  });

  it('holds a bounded number of prefixes', async () => {
    const { store } = subject();
    await store.commit([put('p0/x', 'x')], 'process');
    const ops = Array.from({ length: 600 }, (_, at) =>
      invalidate({ kind: 'prefix', prefix: `p${at}/` }),
    );
    for (const op of ops) await store.commit([op], 'process');
    expect(store.stats().scopes).toBeLessThanOrEqual(257);
    expect(judge(store, 'p0/x')).toBe('hard');
  });
}

const bound = (store: Store) => ({
  newest: (id: RecordId) => Number(store.invalidations(ITEM).newest(id)),
});
