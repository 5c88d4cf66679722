/** Writes: preconditions, merging, unchanged rewrites, fills that lose, deletes. */
import { expect, it } from 'vitest';
import { durationMs, entityTag, epochMs, recordVersion, sequence } from '../../src/base/brands.ts';
import { stateOfEntry } from '../../src/cache/row-entry.ts';
import type { WriteOutcome } from '../../src/table/store-port.ts';
import type { Subject } from './store.ts';
import { FLIGHT, FRESH, ITEM, invalidate, patch, put, remove, textOf } from './store-fixture.ts';

const kindsOf = (outcomes: readonly WriteOutcome[]) => outcomes.map((outcome) => outcome.kind);

export function writeContract(subject: Subject): void {
  const tagOf = (id: string) =>
    subject().store.withEntry(ITEM, id, '', (entry) => entry?.entityTag ?? entityTag(''));
  const jsonOf = (id: string) => JSON.parse(textOf(subject().store, id) ?? 'null');

  it('lets one of two writes win which expect the same tag [RFC9110 §13.1.1]', async () => {
    const { store } = subject();
    await store.commit([put('a', 'one')], 'process');
    const condition = { ifMatch: [tagOf('a')] };
    const outcomes = await Promise.all([
      store.commit([put('a', 'two', { condition })], 'process'),
      store.commit([put('a', 'three', { condition })], 'process'),
    ]);
    expect(kindsOf(outcomes.flat())).toEqual(['stored', 'preconditionFailed']);
    expect(textOf(store, 'a')).toBe('two');
  });

  it('creates only what is not there for If-None-Match: * [RFC9110 §13.1.2]', async () => {
    const { store } = subject();
    const condition = { ifNoneMatch: '*' } as const;
    const ops = [put('a', 'one', { condition }), put('a', 'two', { condition })];
    const outcomes = await store.commit(ops, 'process');
    expect(kindsOf(outcomes)).toEqual(['stored', 'preconditionFailed']);
    expect(outcomes[1]).toMatchObject({ current: tagOf('a') });
  });

  it('counts a tombstone as no record in preconditions', async () => {
    const { store } = subject();
    await store.commit([put('a', 'one'), remove('a')], 'process');
    const failed = await store.commit([put('a', 'x', { condition: { ifMatch: '*' } })], 'process');
    const stored = await store.commit(
      [put('a', 'two', { condition: { ifNoneMatch: '*' } })],
      'process',
    );
    expect(kindsOf([...failed, ...stored])).toEqual(['preconditionFailed', 'stored']);
  });

  it('obeys If-Unmodified-Since by whole seconds [RFC9110 §13.1.4]', async () => {
    const { store } = subject();
    const meta = { lastModified: epochMs(10_400) };
    await store.commit([put('a', 'one', { meta })], 'process');
    const since = (at: number) => ({ condition: { ifUnmodifiedSince: epochMs(at) } });
    const late = await store.commit([put('a', 'two', since(9_000))], 'process');
    const ok = await store.commit([put('a', 'three', since(10_000))], 'process');
    expect(kindsOf([...late, ...ok])).toEqual(['preconditionFailed', 'stored']);
  });

  it('never takes a weak tag for a match of If-Match [RFC9110 §8.8.3.2]', async () => {
    const { store } = subject();
    const weak = entityTag('W/"x"');
    await store.commit([put('a', 'one', { entityTag: weak })], 'process');
    const match = await store.commit(
      [put('a', 'y', { condition: { ifMatch: [weak] } })],
      'process',
    );
    const none = [entityTag('"x"')];
    const other = await store.commit(
      [put('a', 'y', { condition: { ifNoneMatch: none } })],
      'process',
    );
    expect(kindsOf([...match, ...other])).toEqual(['preconditionFailed', 'preconditionFailed']);
  });

  it('merges a patch by top-level property and remembers what it touched', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a', name: 'x', price: 1 })], 'process');
    const [outcome] = await store.commit([patch('a', { price: 2, extra: { deep: 1 } })], 'process');
    const state = store.withEntry(ITEM, 'a', '', (entry) => entry && stateOfEntry(entry));
    const version = outcome?.kind === 'stored' ? outcome.version : undefined;
    const set = { version, author: store.author };
    expect(jsonOf('a')).toEqual({ id: 'a', name: 'x', price: 2, extra: { deep: 1 } });
    expect(state?.touched).toEqual({ price: { place: 2, set }, extra: { set } });
  });

  it('adds up increments that meet in one commit, by author', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a', price: 1 })], 'process');
    const add = { price: { __op__: 'add', value: 5 } };
    await Promise.all([1, 2, 3].map(() => store.commit([patch('a', add)], 'process')));
    const state = store.withEntry(ITEM, 'a', '', (entry) => entry && stateOfEntry(entry));
    expect(jsonOf('a').price).toBe(16);
    expect(state?.touched?.price?.counter).toMatchObject({
      from: 1,
      sums: { [String(store.author)]: { sum: 15 } },
    });
  });

  it('merges as RFC 7396 says [RFC7396 §2]', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a', gone: 1, deep: { keep: 1, drop: 2 } })], 'process');
    const change = { gone: null, deep: { drop: null, add: [1] }, plain: 'x' };
    await store.commit([patch('a', change, { format: 'merge-patch' })], 'process');
    expect(jsonOf('a')).toEqual({ id: 'a', deep: { keep: 1, add: [1] }, plain: 'x' });
  });

  it('makes a record of a patch of nothing only when asked to', async () => {
    const { store } = subject();
    const outcomes = await store.commit(
      [patch('a', { price: 1 }), patch('b', { price: 1 }, { create: true })],
      'process',
    );
    expect(kindsOf(outcomes)).toEqual(['absent', 'stored']);
    expect(jsonOf('b')).toEqual({ id: 'b', price: 1 });
  });

  it('refuses a patch whose result breaks the schema, or is none', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a', price: 1 }), put('page', '<p>')], 'process');
    const outcomes = await store.commit(
      [patch('a', { price: -1 }), patch('a', { id: 'b' }), patch('page', { x: 1 }), patch('a', [])],
      'process',
    );
    expect(kindsOf(outcomes)).toEqual(['invalid', 'invalid', 'invalid', 'invalid']);
    expect(jsonOf('a')).toEqual({ id: 'a', price: 1 });
  });

  it('resets what patches left behind with a full put', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a', price: 1 }), patch('a', { price: 2 })], 'process');
    await store.commit([put('a', { id: 'a', price: 3 })], 'process');
    const meta = store.withEntry(ITEM, 'a', '', (entry) => entry?.retain().meta);
    expect(meta?.merging).toBeUndefined();
  });

  it('sets the time of creation once and the time of update always', async () => {
    const { store, clock } = subject();
    const stampAttributes = { created: 'created', updated: 'updated' };
    const begun = clock.now();
    await store.commit([put('a', { id: 'a', price: 1 }, { stampAttributes })], 'process');
    clock.advance(10);
    await store.commit([put('a', { id: 'a', price: 2 }, { stampAttributes })], 'process');
    const second = jsonOf('a');
    clock.advance(10);
    await store.commit([patch('a', { price: 3 }, { stampAttributes })], 'process');
    expect(second).toMatchObject({ created: begun, updated: begun + 10 });
    expect(jsonOf('a')).toMatchObject({ price: 3, created: begun, updated: begun + 20 });
  });

  it('only freshens an entry whose bytes did not change', async () => {
    const { store, clock } = subject();
    const stampAttributes = { updated: 'updated' };
    const [first] = await store.commit([put('a', { id: 'a' }, { stampAttributes })], 'process');
    const last = store.lastSequence();
    clock.advance(1_000);
    const times = { ...FRESH, freshUntil: epochMs(77) };
    const again = put('a', { id: 'a' }, { stampAttributes, times, storedAt: epochMs(5) });
    const [second] = await store.commit([again], 'process');
    const entry = store.withEntry(ITEM, 'a', '', (found) => found?.retain());
    expect(second).toMatchObject({ kind: 'stored', unchanged: true, created: false });
    expect(entry).toMatchObject({ freshUntil: 77, storedAt: 5 });
    expect(store.lastSequence()).toBe(last);
    expect(entry?.version).toBe(first?.kind === 'stored' ? first.version : undefined);
  });

  it('stores no fill over an invalidation that came after its fetch began', async () => {
    const { store } = subject();
    const fill = (stamp: number) =>
      put('a', 'old', { reason: 'fill', stamp: sequence(stamp), replaces: recordVersion(0) });
    const begun = store.lastSequence();
    await store.commit([invalidate({ kind: 'key', id: 'a' })], 'process');
    const late = await store.commit([fill(begun)], 'process');
    const later = await store.commit([fill(store.lastSequence())], 'process');
    expect(kindsOf([...late, ...later])).toEqual(['superseded', 'stored']);
  });

  it('lets a fill lose against an invalidation in the same commit', async () => {
    const { store } = subject();
    const fill = put('a', 'old', { reason: 'fill', stamp: store.lastSequence() });
    const outcomes = await store.commit(
      [invalidate({ kind: 'prefix', prefix: 'a' }), fill],
      'process',
    );
    expect(kindsOf(outcomes)).toEqual(['invalidated', 'superseded']);
  });

  it('stores no fill over a row that was written since the fetch looked', async () => {
    const { store } = subject();
    const stamp = store.lastSequence();
    await store.commit([put('a', 'client')], 'process');
    const blind = put('a', 'origin', { reason: 'fill', stamp, replaces: recordVersion(0) });
    const version = store.withEntry(ITEM, 'a', '', (entry) => entry?.version);
    const seeing = { ...blind, replaces: version };
    expect(kindsOf(await store.commit([blind], 'process'))).toEqual(['superseded']);
    expect(textOf(store, 'a')).toBe('client');
    expect(kindsOf(await store.commit([seeing], 'process'))).toEqual(['stored']);
  });

  it('stores a fill over a tombstone that stood there when the fetch began', async () => {
    const { store } = subject();
    await store.commit([put('a', 'x'), remove('a')], 'process');
    const stamp = store.lastSequence();
    const fill = put('a', 'again', { reason: 'fill', stamp, replaces: recordVersion(0) });
    await store.commit([remove('a')], 'process');
    expect(kindsOf(await store.commit([fill], 'process'))).toEqual(['stored']);
  });

  it('leaves a tombstone of a delete, and nothing of an eviction', async () => {
    const { store } = subject();
    await store.commit([put('a', 'x'), put('b', 'y')], 'process');
    const outcomes = await store.commit(
      [remove('a'), { kind: 'evict', table: ITEM, id: 'b', variant: '' }, remove('c')],
      'process',
    );
    const kinds = ['a', 'b'].map((id) => store.withEntry(ITEM, id, '', (entry) => entry?.kind));
    expect(kindsOf(outcomes)).toEqual(['deleted', 'evicted', 'absent']);
    expect(kinds).toEqual(['tombstone', undefined]);
  });

  it('counts an expired record of a table that is its own origin as none', async () => {
    const { store, clock } = subject();
    const times = { ...FRESH, freshUntil: epochMs(clock.now() + 1_000) };
    const ids = ['match', 'none', 'patched', 'removed', 'again'];
    await store.commit(
      ids.map((id) => put(id, { id, price: 1, tag: 'old' }, { times })),
      'process',
    );
    clock.advance(2_000);
    const last = store.lastSequence();
    const outcomes = await store.commit(
      [
        put('match', 'x', { condition: { ifMatch: '*' } }),
        put('none', 'x', { condition: { ifNoneMatch: '*' } }),
        patch('patched', { price: 2 }, { create: true, times: FRESH }),
        remove('removed'),
        put('again', { id: 'again', price: 1, tag: 'old' }),
      ],
      'process',
    );
    expect(kindsOf(outcomes)).toEqual([
      ...['preconditionFailed', 'stored', 'stored', 'absent', 'stored'],
    ]);
    const created = outcomes.map((found) => (found.kind === 'stored' ? found.created : undefined));
    expect(created).toEqual([undefined, true, true, undefined, true]);
    expect(jsonOf('patched')).toEqual({ id: 'patched', price: 2 });
    // Who subscribed since it expired has not seen it.
    const changed = store.changesAfter(last, 10).changes.map((change) => change.id);
    expect(changed).toEqual(['none', 'patched', 'again']);
  });

  it('merges no patch into what was invalidated, and does not make it valid again', async () => {
    const { store } = subject();
    const flight = { table: FLIGHT };
    await store.commit([put('a', { id: 'a', gate: 'A1' }, flight)], 'process');
    await store.commit([invalidate({ kind: 'table' }, false, FLIGHT)], 'process');
    const outcomes = await store.commit(
      [
        patch('a', { late: true }, { ...flight, reason: 'feed' }),
        patch('a', { late: true }, flight),
        put('a', 'x', { ...flight, condition: { ifMatch: '*' } }),
      ],
      'process',
    );
    const verdict = store.withEntry(FLIGHT, 'a', '', (entry) =>
      entry === undefined ? undefined : store.invalidations(FLIGHT).judge(entry).kind,
    );
    expect(kindsOf(outcomes)).toEqual(['absent', 'absent', 'preconditionFailed']);
    expect(verdict).toBe('hard');
  });

  it('leaves a patched record of a cache as old as the reply it came in', async () => {
    const { store, clock } = subject();
    const aged = { table: FLIGHT, storedAt: epochMs(500), initialAge: durationMs(70) };
    await store.commit([put('a', { id: 'a' }, aged), put('b', { id: 'b' })], 'process');
    await store.commit([invalidate({ kind: 'key', id: 'a' }, true, FLIGHT)], 'process');
    await store.commit(
      [patch('a', { late: true }, { table: FLIGHT, reason: 'feed' }), patch('b', { late: true })],
      'process',
    );
    const cached = store.withEntry(FLIGHT, 'a', '', (entry) => entry?.retain());
    const own = store.withEntry(ITEM, 'b', '', (entry) => entry?.storedAt);
    expect(cached).toMatchObject({ storedAt: 500, initialAge: 70 });
    expect(cached && store.invalidations(FLIGHT).judge(cached).kind).toBe('soft');
    expect(own).toBe(clock.now());
  });

  it.each(['patch', 'delete'] as const)(
    'lets a fetch lose against a %s which a feed told of meanwhile, for a record not held',
    async (kind) => {
      const { store, clock } = subject();
      const told = { table: FLIGHT, reason: 'feed' } as const;
      const op = kind === 'patch' ? patch('a', { late: true }, told) : remove('a', told);
      const fill = (stamp: number, replaces: number) => {
        const fetched = { stamp: sequence(stamp), replaces: recordVersion(replaces) };
        return put('a', 'fetched', { table: FLIGHT, reason: 'fill', ...fetched });
      };
      const begun = store.lastSequence();
      await store.commit([op], 'process');
      const late = await store.commit([fill(begun, 0)], 'process');
      const seen = store.withEntry(FLIGHT, 'a', '', (entry) => entry?.version) ?? 0;
      const next = await store.commit([fill(store.lastSequence(), seen)], 'process');
      expect(kindsOf([...late, ...next])).toEqual(['superseded', 'stored']);
      await store.commit([remove('b', told)], 'process');
      clock.advance(10 * 60_000);
      await store.sweep();
      expect(textOf(store, 'b', FLIGHT)).toBeUndefined();
      expect(store.tableSize(FLIGHT)).toMatchObject({ entries: 1 });
    },
  );

  it('lets a fetch lose against what a feed told of a record that was invalidated', async () => {
    const { store } = subject();
    await store.commit([put('a', { id: 'a' }, { table: FLIGHT })], 'process');
    await store.commit([invalidate({ kind: 'key', id: 'a' }, false, FLIGHT)], 'process');
    const stamp = store.lastSequence();
    const replaces = store.withEntry(FLIGHT, 'a', '', (entry) => entry?.version);
    await store.commit([patch('a', { x: 1 }, { table: FLIGHT, reason: 'feed' })], 'process');
    const fill = put('a', 'before', { table: FLIGHT, reason: 'fill', stamp, replaces });
    expect(kindsOf(await store.commit([fill], 'process'))).toEqual(['superseded']);
  });

  it('rejects a write to a table that was not declared, and nothing else', async () => {
    const { store } = subject();
    const wrong = store.commit([put('a', 'x', { table: 'Nope' as typeof ITEM })], 'process');
    const right = store.commit([put('a', 'x', { table: FLIGHT })], 'flushed');
    await expect(wrong).rejects.toMatchObject({ code: 'TABLE_UNKNOWN' });
    expect(kindsOf(await right)).toEqual(['stored']);
  });

  it('fails only the write whose rules break down, not those beside it', async () => {
    const { open } = subject();
    const store = await open({
      checkRecord: (_table, record) => {
        if (record.price === 13) throw new Error('a rule with a mistake in it');
        return undefined;
      },
    });
    const writes = [1, 13, 2].map((price) =>
      store.commit([put(`p${price}`, 'x'), patch('new', { price }, { create: true })], 'process'),
    );
    const settled = await Promise.allSettled(writes);
    expect(settled.map((found) => found.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled[1]).toMatchObject({ reason: { code: 'STORE_FAILED' } });
    expect(textOf(store, 'p13')).toBeUndefined();
    expect(JSON.parse(textOf(store, 'new') ?? '')).toMatchObject({ price: 2 });
  });

  it('gives versions that grow even when the clock goes back', async () => {
    const { store, clock } = subject();
    const [first] = await store.commit([put('a', 'x')], 'process');
    clock.step(-5_000);
    const [second] = await store.commit([put('a', 'y')], 'process');
    const versions = [first, second].map((found) => (found?.kind === 'stored' ? found.version : 0));
    expect(versions[1]).toBeGreaterThan(versions[0] ?? 0);
  });
}
