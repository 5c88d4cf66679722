/** Bodies in files: written in pieces, read meanwhile, kept by the rows that name them. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { StoredBody } from '../../src/cache/entry.ts';
import { LIMITS } from '../../src/config/limits.ts';
import type { BodyReader, BodyStore } from '../../src/table/body-store.ts';
import type { WriteOutcome } from '../../src/table/store-port.ts';
import type { Subject } from './store.ts';
import { FLIGHT, ITEM, put, remove } from './store-fixture.ts';

const MB = 1024 * 1024;

const PIECE = 64 * 1024;

/** Bytes which differ from piece to piece. */
export function someBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4) bytes.writeInt32LE(Math.imul(at + seed, 40_503), at);
  return bytes;
}

export async function storeBody(
  bodies: BodyStore,
  bytes: Uint8Array,
  durable = false,
): Promise<StoredBody> {
  const draft = bodies.create('client');
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (!draft.write(bytes.subarray(at, at + PIECE))) await draft.drained();
  }
  return draft.finish({ durable });
}

export async function readAll(reader: BodyReader | undefined): Promise<Buffer | undefined> {
  if (reader === undefined) return undefined;
  const pieces: Uint8Array[] = [];
  for (let at = 0; ; ) {
    const piece = await reader.read(at, PIECE);
    if (piece.length === 0) break;
    pieces.push(piece);
    at += piece.length;
  }
  reader.close();
  return Buffer.concat(pieces);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const MINUTE_MS = 60_000;

export function bodyContract(subject: Subject): void {
  it('shows bodies kept apart while others are read, and copies of them afterwards', async () => {
    const { store } = subject();
    const [one, two] = [someBytes(100_000, 1), someBytes(90_000, 2)];
    await store.commit([put('one', '', { body: one }), put('two', '', { body: two })], 'process');
    const kept = store.withEntry(ITEM, 'one', '', (outer) => {
      const tag = outer?.entityTag;
      expect(outer?.body && Buffer.compare(outer.body, one)).toBe(0);
      store.withEntry(ITEM, 'two', '', (inner) => {
        expect(inner?.body && Buffer.compare(inner.body, two)).toBe(0);
      });
      expect(outer?.body && Buffer.compare(outer.body, one)).toBe(0);
      expect(outer?.entityTag).toBe(tag);
      return outer?.retain();
    });
    store.withEntry(ITEM, 'two', '', (entry) => expect(entry?.body.length).toBe(90_000));
    expect(kept?.body && Buffer.compare(kept.body, one)).toBe(0);
  });

  it('keeps a body in a file, with its length and digest, and finds it by its row', async () => {
    const { store } = subject();
    const bytes = someBytes(3_000_000);
    const body = await storeBody(store.bodies, bytes, true);
    await store.commit([put('a', '', { body, meta: { contentType: 'video/mp4' } })], 'process');
    const found = store.withEntry(ITEM, 'a', '', (entry) => entry?.retain());
    expect(body).toEqual({ name: body.name, length: 3_000_000, digest: sha256(bytes) });
    expect(found?.storedBody).toEqual(body);
    expect([found?.bodyLength, found?.body.length]).toEqual([3_000_000, 0]);
    expect(found?.contentType).toBe('video/mp4');
    const read = await readAll(found?.storedBody && store.bodies.open(found.storedBody));
    expect(read?.equals(bytes)).toBe(true);
  });

  it('gives an empty body back as one', async () => {
    const { store } = subject();
    const body = await storeBody(store.bodies, new Uint8Array(0));
    expect(await readAll(store.bodies.open(body))).toEqual(Buffer.alloc(0));
  });

  it('gives equal bodies equal entity tags, and takes the writer’s when it brings one', async () => {
    const { store } = subject();
    const bytes = someBytes(2_000_000);
    const tags: unknown[] = [];
    for (const id of ['a', 'b']) {
      const body = await storeBody(store.bodies, bytes);
      await store.commit([put(id, '', { body })], 'process');
      tags.push(store.withEntry(ITEM, id, '', (entry) => entry?.entityTag));
    }
    const own = '"origin-7"' as never;
    const body = await storeBody(store.bodies, bytes);
    await store.commit([put('c', '', { body, entityTag: own })], 'process');
    expect(tags[0]).toBe(tags[1]);
    expect(store.withEntry(ITEM, 'c', '', (entry) => entry?.entityTag)).toBe(own);
  });

  it('lets a reader follow a body that is being written, to its end', async () => {
    const { store } = subject();
    const bytes = someBytes(1_500_000);
    const draft = store.bodies.create();
    const reader = draft.read();
    const reading = readAll(reader);
    const first = bytes.subarray(0, 100);
    draft.write(first);
    const early = draft.read();
    expect(Buffer.from(await early.read(0, 1_000)).equals(first)).toBe(true);
    expect(early.length).toBeUndefined();
    for (let at = 100; at < bytes.length; at += PIECE) {
      if (!draft.write(bytes.subarray(at, at + PIECE))) await draft.drained();
    }
    await draft.finish();
    expect(early.length).toBe(bytes.length);
    early.close();
    expect((await reading)?.equals(bytes)).toBe(true);
  });

  it('tells a writer to wait when its window is full, and when there is room again', async () => {
    const { store } = subject();
    const draft = store.bodies.create();
    const chunk = someBytes(LIMITS.bodyWindowBytes);
    expect(draft.write(chunk)).toBe(false);
    await draft.drained();
    expect(draft.write(chunk.subarray(0, 10))).toBe(true);
    expect((await draft.finish()).length).toBe(LIMITS.bodyWindowBytes + 10);
  });

  it('gives the readers of a discarded body what there was, and then fails', async () => {
    const { store } = subject();
    const draft = store.bodies.create();
    draft.write(Buffer.from('begun'));
    const reader = draft.read();
    expect(Buffer.from(await reader.read(0, 100)).toString()).toBe('begun');
    draft.discard();
    expect(Buffer.from(await reader.read(0, 100)).toString()).toBe('begun');
    await expect(reader.read(5, 100)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    reader.close();
    await expect(draft.finish()).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('removes the file a minute after its row let go of it, not before', async () => {
    const { store, clock } = subject();
    const body = await storeBody(store.bodies, someBytes(2_000_000));
    await store.commit([put('a', '', { body })], 'process');
    await store.commit([put('a', 'other')], 'process');
    clock.advance(MINUTE_MS - 1);
    await store.sweep();
    const before = await readAll(store.bodies.open(body));
    clock.advance(1);
    await store.sweep();
    expect(before?.length).toBe(2_000_000);
    expect(store.bodies.open(body)).toBeUndefined();
  });

  it('keeps a file that two rows name until the second has let go of it', async () => {
    const { store, clock } = subject();
    const body = await storeBody(store.bodies, someBytes(2_000_000));
    await store.commit([put('a', '', { body }), put('b', '', { body })], 'process');
    await store.commit([remove('a')], 'process');
    clock.advance(2 * MINUTE_MS);
    await store.sweep();
    const isKept = (await readAll(store.bodies.open(body))) !== undefined;
    await store.commit([remove('b')], 'process');
    clock.advance(2 * MINUTE_MS);
    await store.sweep();
    expect([isKept, store.bodies.open(body)]).toEqual([true, undefined]);
  });

  it('keeps the file of the row when the same bytes are written again', async () => {
    const { store, clock } = subject();
    const bytes = someBytes(2_000_000);
    const body = await storeBody(store.bodies, bytes);
    await store.commit([put('a', '', { body })], 'process');
    const again = await storeBody(store.bodies, bytes);
    const [outcome] = await store.commit([put('a', '', { body: again })], 'process');
    clock.advance(2 * MINUTE_MS);
    await store.sweep();
    expect(outcome).toMatchObject({ kind: 'stored', unchanged: true });
    expect((await readAll(store.bodies.open(body)))?.equals(bytes)).toBe(true);
    expect(store.bodies.open(again)).toBeUndefined();
  });

  it('removes the file of a write that was not stored', async () => {
    const { store, clock } = subject();
    const body = await storeBody(store.bodies, someBytes(2_000_000));
    const condition = { ifMatch: '*' } as const;
    const [outcome] = await store.commit([put('a', '', { body, condition })], 'process');
    clock.advance(2 * MINUTE_MS);
    await store.sweep();
    expect(outcome?.kind).toBe('preconditionFailed');
    expect(store.bodies.open(body)).toBeUndefined();
  });

  it('counts the bytes of files to the table and to the store, and evicts for them', async () => {
    const { open, clock } = subject();
    const store = await open({ tableBytesMax: () => 5_000_000 });
    const before = store.stats().storeBytes;
    const stored: (WriteOutcome | undefined)[] = [];
    for (const id of ['a', 'b', 'c']) {
      const body = await storeBody(store.bodies, someBytes(2_000_000));
      stored.push(...(await store.commit([put(id, '', { table: FLIGHT, body })], 'process')));
    }
    const full = store.tableSize(FLIGHT).bytes;
    const all = store.stats().storeBytes - before;
    await store.sweep();
    clock.advance(2 * MINUTE_MS);
    await store.sweep();
    expect(stored.map((outcome) => outcome?.kind)).toEqual(['stored', 'stored', 'stored']);
    expect(full).toBeGreaterThan(6_000_000);
    expect(all).toBeGreaterThanOrEqual(6_000_000);
    expect(store.tableSize(FLIGHT).bytes).toBeLessThan(5_000_000);
    expect(store.stats().storeBytes - before).toBeLessThan(5_000_000);
  });

  it('tells of a change of such a record without its bytes', async () => {
    const { store } = subject();
    const after = store.lastSequence();
    const body = await storeBody(store.bodies, someBytes(2_000_000));
    await store.commit([put('a', '', { body })], 'process');
    await store.commit([remove('a')], 'process');
    const { changes } = store.changesAfter(after, 10);
    expect(changes.map(({ op, before, after: row }) => [op, before, row])).toEqual([
      ['put', null, undefined],
      ['delete', undefined, undefined],
    ]);
  });

  it('takes no bodies of fills below the soft mark, and none at all below the hard one', async () => {
    const { open, clock } = subject();
    let freeBytes = 10_000 * MB;
    const limits = { diskSoftFreeBytes: 5_000 * MB, diskHardFreeBytes: 1_000 * MB };
    const store = await open({ limits, freeBytes: () => freeBytes });
    const verdicts: unknown[] = [];
    for (const free of [10_000, 4_000, 500]) {
      freeBytes = free * MB;
      clock.advance(1_000);
      for (const purpose of ['fill', 'client'] as const) {
        try {
          store.bodies.create(purpose).discard();
          verdicts.push('taken');
        } catch (error) {
          verdicts.push((error as { code: string }).code);
        }
      }
    }
    expect(verdicts).toEqual(['taken', 'taken', 'STORE_FULL', 'taken', 'STORE_FULL', 'STORE_FULL']);
  });

  it('stops a body on its way when the disk has come to its hard mark', async () => {
    const { open, clock } = subject();
    let freeBytes = 10_000 * MB;
    const limits = { diskSoftFreeBytes: 5_000 * MB, diskHardFreeBytes: 1_000 * MB };
    const store = await open({ limits, freeBytes: () => freeBytes });
    const draft = store.bodies.create('client');
    draft.write(Buffer.from('begun'));
    await draft.read().read(0, 10);
    freeBytes = 10 * MB;
    clock.advance(1_000);
    draft.write(Buffer.from('more'));
    await expect(draft.finish()).rejects.toMatchObject({ code: 'STORE_FULL' });
  });
}
