/** What a store does for other nodes: merging, the log with origins, cursors, digests, clocks. */
import { describe, expect, it } from 'vitest';
import { epochMs, nodeId, type RecordId, recordVersion, sequence } from '../../src/base/brands.ts';
import { versionTime } from '../../src/base/hlc.ts';
import { stateOfEntry } from '../../src/cache/row-entry.ts';
import type { InvalidationItem, Item } from '../../src/replication/ports.ts';
import type { Store } from '../../src/store/store-options.ts';
import { flushed, replicaOf, snapshot, stream, streamed } from '../support/replica-nodes.ts';
import type { Subject } from './store.ts';
import { FLIGHT, FRESH, ITEM, invalidate, patch, put, remove, textOf } from './store-fixture.ts';

export function replicaContract(subject: Subject): void {
  const pair = async (): Promise<readonly [Store, Store]> => {
    const one = await subject().open({ isReplicated: true });
    const other = await subject().another({ isReplicated: true });
    return [one, other];
  };
  const write = (store: Store, ...ops: Parameters<typeof put>) =>
    store.commit([put(...ops)], 'process');
  const both = async (one: Store, other: Store) => {
    await stream(one, other);
    await stream(other, one);
  };
  const stateOf = (store: Store, id: RecordId) =>
    store.withEntry(ITEM, id, '', (entry) => entry && stateOfEntry(entry.retain()));
  const expectEqual = async (one: Store, other: Store) => {
    await one.digestsReady;
    await other.digestsReady;
    expect(replicaOf(other).digest(ITEM)).toEqual(replicaOf(one).digest(ITEM));
  };

  describe('with other nodes', () => {
    it('merges what was patched apart to the same bytes and digests', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a', name: 'x', price: 1 });
      await both(one, other);
      await one.commit([patch('a', { price: 2, zeta: 1 })], 'process');
      await other.commit([patch('a', { name: 'y', alpha: 1 })], 'process');
      await both(one, other);
      expect(textOf(one, 'a')).toBe('{"id":"a","name":"y","price":2,"alpha":1,"zeta":1}');
      expect(textOf(other, 'a')).toBe(textOf(one, 'a'));
      await expectEqual(one, other);
    });

    it('adds up what was added on several nodes, and what is told twice only once', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a', price: 1 });
      await both(one, other);
      const add = (value: number) => patch('a', { price: { __op__: 'add', value } });
      await one.commit([add(5)], 'process');
      await other.commit([add(7), add(1)], 'process');
      await both(one, other);
      await snapshot(one, other);
      await snapshot(other, one);
      expect([textOf(one, 'a'), textOf(other, 'a')]).toEqual([
        '{"id":"a","price":14}',
        '{"id":"a","price":14}',
      ]);
    });

    it('keeps a delete that is newer, and a put that is newer than the delete', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a' });
      await write(one, 'b', { id: 'b' });
      await both(one, other);
      subject().clock.advance(1_000);
      await other.commit([remove('a')], 'process');
      await one.commit([remove('b')], 'process');
      subject().clock.advance(1_000);
      await write(other, 'b', { id: 'b', back: true });
      await both(one, other);
      for (const store of [one, other]) {
        expect(store.withEntry(ITEM, 'a', '', (entry) => entry?.kind)).toBe('tombstone');
        expect(textOf(store, 'b')).toBe('{"id":"b","back":true}');
        expect(store.tableSize(ITEM).entries).toBe(1);
      }
      await expectEqual(one, other);
    });

    it('takes a write of equal bytes for the last word', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a', price: 1 });
      await both(one, other);
      subject().clock.advance(10);
      await write(other, 'a', { id: 'a', price: 2 });
      subject().clock.advance(10);
      await write(one, 'a', { id: 'a', price: 1 });
      await both(one, other);
      expect([textOf(one, 'a'), textOf(other, 'a')]).toEqual([
        '{"id":"a","price":1}',
        '{"id":"a","price":1}',
      ]);
    });

    it('shows a merged row to subscribers and indexes as it shows a local one', async () => {
      const [one, other] = await pair();
      await write(other, 'a', { id: 'a', tag: 'old' });
      await both(one, other);
      const from = other.lastSequence();
      subject().clock.advance(5);
      await write(one, 'a', { id: 'a', tag: 'new' });
      await write(one, 'b', { id: 'b', tag: 'new' });
      await one.commit([remove('b')], 'process');
      await stream(one, other);
      const { changes } = other.changesAfter(from, 100);
      const [change] = changes;
      expect(changes.map(({ op, id }) => [op, id])).toEqual([['put', 'a']]);
      expect(Buffer.from(change?.before ?? []).toString()).toBe('{"id":"a","tag":"old"}');
      expect(Buffer.from(change?.after ?? []).toString()).toBe('{"id":"a","tag":"new"}');
      const ids = (tag: string) =>
        other.idsByIndex(ITEM, { attribute: 'tag', from: tag, to: tag }, { limit: 9, offset: 0 });
      expect([ids('old'), ids('new')]).toEqual([[], ['a']]);
    });

    it('gives what it shows of a row growing versions, late patches too', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a', name: 'x', price: 1 });
      await both(one, other);
      await other.commit([patch('a', { price: 2 })], 'process');
      subject().clock.advance(1_000);
      await one.commit([patch('a', { name: 'y' })], 'process');
      const shown = () => one.withEntry(ITEM, 'a', '', (entry) => entry?.version ?? 0);
      const before = shown();
      await stream(other, one);
      expect(textOf(one, 'a')).toBe('{"id":"a","name":"y","price":2}');
      expect(shown()).toBeGreaterThan(before ?? 0);
      await stream(one, other);
      await expectEqual(one, other);
    });

    it('passes over what is at or below the cursor of its author', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a' });
      await flushed(one);
      const items = streamed(one, other);
      const { cursors } = replicaOf(one).horizon();
      const apply = () => replicaOf(other).apply({ items, cursors });
      expect(await apply()).toEqual({ merged: 1, unchanged: 0, unknown: 0 });
      const last = other.lastSequence();
      expect(await apply()).toEqual({ merged: 0, unchanged: 0, unknown: 0 });
      expect(other.lastSequence()).toBe(last);
    });

    it('passes on what it knew already, and tells subscribers nothing of it', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a' });
      await write(one, 'b', { id: 'b' });
      await flushed(one);
      const items = streamed(one, other);
      const bare = items.map((item) => ({ ...item, origin: undefined }) as Item);
      await replicaOf(other).apply({ items: bare, cursors: new Map() });
      const from = other.lastSequence();
      const { cursors } = replicaOf(one).horizon();
      const report = await replicaOf(other).apply({ items, cursors });
      expect(report).toEqual({ merged: 0, unchanged: 2, unknown: 0 });
      await flushed(other);
      const { entries } = replicaOf(other).logAfter(sequence(0), 100);
      const { author } = replicaOf(one);
      expect(entries.map(({ kind, origin }) => [kind, origin])).toEqual([
        ['row', undefined],
        ['row', undefined],
        ['row', { author, sequence: 1, after: 0 }],
        ['row', { author, sequence: 2, after: 1 }],
      ]);
      const { changes, next } = other.changesAfter(from, 100);
      expect([changes, next]).toEqual([[], other.lastSequence()]);
    });

    it('obeys an invalidation of another node on arrival, once', async () => {
      const [one, other] = await pair();
      const cached = { table: FLIGHT, reason: 'fill' } as const;
      await write(other, 'f', { id: 'f' }, { ...cached, stamp: other.lastSequence() });
      const stamp = other.lastSequence();
      await one.commit([invalidate({ kind: 'key', id: 'f' }, false, FLIGHT)], 'flushed');
      await flushed(one);
      const [purge] = streamed(one, other) as InvalidationItem[];
      expect(purge).toMatchObject({ kind: 'invalidation', scope: { kind: 'key', id: 'f' } });
      const ahead = purge === undefined ? [] : [purge];
      await replicaOf(other).apply({ items: ahead, cursors: new Map(), isAhead: true });
      const judged = () =>
        other.withEntry(FLIGHT, 'f', '', (e) => e && other.invalidations(FLIGHT).judge(e).kind);
      expect(judged()).toBe('hard');
      const [late] = await write(other, 'f', { id: 'f', old: true }, { ...cached, stamp });
      expect(late?.kind).toBe('superseded');
      const fresh = { ...cached, stamp: other.lastSequence() };
      await write(other, 'f', { id: 'f', new: true }, fresh);
      const known = ahead.map((item) => ({ ...item, isKnown: true }));
      const { cursors } = replicaOf(one).horizon();
      await replicaOf(other).apply({ items: known, cursors });
      expect(judged()).toBe('valid');
    });

    it("sends a client's write to a cache as an invalidation of its key, a fill not", async () => {
      const [one, other] = await pair();
      await write(one, 'f', { id: 'f' }, { table: FLIGHT, reason: 'fill' });
      await write(one, 'g', { id: 'g' }, { table: FLIGHT, reason: 'client' });
      await one.commit([remove('g', { table: FLIGHT })], 'process');
      await flushed(one);
      expect(streamed(one, other)).toMatchObject([
        { kind: 'invalidation', table: FLIGHT, scope: { kind: 'key', id: 'g' } },
        { kind: 'invalidation', table: FLIGHT, scope: { kind: 'key', id: 'g' } },
      ]);
    });

    it('hands a message on once, with what came beside it', async () => {
      const [one, other] = await pair();
      const publication = Buffer.from('properties');
      const message = { kind: 'message', table: ITEM, id: 't', body: Buffer.from('hi') } as const;
      await one.commit([{ ...message, publication }], 'process');
      await stream(one, other);
      await stream(one, other);
      const { changes } = other.changesAfter(sequence(0), 10);
      expect(changes).toHaveLength(1);
      const [change] = changes;
      expect(Buffer.from(change?.after ?? []).toString()).toBe('hi');
      expect(Buffer.from(change?.publication?.properties ?? []).toString()).toBe('properties');
      expect(change?.author).toBe(replicaOf(one).author);
    });

    it('makes a page stale that was made from a row which another node changed', async () => {
      const [one, other] = await pair();
      await write(one, 'a', { id: 'a', price: 1 });
      await both(one, other);
      const version = other.withEntry(ITEM, 'a', '', (entry) => entry?.version);
      const page = {
        table: FLIGHT,
        reason: 'fill',
        meta: { groups: [`Item/a;v=${version}`] },
      } as const;
      await write(other, 'page', { id: 'page' }, { ...page, stamp: other.lastSequence() });
      const judged = () =>
        other.withEntry(FLIGHT, 'page', '', (e) => e && other.invalidations(FLIGHT).judge(e).kind);
      expect(judged()).toBe('valid');
      subject().clock.advance(5);
      await write(one, 'a', { id: 'a', price: 2 });
      await stream(one, other);
      expect(judged()).toBe('soft');
    });

    it('does not bring back what is over', async () => {
      const [one, other] = await pair();
      const { clock } = subject();
      const until = epochMs(clock.instant + 1_000);
      await write(
        one,
        'a',
        { id: 'a' },
        { times: { ...FRESH, freshUntil: until, evictAt: until } },
      );
      await flushed(one);
      const items = streamed(one, other);
      clock.advance(5_000);
      await replicaOf(other).apply({ items, cursors: new Map() });
      expect(other.withEntry(ITEM, 'a', '', (entry) => entry?.kind)).toBeUndefined();
    });

    it('merges snapshots and never replaces: rows of its own stay', async () => {
      const [one, other] = await pair();
      for (let n = 0; n < 5; n += 1) await write(one, `one${n}`, { id: `one${n}` });
      for (let n = 0; n < 5; n += 1) await write(other, `other${n}`, { id: `other${n}` });
      await snapshot(one, other);
      expect(other.tableSize(ITEM).entries).toBe(10);
      const { cursors } = replicaOf(other).horizon();
      await flushed(other);
      expect(replicaOf(other).horizon().cursors.get(replicaOf(one).author)).toBe(5);
      expect(cursors.size).toBeLessThanOrEqual(2);
      await snapshot(other, one);
      await expectEqual(one, other);
    });

    it('shows pages of some buckets only, and every row in exactly one of them', async () => {
      const [one] = await pair();
      const ids = Array.from({ length: 40 }, (_, n) => `row${n}`);
      await one.commit(
        ids.map((id) => put(id, { id })),
        'process',
      );
      const found: RecordId[] = [];
      for (const half of [0, 1]) {
        const buckets = new Set(Array.from({ length: 2_048 }, (_, n) => n * 2 + half));
        let after: RecordId | undefined;
        do {
          const options = { after, rowsMax: 7, bytesMax: 1_000_000, buckets };
          const page = replicaOf(one).rowPage(ITEM, options);
          found.push(...page.rows.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
      }
      expect(found.sort()).toEqual(ids.sort());
    });

    it('refuses what clients write while its clock is ahead, and goes on when it is not', async () => {
      const [one] = await pair();
      replicaOf(one).setClockAhead(3_600_000);
      const error = { code: 'CLOCK_AHEAD', retry: 'later' };
      await expect(write(one, 'a', { id: 'a' })).rejects.toMatchObject(error);
      await expect(one.commit([remove('a')], 'process')).rejects.toMatchObject(error);
      await write(one, 'f', { id: 'f' }, { table: FLIGHT, reason: 'fill' });
      replicaOf(one).setClockAhead(0);
      const [outcome] = await write(one, 'a', { id: 'a' });
      expect(outcome?.kind).toBe('stored');
    });

    it('refuses patches of what is not here while it is still to be told of it', async () => {
      const [one] = await pair();
      await write(one, 'a', { id: 'a', price: 1 });
      replicaOf(one).setCatchingUp(true);
      const add = { price: { __op__: 'add', value: 1 } };
      const error = { code: 'CATCHING_UP', retry: 'later' };
      await expect(one.commit([patch('b', add)], 'process')).rejects.toMatchObject(error);
      await one.commit([patch('a', add)], 'process');
      await write(one, 'c', { id: 'c' });
      replicaOf(one).setCatchingUp(false);
      const [outcome] = await one.commit([patch('b', add)], 'process');
      expect(outcome?.kind).toBe('absent');
    });

    it('takes versions from a clock that steps of the wall clock do not enter', async () => {
      const [one] = await pair();
      const { clock } = subject();
      const at = clock.instant;
      clock.step(3_600_000);
      clock.advance(10);
      const [outcome] = await write(one, 'a', { id: 'a' });
      const version = outcome?.kind === 'stored' ? outcome.version : recordVersion(0);
      expect(versionTime(version)).toBe(at + 10);
      expect(replicaOf(one).now()).toBe(at + 10);
    });

    it('stamps own rows anew that lie ahead of its clock', async () => {
      const [one, other] = await pair();
      const { clock } = subject();
      const far = recordVersion((clock.instant + 7_200_000) * 2_048);
      const author = replicaOf(one).author;
      const put0 = { base: { version: far, author, kind: 'put' as const } };
      const state = { ...put0, body: Buffer.from('{"id":"a"}') };
      const item = { kind: 'row', table: ITEM, id: 'a', state } as const;
      await replicaOf(one).apply({ items: [item], cursors: new Map() });
      await write(one, 'b', { id: 'b' });
      expect(versionTime(replicaOf(one).newestVersion())).toBe(clock.instant + 7_200_000);
      await replicaOf(one).restampAhead();
      expect(versionTime(replicaOf(one).newestVersion())).toBe(clock.instant);
      for (const id of ['a', 'b']) {
        expect(versionTime(stateOf(one, id)?.base?.version ?? recordVersion(0))).toBe(
          clock.instant,
        );
      }
      await stream(one, other);
      expect([textOf(other, 'a'), textOf(other, 'b')]).toEqual(['{"id":"a"}', '{"id":"b"}']);
      await expectEqual(one, other);
    });

    it('leaves what others patched and added meanwhile beside patches it stamps anew', async () => {
      const [one, other] = await pair();
      const { clock } = subject();
      await write(one, 'a', { id: 'a', price: 1, name: 'x' });
      await both(one, other);
      const add = (value: number) => ({ price: { __op__: 'add', value } });
      await one.commit([patch('a', add(10))], 'process');
      await both(one, other);
      const far = recordVersion((clock.instant + 7_200_000) * 2_048);
      const base = { version: far, author: replicaOf(one).author, kind: 'put' as const };
      const state = { base, body: Buffer.from('{"id":"b"}') };
      const item = { kind: 'row', table: ITEM, id: 'b', state } as const;
      await replicaOf(one).apply({ items: [item], cursors: new Map() });
      await one.commit([patch('a', { ...add(5), ahead: 1 })], 'process');
      await other.commit([patch('a', { ...add(7), name: 'y' })], 'process');
      clock.advance(1_000);
      await replicaOf(one).restampAhead();
      expect(versionTime(replicaOf(one).newestVersion())).toBe(clock.instant);
      await both(one, other);
      expect(textOf(one, 'a')).toBe('{"id":"a","price":23,"name":"y","ahead":1}');
      expect(textOf(other, 'a')).toBe(textOf(one, 'a'));
      await expectEqual(one, other);
    });

    it('is not moved ahead again by what comes while rows are stamped anew', async () => {
      const [one, other] = await pair();
      const { clock } = subject();
      const far = recordVersion((clock.instant + 7_200_000) * 2_048);
      const { author } = replicaOf(one);
      const items = Array.from({ length: 1_200 }, (_, n) => {
        const base = { version: far, author, kind: 'put' as const };
        const state = { base, body: Buffer.from(`{"id":"r${n}"}`) };
        return { kind: 'row', table: ITEM, id: `r${n}`, state } as const;
      });
      for (const item of items) await replicaOf(one).apply({ items: [item], cursors: new Map() });
      await other.commit([patch('r999', { other: 1 })], 'process');
      const patched = stateOf(other, 'r999');
      const restamping = replicaOf(one).restampAhead();
      // A patch of a row that bears such a stamp still, there and here, between two commits of it.
      for (let round = 0; round < 20; round += 1) {
        const item = { kind: 'row', table: ITEM, id: 'r999', state: patched ?? {} } as const;
        await replicaOf(one).apply({ items: [item], cursors: new Map() });
        await one.commit([patch('r998', { round })], 'process');
      }
      await restamping;
      expect(versionTime(replicaOf(one).newestVersion())).toBe(clock.instant);
      const newest = items.map(({ id }) => stateOf(one, id)?.base?.version ?? far);
      expect(versionTime(recordVersion(Math.max(...newest)))).toBe(clock.instant);
      await both(one, other);
      expect(textOf(other, 'r998')).toContain('"round":19');
      await expectEqual(one, other);
    });

    it('stamps a later write above the rows that keep their stamps', async () => {
      const [one, other] = await pair();
      const { clock } = subject();
      // Ahead of this clock, and within what everybody takes.
      const near = recordVersion((clock.instant + 30_000) * 2_048);
      const base = { version: near, author: nodeId(77), kind: 'put' as const };
      const state = { base, body: Buffer.from('{"id":"a","red":1}') };
      const item = { kind: 'row', table: ITEM, id: 'a', state } as const;
      for (const each of [one, other]) {
        await replicaOf(each).apply({ items: [item], cursors: new Map() });
      }
      await replicaOf(one).restampAhead();
      await write(one, 'a', { id: 'a', red: 2 });
      await stream(one, other);
      expect(textOf(other, 'a')).toBe('{"id":"a","red":2}');
      await expectEqual(one, other);
    });

    it('keeps nothing for others when it is alone', async () => {
      const store = await subject().open({});
      expect(store.replica).toBeUndefined();
    });

    it('knows of tables how they travel, and leaves out those that do not', async () => {
      const [one] = await pair();
      const modes = replicaOf(one)
        .tables()
        .map(({ name, mode }) => [name, mode]);
      expect(modes).toEqual([
        [ITEM, 'rows'],
        ['Ledger', 'rows'],
        [FLIGHT, 'invalidations'],
      ]);
      const unknown = { kind: 'row', table: 'Else' as typeof ITEM, id: 'a', state: {} } as const;
      const report = await replicaOf(one).apply({ items: [unknown], cursors: new Map() });
      expect(report).toEqual({ merged: 0, unchanged: 0, unknown: 1 });
    });

    it('takes nothing that follows on what it could not take', async () => {
      const [store] = await pair();
      const replica = replicaOf(store);
      const author = nodeId(77);
      const item = (place: number, state: unknown) => {
        const origin = { author, sequence: sequence(place), after: sequence(place - 1) };
        return { kind: 'row', table: ITEM, id: `n${place}`, state, origin } as Item;
      };
      const stamp = { version: recordVersion(2_048), author };
      const whole = { base: { ...stamp, kind: 'put' }, body: Buffer.from('{"id":"n2"}') };
      const cursors = (to: number) => new Map([[author, sequence(to)]]);
      const [broken, next] = await Promise.allSettled([
        replica.apply({ items: [item(1, null)], cursors: cursors(1) }),
        replica.apply({ items: [item(2, whole)], cursors: cursors(2) }),
      ]);
      expect([broken.status, next.status]).toEqual(['rejected', 'rejected']);
      expect(replica.horizon().cursors.get(author)).toBeUndefined();
      await replica.apply({ items: [item(1, whole), item(2, whole)], cursors: cursors(2) });
      expect(replica.horizon().cursors.get(author)).toBe(2);
    });

    it('raises cursors and notes with the rows, and never lowers a cursor', async () => {
      const [one] = await pair();
      const author = nodeId(77);
      const apply = (at: number, notes: Record<string, unknown>) =>
        replicaOf(one).apply({ items: [], cursors: new Map([[author, sequence(at)]]), notes });
      await apply(9, { place: { table: ITEM, after: 'x' }, gone: 1 });
      await apply(4, { gone: null });
      await flushed(one);
      expect(replicaOf(one).horizon().cursors.get(author)).toBe(9);
      expect(replicaOf(one).note('place')).toEqual({ table: ITEM, after: 'x' });
      expect(replicaOf(one).note('gone')).toBeUndefined();
    });
  });
}
