/** Secondary indexes: ordered by value and id, many values a record, every kind of value. */
import { expect, it } from 'vitest';
import type { IndexHit, IndexRange, IndexSpan } from '../../src/table/store-port.ts';
import type { Subject } from './store.ts';
import { ITEM, makeDefinition, patch, put, remove } from './store-fixture.ts';

const ALL = { limit: 100, offset: 0 };

export function indexContract(subject: Subject): void {
  const ids = (range: IndexRange, page = ALL) => subject().store.idsByIndex(ITEM, range, page);
  const equal = (attribute: string, value: string | number | boolean | null): IndexRange => ({
    attribute,
    from: value,
    to: value,
  });

  it('finds records by each of several values, in order of value and id', async () => {
    const { store } = subject();
    const ops = [put('b', { tag: ['x', 'y'] }), put('a', { tag: ['y'] }), put(3, { tag: ['y'] })];
    await store.commit(ops, 'process');
    expect(ids(equal('tag', 'y'))).toEqual([3, 'a', 'b']);
    expect(ids(equal('tag', 'x'))).toEqual(['b']);
    expect(ids({ attribute: 'tag' })).toEqual(['b', 3, 'a', 'b']);
  });

  it('orders null, booleans, numbers and texts, and keeps a range within one kind', async () => {
    const { store } = subject();
    const values = ['10', 10, 9, -1, 2.5, true, false, null, '9', ''];
    await store.commit(
      values.map((price) => put(`${JSON.stringify(price)}`, { price })),
      'process',
    );
    const all = ids({ attribute: 'price' }).map((id) => JSON.parse(String(id)));
    expect(all).toEqual([null, false, true, -1, 2.5, 9, 10, '', '10', '9']);
    expect(ids({ attribute: 'price', from: 2.5 })).toEqual(['2.5', '9', '10']);
    expect(ids({ attribute: 'price', to: 9 })).toEqual(['-1', '2.5', '9']);
    expect(ids({ attribute: 'price', from: '10' })).toEqual(['"10"', '"9"']);
    expect(ids(equal('price', null))).toEqual(['null']);
  });

  it('pages and counts up to a bound', async () => {
    const { store } = subject();
    await store.commit(
      [1, 2, 3, 4].map((id) => put(id, { tag: 'x' })),
      'process',
    );
    expect(ids(equal('tag', 'x'), { limit: 2, offset: 1 })).toEqual([2, 3]);
    expect(store.countByIndex(ITEM, equal('tag', 'x'), 3)).toBe(3);
    expect(store.countByIndex(ITEM, equal('tag', 'x'), 30)).toBe(4);
  });

  it('goes on behind a hit, in both directions, whatever was written meanwhile', async () => {
    const { store } = subject();
    const values = [-2, 1, 1, 1, 7, 'a', 'b', true, null];
    await store.commit(
      values.map((price, at) => put(`k${at}`, { price })),
      'process',
    );
    const walk = (isDescending: boolean): unknown[] => {
      const seen: unknown[] = [];
      let after: IndexHit | undefined;
      for (;;) {
        const span = { attribute: 'price' };
        const page = store.indexPage(ITEM, span, { limit: 2, after, isDescending });
        seen.push(...page.map((hit) => hit.id));
        after = page.at(-1);
        if (page.length < 2) return seen;
      }
    };
    const ascending = ['k8', 'k7', 'k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6'];
    expect(walk(false)).toEqual(ascending);
    expect(walk(true)).toEqual(ascending.toReversed());
    await store.commit([remove('k2'), put('k11', { price: 1 })], 'process');
    const after = { value: 1, id: 'k2' };
    const page = (isDescending: boolean) =>
      store.indexPage(ITEM, equal('price', 1), { limit: 9, after, isDescending });
    expect(page(false).map((hit) => hit.id)).toEqual(['k3']);
    const from = (isDescending: boolean) =>
      store.indexPage(ITEM, { attribute: 'price' }, { limit: 3, from: 1, isDescending });
    expect(from(false).map((hit) => hit.id)).toEqual(['k1', 'k11', 'k3']);
    expect(from(true).map((hit) => hit.id)).toEqual(['k3', 'k11', 'k1']);
    expect(page(true).map((hit) => hit.id)).toEqual(['k11', 'k1']);
  });

  it('leaves out open bounds and finds what begins with a text', async () => {
    const { store } = subject();
    const long = 'p'.repeat(200);
    const values = [1, 2, 3, 'ab', 'abc', 'b', `${long}1`, `${long}2`, 'abü', 'ab\u{1f600}'];
    await store.commit(
      values.map((price) => put(`${price}`, { price })),
      'process',
    );
    const found = (span: Omit<IndexSpan, 'attribute'>, isDescending = false) =>
      store
        .indexPage(ITEM, { attribute: 'price', ...span }, { limit: 99, isDescending })
        .map((hit) => hit.id);
    expect(found({ from: 1, fromOpen: true })).toEqual(['2', '3']);
    expect(found({ from: 1, fromOpen: true, to: 3, toOpen: true })).toEqual(['2']);
    expect(found({ to: 3, toOpen: true }, true)).toEqual(['2', '1']);
    expect(found({ prefix: 'ab' })).toEqual(['ab', 'abc', 'abü', 'ab\u{1f600}']);
    expect(found({ prefix: `${long}1` })).toContain(`${long}1`);
    expect(store.countByIndex(ITEM, { attribute: 'price', prefix: 'ab' }, 3)).toBe(3);
  });

  it('agrees with the rows after puts, patches, deletes and evictions', async () => {
    const { store } = subject();
    await store.commit(
      ['a', 'b', 'c', 'd'].map((id) => put(id, { id, tag: 'x' })),
      'process',
    );
    await store.commit(
      [
        put('a', { id: 'a', tag: 'y' }),
        patch('b', { tag: ['y', 'z'] }),
        remove('c'),
        { kind: 'evict', table: ITEM, id: 'd', variant: '' },
      ],
      'process',
    );
    expect(ids({ attribute: 'tag' })).toEqual(['a', 'b', 'b']);
    expect(ids(equal('tag', 'z'))).toEqual(['b']);
  });

  it('keeps long values and long ids apart', async () => {
    const { store } = subject();
    const long = 'v'.repeat(3_000);
    const id = 'k'.repeat(1_500);
    const ops = [
      put(id, { tag: `${long}1` }),
      put('a', { tag: `${long}2` }),
      put('b', { tag: 'v' }),
    ];
    await store.commit(ops, 'process');
    expect(ids(equal('tag', `${long}1`))).toEqual([id]);
    expect(ids(equal('tag', `${long}2`))).toEqual(['a']);
    expect(ids({ attribute: 'tag', from: `${long}1` })).toEqual(expect.arrayContaining([id, 'a']));
    expect(ids({ attribute: 'tag', to: 'v' })).toEqual(['b']);
  });

  it('has no index entry of a record that became negative', async () => {
    const { store } = subject();
    await store.commit([put('a', { tag: 'x' })], 'process');
    await store.commit([put('a', '', { entryKind: 'negative', status: 404 })], 'process');
    expect(ids({ attribute: 'tag' })).toEqual([]);
  });

  it('opens with a definition of its own', async () => {
    const { open } = subject();
    const store = await open({ definitions: [makeDefinition('Other')] });
    expect(store.tableSize(makeDefinition('Other').name)).toEqual({ entries: 0, bytes: 0 });
  });
}
