/**
 * Invalidation: scopes against stamps, hard and soft, and what is left of scopes that are too many.
 */
import { expect, it } from 'vitest';
import type { RecordId } from '../../src/base/brands.ts';
import type { InvalidationVerdict } from '../../src/cache/ports.ts';
import type { Store } from '../../src/store/store-options.ts';
import type { Subject } from './store.ts';
import { FLIGHT, ITEM, invalidate, patch, put } from './store-fixture.ts';

const judge = (store: Store, id: RecordId, table = ITEM): InvalidationVerdict['kind'] | 'absent' =>
  store.withEntry(table, id, '', (entry) =>
    entry === undefined ? 'absent' : store.invalidations(table).judge(entry).kind,
  );

export function invalidationContract(subject: Subject): void {
  it.each([
    ['the key', { kind: 'key', id: 'early' }],
    ['a group', { kind: 'group', group: 'g' }],
    ['the table', { kind: 'table' }],
  ] as const)('is in force for %s before it is committed', async (_name, scope) => {
    const { store } = subject();
    await store.commit([put('early', 'x', { meta: { groups: ['g'] } })], 'process');
    await store.commit([put('since', 'x')], 'process');
    const committing = store.commit([invalidate(scope)], 'flushed');
    expect(judge(store, 'early')).toBe('hard');
    await committing;
    expect(judge(store, 'early')).toBe('hard');
    const stamp = store.lastSequence();
    await store.commit([put('early', 'x', { meta: { groups: ['g'] }, stamp })], 'process');
    expect(judge(store, 'early')).toBe('valid');
  });

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

  it('believes it neither while the commit that forgets the scope is under way', async () => {
    const { open } = subject();
    const store = await open({ limits: { scopesMax: 64 } });
    const ids = await purged(store, 64);
    const verdicts = new Set<string>();
    for (const [at, oldest] of ids.entries()) {
      let isDone = false;
      const folding = store.commit([invalidate({ kind: 'key', id: `more ${at}` })], 'process');
      void folding.finally(() => {
        isDone = true;
      });
      const next = [oldest, ids[at + 1] ?? oldest];
      while (!isDone) {
        for (const id of next) verdicts.add(judge(store, id));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    expect([...verdicts].toSorted()).toEqual(['absent', 'hard']);
  });

  it('nor when that commit fails', async () => {
    const { open } = subject();
    const store = await open({
      limits: { scopesMax: 64 },
      checkRecord: () => {
        throw new Error('a rule with a mistake in it');
      },
    });
    const ids = await purged(store, 64);
    const settled = await Promise.allSettled([
      store.commit([invalidate({ kind: 'key', id: 'one more' })], 'process'),
      store.commit([patch('broken', {}, { create: true })], 'process'),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    const verdicts = new Set(ids.map((id) => judge(store, id)));
    expect([...verdicts].toSorted()).toEqual(['absent', 'hard']);
    expect(judge(store, 'kept')).toBe('valid');
  });

  it('forgets many at once in one commit, and believes none of them', async () => {
    const { open } = subject();
    const store = await open({ limits: { scopesMax: 64 } });
    const ids = await purged(store, 64);
    const more = Array.from({ length: 500 }, (_, at) => `m${at}`);
    await store.commit(
      more.map((id) => put(id, 'x')),
      'process',
    );
    const ops = more.map((id) => invalidate({ kind: 'key', id }));
    await store.commit(ops, 'process');
    const verdicts = new Set([...ids, ...more].map((id) => judge(store, id)));
    expect([...verdicts].toSorted()).toEqual(['absent', 'hard']);
    await store.commit([put('new', 'x')], 'process');
    expect(judge(store, 'new')).toBe('valid');
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

/** Stores and purges so many records, and one more which is not purged. */
async function purged(store: Store, count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, (_, at) => `k${at}`);
  await store.commit(
    [...ids, 'kept'].map((id) => put(id, 'x')),
    'process',
  );
  for (const id of ids) await store.commit([invalidate({ kind: 'key', id })], 'process');
  return ids;
}

const bound = (store: Store) => ({
  newest: (id: RecordId) => Number(store.invalidations(ITEM).newest(id)),
});
