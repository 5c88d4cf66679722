/**
 * Rows of one node alone (`replication/SPEC.md` §15): readers of that node see them until a later
 * write of the row comes; other nodes, and what is told to them, never do.
 */
import { describe, expect, it } from 'vitest';
import { epochMs, type RecordId } from '../../src/base/brands.ts';
import type { Store } from '../../src/store/store-options.ts';
import { replicaOf, snapshot, stream } from '../support/replica-nodes.ts';
import type { Subject } from './store.ts';
import { FLIGHT, FRESH, ITEM, patch, put, remove, textOf } from './store-fixture.ts';

const LOCAL = { isLocal: true } as const;
/** An id that is stored under a digest of it. */
const LONG = 'k'.repeat(2_000);

export function localRowContract(subject: Subject): void {
  const pair = async (): Promise<readonly [Store, Store]> => {
    const one = await subject().open({ isReplicated: true });
    const other = await subject().another({ isReplicated: true });
    return [one, other];
  };
  const later = (): void => subject().clock.advance(10);
  const write = async (store: Store, ...ops: Parameters<Store['commit']>[0]) => {
    later();
    return store.commit(ops, 'process');
  };
  const both = async (one: Store, other: Store) => {
    await stream(one, other);
    await stream(other, one);
  };
  /** The same rows for others, by log, page and digest, whatever is seen here. */
  const expectShared = async (one: Store, other: Store, id: RecordId, text: string | undefined) => {
    for (const store of [one, other]) {
      await store.digestsReady;
      const { body } = replicaOf(store).rowState(ITEM, id) ?? {};
      expect(body && Buffer.from(body as Uint8Array).toString()).toBe(text);
      const options = { rowsMax: 100, bytesMax: 1_000_000 };
      const paged = replicaOf(store)
        .rowPage(ITEM, options)
        .rows.find((row) => row.id === id);
      expect(paged?.state.body && Buffer.from(paged.state.body as Uint8Array).toString()).toBe(
        text,
      );
    }
    expect(replicaOf(other).digest(ITEM)).toEqual(replicaOf(one).digest(ITEM));
  };
  /** A tombstone shows nothing. */
  const seen = (store: Store, id: RecordId) => textOf(store, id) || undefined;
  const isValid = (store: Store, id: RecordId) =>
    store.withEntry(
      FLIGHT,
      id,
      '',
      (entry) => entry !== undefined && store.invalidations(FLIGHT).judge(entry).kind === 'valid',
    );
  const idsOf = (store: Store, tag: string) =>
    store.idsByIndex(ITEM, { attribute: 'tag', from: tag, to: tag }, { limit: 9, offset: 0 });

  describe('rows of one node alone', () => {
    it.each(['a', 7, LONG])('are seen there, over what all share [R16]', async (id) => {
      const [one, other] = await pair();
      await write(one, put(id, { id, tag: 'all' }));
      await both(one, other);
      await write(one, put(id, { id, tag: 'mine' }, LOCAL));
      await both(one, other);
      await snapshot(one, other);
      expect(seen(one, id)).toBe(JSON.stringify({ id, tag: 'mine' }));
      expect(seen(other, id)).toBe(JSON.stringify({ id, tag: 'all' }));
      expect([idsOf(one, 'mine'), idsOf(one, 'all')]).toEqual([[id], []]);
      expect(one.tableSize(ITEM).entries).toBe(1);
      const scanned: unknown[] = [];
      one.scan(ITEM, { limit: 10 }, (entry) => scanned.push(entry.id) > 0);
      expect(scanned).toEqual([id]);
      await expectShared(one, other, id, JSON.stringify({ id, tag: 'all' }));
      expect(await write(one, remove(id, LOCAL))).toMatchObject([{ kind: 'deleted' }]);
      expect(seen(one, id)).toBe(JSON.stringify({ id, tag: 'all' }));
      expect([idsOf(one, 'mine'), idsOf(one, 'all')]).toEqual([[], [id]]);
      expect(one.tableSize(ITEM)).toEqual(other.tableSize(ITEM));
      expect(await write(one, remove(id, LOCAL))).toMatchObject([{ kind: 'absent' }]);
    });

    it('give way to a later write of another node, and hide an earlier one', async () => {
      const [one, other] = await pair();
      await write(other, put('a', { id: 'a', n: 1 }));
      await write(one, put('a', { id: 'a', n: 'mine' }, LOCAL));
      await stream(other, one);
      expect(seen(one, 'a')).toBe('{"id":"a","n":"mine"}');
      await expectShared(one, other, 'a', '{"id":"a","n":1}');
      const from = one.lastSequence();
      await write(other, patch('a', { more: 2 }));
      await both(one, other);
      expect(seen(one, 'a')).toBe('{"id":"a","n":1,"more":2}');
      const [change] = one.changesAfter(from, 9).changes;
      expect(Buffer.from(change?.before ?? []).toString()).toBe('{"id":"a","n":"mine"}');
      await expectShared(one, other, 'a', '{"id":"a","n":1,"more":2}');
      await write(one, put('a', { id: 'a', n: 'again' }, LOCAL));
      await write(other, remove('a'));
      await both(one, other);
      expect(seen(one, 'a')).toBeUndefined();
      expect(one.tableSize(ITEM).entries).toBe(0);
    });

    it('leak nothing through a patch, which is one of the row beneath', async () => {
      const [one, other] = await pair();
      await write(one, put('a', { id: 'a', n: 1 }));
      await write(one, patch('a', { secret: 1 }, LOCAL), put('b', { id: 'b', secret: 2 }, LOCAL));
      expect(seen(one, 'a')).toBe('{"id":"a","n":1,"secret":1}');
      await write(one, patch('a', { n: 2 }), patch('b', { n: 3 }, { create: true }));
      await both(one, other);
      for (const store of [one, other]) {
        expect(seen(store, 'a')).toBe('{"id":"a","n":2}');
        expect(seen(store, 'b')).toBe('{"id":"b","n":3}');
      }
      await expectShared(one, other, 'a', '{"id":"a","n":2}');
    });

    it('go with a put or a delete, which others see only where they had a record', async () => {
      const [one, other] = await pair();
      await write(one, put('a', { id: 'a' }), put('c', { id: 'c' }));
      await both(one, other);
      for (const id of ['a', 'b', 'c']) await write(one, put(id, { id, secret: 1 }, LOCAL));
      await write(other, put('b', { id: 'b', secret: 'of the other' }, LOCAL));
      expect(await write(one, remove('a'), remove('b'))).toMatchObject([
        { kind: 'deleted' },
        { kind: 'deleted' },
      ]);
      await write(one, put('c', { id: 'c', n: 1 }));
      await both(one, other);
      await snapshot(one, other);
      expect([seen(one, 'a'), seen(one, 'b')]).toEqual([undefined, undefined]);
      // Nobody shared the row b: what the other node has of its own stays.
      expect([seen(other, 'a'), seen(other, 'b')]).toEqual([
        undefined,
        '{"id":"b","secret":"of the other"}',
      ]);
      await expectShared(one, other, 'c', '{"id":"c","n":1}');
    });

    it('show what lies beneath when their time is over', async () => {
      const [one, other] = await pair();
      await write(one, put('a', { id: 'a', n: 1 }));
      await both(one, other);
      const until = epochMs(subject().clock.now() + 5_000);
      const times = { ...FRESH, freshUntil: until, evictAt: until };
      await write(one, put('a', { id: 'a', n: 'mine' }, { ...LOCAL, times }));
      await write(one, put('b', { id: 'b', n: 'mine' }, { ...LOCAL, times }));
      subject().clock.advance(10_000);
      await one.sweep();
      expect([seen(one, 'a'), seen(one, 'b')]).toEqual(['{"id":"a","n":1}', undefined]);
      await expectShared(one, other, 'a', '{"id":"a","n":1}');
    });

    it('are no row to be patched on a node that is still to be told of the others', async () => {
      const [one] = await pair();
      replicaOf(one).setCatchingUp(true);
      await write(one, put('a', { id: 'a' }, LOCAL), put('b', { id: 'b' }));
      await write(one, patch('a', { n: 1 }, LOCAL), put('b', { id: 'b', n: 1 }, LOCAL));
      const refusal = { code: 'CATCHING_UP' };
      const blind = one.commit([patch('a', { n: 2 }, { create: true })], 'process');
      await expect(blind).rejects.toMatchObject(refusal);
      await write(one, patch('b', { n: 2 }));
      expect([seen(one, 'a'), seen(one, 'b')]).toEqual(['{"id":"a","n":1}', '{"id":"b","n":2}']);
    });

    it('stay so in a cache when they are patched, though others are told to fetch', async () => {
      const [one, other] = await pair();
      await write(other, put('f', { id: 'f', n: 1 }, { table: FLIGHT, reason: 'fill' }));
      await write(one, put('f', { id: 'f', n: 'mine' }, { table: FLIGHT, ...LOCAL }));
      await stream(one, other);
      expect(isValid(other, 'f')).toBe(true);
      await write(one, patch('f', { m: 2 }, { table: FLIGHT }));
      const local = one.withEntry(FLIGHT, 'f', '', (entry) => entry?.isLocal);
      await stream(one, other);
      expect([local, isValid(other, 'f')]).toEqual([true, false]);
    });

    it('keep the bodies that are kept apart from their entries', async () => {
      const text = 'x'.repeat(200_000);
      const [one, other] = await pair();
      await write(one, put('a', { id: 'a', text }));
      await both(one, other);
      await write(one, put('a', { id: 'a', mine: text }, LOCAL));
      await write(one, remove('a', LOCAL));
      expect(seen(one, 'a')).toBe(JSON.stringify({ id: 'a', text }));
      await write(one, put('a', { id: 'a', mine: text }, LOCAL));
      await expectShared(one, other, 'a', JSON.stringify({ id: 'a', text }));
    });
  });
}
