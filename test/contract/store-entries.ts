/** Entries: what is read is what was written, under the key it was written. */
import { expect, it } from 'vitest';
import { durationMs, entityTag, epochMs } from '../../src/base/brands.ts';
import type { Entry } from '../../src/cache/entry.ts';
import type { Subject } from './store.ts';
import { bytesOf, FRESH, ITEM, put, textOf } from './store-fixture.ts';

export function entryContract(subject: Subject): void {
  it('gives back the bytes and every fact of an entry', async () => {
    const { store } = subject();
    const times = {
      freshUntil: epochMs(5_000),
      staleWhileRevalidateUntil: epochMs(6_000),
      staleIfErrorUntil: epochMs(7_000),
      evictAt: epochMs(8_000),
    };
    const meta = {
      contentType: 'text/html',
      lastModified: epochMs(900),
      groups: ['news'],
      headers: [['x-a', 'b']] as const,
    };
    const op = put('a', 'hello', {
      ...{ times, meta, status: 203, entityTag: entityTag('"given"'), storedAt: epochMs(1_234) },
      ...{ initialAge: durationMs(7), mustValidate: true, staleForbidden: true },
    });
    const [outcome] = await store.commit([op], 'process');
    const entry = store.withEntry(ITEM, 'a', '', (found) => found?.retain());
    expect(outcome).toMatchObject({ kind: 'stored', created: true, unchanged: false });
    expect(entry).toMatchObject({
      ...{ id: 'a', kind: 'record', status: 203, entityTag: '"given"', lastModified: 900 },
      ...{ ...times, storedAt: 1_234, initialAge: 7, mustValidate: true, staleForbidden: true },
      ...{ contentType: 'text/html', author: store.author, stamp: store.lastSequence(), meta },
    });
    expect(Buffer.from(entry?.body ?? []).toString()).toBe('hello');
  });

  it('keeps a number and the same digits as text apart', async () => {
    const { store } = subject();
    await store.commit([put(1, 'number'), put('1', 'text')], 'process');
    expect([textOf(store, 1), textOf(store, '1')]).toEqual(['number', 'text']);
  });

  it.each([
    ['the empty text', ''],
    ['a text with separators', 'a\0b'],
    ['a long text with separators', `${'x'.repeat(80)}\0\u0004y`],
    ['a text above 1 KiB', 'k'.repeat(1500)],
    ['a text of the longest kind', 'é'.repeat(989)],
    ['a negative number', -1.5],
    ['a large number', Number.MAX_SAFE_INTEGER],
  ])('takes %s as an id', async (_name, id) => {
    const { store } = subject();
    await store.commit([put(id, 'it'), put(`${id}!`, 'another')], 'process');
    const seen: unknown[] = [];
    store.scan(ITEM, { limit: 10 }, (entry) => void seen.push(entry.id));
    expect(textOf(store, id)).toBe('it');
    expect(seen.toSorted()).toEqual([id, `${id}!`].toSorted());
  });

  it('keeps variants of a key apart', async () => {
    const { store } = subject();
    const long = 'accept-language=en;'.repeat(20);
    await store.commit([put('a', 'base'), put('a', 'x', { variant: 'v' })], 'process');
    await store.commit([put('a', 'y', { variant: long })], 'process');
    const read = ['', 'v', long, 'w'].map((variant) => textOf(store, 'a', ITEM, variant));
    expect(read).toEqual(['base', 'x', 'y', undefined]);
  });

  it('keeps a body apart when it is large, and gives back all of it', async () => {
    const { store } = subject();
    const body = Buffer.alloc(2_500_000, 'abcdefghij');
    await store.commit([put('big', 'x', { body })], 'process');
    const read = store.withEntry(ITEM, 'big', '', (entry) => Buffer.from(entry?.body ?? []));
    expect(read.equals(body)).toBe(true);
    expect(store.tableSize(ITEM).bytes).toBeGreaterThan(body.length);
  });

  it('lets an entry be read while another is being read', async () => {
    const { store } = subject();
    const large = 'L'.repeat(100_000);
    await store.commit([put('a', 'first'), put('b', 'second, longer'), put('c', large)], 'process');
    const seen = store.withEntry(ITEM, 'a', '', (outer) => {
      const inner = textOf(store, 'b');
      const size = textOf(store, 'c')?.length;
      const scanned: string[] = [];
      store.scan(ITEM, { limit: 2 }, (entry) => void scanned.push(String(entry.id)));
      return [Buffer.from(outer?.body ?? []).toString(), outer?.id, inner, size, scanned];
    });
    expect(seen).toEqual(['first', 'a', 'second, longer', 100_000, ['a', 'b']]);
  });

  it('lets a retained entry live on when its row is written again', async () => {
    const { store } = subject();
    await store.commit([put('a', 'one')], 'process');
    const kept: Entry | undefined = store.withEntry(ITEM, 'a', '', (entry) => entry?.retain());
    await store.commit([put('a', 'two'), put('b', 'three')], 'process');
    expect(textOf(store, 'b')).toBe('three');
    expect(Buffer.from(kept?.body ?? []).toString()).toBe('one');
  });

  it('gives the same bytes the same strong entity tag', async () => {
    const { store } = subject();
    const outcomes = await store.commit([put('a', 'same'), put('b', 'same')], 'process');
    const tags = outcomes.map((outcome) => (outcome.kind === 'stored' ? outcome.entityTag : ''));
    expect(tags[0]).toMatch(/^"[\w-]{16}"$/);
    expect(tags[0]).toBe(tags[1]);
  });

  it('pages through a table in key order, numbers before texts', async () => {
    const { store } = subject();
    const ids = ['b', 2, 'a', 10, 'ab', -1];
    await store.commit(
      ids.map((id) => put(id, 'x')),
      'process',
    );
    const seen: unknown[] = [];
    let after: string | number | undefined;
    do {
      const page = store.scan(ITEM, { limit: 2, after }, (entry) => void seen.push(entry.id));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual([-1, 2, 10, 'a', 'ab', 'b']);
  });

  it('finds the ids under a prefix, the longest ones too', async () => {
    const { store } = subject();
    const long = `news/${'x'.repeat(1500)}`;
    const ids = ['news/1', 'news/2', 'newt', 'new', long, `old/${'x'.repeat(1500)}`];
    await store.commit(
      ids.map((id) => put(id, 'x')),
      'process',
    );
    const seen: unknown[] = [];
    let after: string | number | undefined;
    do {
      const options = { limit: 1, after, prefix: 'news/' };
      after = store.scan(ITEM, options, (entry) => void seen.push(entry.id)).next;
    } while (after !== undefined);
    expect(seen.toSorted()).toEqual(['news/1', 'news/2', long].toSorted());
  });

  it('ends a scan where its visitor says so', async () => {
    const { store } = subject();
    await store.commit(
      ['a', 'b', 'c'].map((id) => put(id, 'x')),
      'process',
    );
    const page = store.scan(ITEM, { limit: 10 }, (entry) => entry.id !== 'b');
    expect(page).toEqual({ next: 'b' });
  });

  it('keeps entries and bytes of a table counted', async () => {
    const { store } = subject();
    await store.commit([put('a', 'x'), put('b', 'y'), put('a', 'z')], 'process');
    const two = store.tableSize(ITEM);
    await store.commit([{ kind: 'evict', table: ITEM, id: 'a', variant: '' }], 'process');
    await store.commit([{ kind: 'delete', table: ITEM, id: 'b', reason: 'client' }], 'process');
    expect(two.entries).toBe(2);
    expect(store.tableSize(ITEM).entries).toBe(0);
    expect(two.bytes).toBeGreaterThan(store.tableSize(ITEM).bytes);
  });

  it('stores what it was given, not what its caller makes of the buffer later', async () => {
    const { store } = subject();
    const body = Buffer.from('before');
    const writing = store.commit([put('a', 'x', { body, times: FRESH })], 'process');
    await writing;
    body.set(bytesOf('AFTER!'));
    expect(textOf(store, 'a')).toBe('before');
  });
}
