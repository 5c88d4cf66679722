/**
 * The store on disk over several starts: what is kept, who may hold the folder, when an epoch ends,
 * and what becomes of bytes that are no entry.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { LmdbEngine } from '../../src/store/lmdb/engine.ts';
import { type LmdbStoreOptions, openLmdbStore } from '../../src/store/lmdb/open.ts';
import type { Store } from '../../src/store/store-options.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  checkRecord,
  definitions,
  FRESH,
  ITEM,
  indexedValues,
  invalidate,
  makeDefinition,
  put,
  remove,
  textOf,
} from './store-fixture.ts';

let path: string;
let store: Store | undefined;
let children: ChildProcess[] = [];
let undecodable: unknown[] = [];

async function open(more: Partial<LmdbStoreOptions> = {}): Promise<Store> {
  const events = { undecodable: (_table: string, id: unknown) => void undecodable.push(id) };
  store = await openLmdbStore({
    ...{ path, definitions, clock: systemClock, indexedValues, checkRecord, events },
    ...more,
  });
  await store.indexesReady;
  return store;
}

async function reopen(more: Partial<LmdbStoreOptions> = {}): Promise<Store> {
  await store?.close();
  return open(more);
}

/** Works on the closed folder as no store would. */
async function tamper(work: (engine: LmdbEngine) => void): Promise<void> {
  await store?.close();
  store = undefined;
  const engine = new LmdbEngine({ path: join(path, 'store'), treesMax: 16 });
  engine.tree('table/Item');
  engine.tree('meta');
  await engine.transact(() => work(engine));
  await engine.close();
}

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-folder-'));
  undecodable = [];
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await rm(path, { recursive: true, force: true });
});

describe('a data folder', () => {
  it('keeps rows, indexes, sizes, positions and invalidations over a restart', async () => {
    const first = await open();
    await first.commit([put('a', { id: 'a', tag: 'x' }), put('b', 'y')], 'flushed');
    await first.commit([invalidate({ kind: 'prefix', prefix: 'b' }), remove('a')], 'flushed');
    const before = [first.lastSequence(), first.tableSize(ITEM), first.author, first.epoch];
    const second = await reopen();
    const verdict = second.withEntry(ITEM, 'b', '', (entry) =>
      entry === undefined ? undefined : second.invalidations(ITEM).judge(entry).kind,
    );
    expect([second.lastSequence(), second.tableSize(ITEM), second.author, second.epoch]).toEqual(
      before,
    );
    expect([textOf(second, 'b'), verdict]).toEqual(['y', 'hard']);
    expect(second.idsByIndex(ITEM, { attribute: 'tag' }, { limit: 9, offset: 0 })).toEqual([]);
    const ops = second.changesAfter(second.firstSequence(), 9).changes.map((change) => change.op);
    expect(ops).toEqual(['put', 'invalidate', 'delete']);
  });

  it('gives greater versions after a restart, whatever the clock says', async () => {
    const first = await open();
    const [one] = await first.commit([put('a', 'x')], 'flushed');
    const early = { ...systemClock, now: () => 1_000 as ReturnType<typeof systemClock.now> };
    const [two] = await (await reopen({ clock: early })).commit([put('a', 'y')], 'flushed');
    const versions = [one, two].map((found) => (found?.kind === 'stored' ? found.version : 0));
    expect(versions[1]).toBeGreaterThan(versions[0] ?? 0);
  });

  it('begins a new epoch only when a commit may have been lost', async () => {
    const { epoch } = await open({ bootId: 'boot-1' });
    const afterCleanClose = (await reopen({ bootId: 'boot-2' })).epoch;
    await tamper((engine) => markUnclean(engine));
    const afterKill = (await open({ bootId: 'boot-2' })).epoch;
    await tamper((engine) => markUnclean(engine));
    const afterPowerLoss = (await open({ bootId: 'boot-3' })).epoch;
    expect([afterCleanClose, afterKill]).toEqual([epoch, epoch]);
    expect(afterPowerLoss).not.toBe(epoch);
  });

  it('is held by one store at a time', async () => {
    await open();
    const second = openLmdbStore({
      ...{ path, definitions, clock: systemClock, indexedValues, checkRecord, lockWaitMs: 100 },
    });
    await expect(second).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
  });

  it('waits for a holder that is about to leave', async () => {
    const first = await open();
    const second = openLmdbStore({
      ...{ path, definitions, clock: systemClock, indexedValues, checkRecord },
    });
    await first.close();
    store = await second;
    await expect(store.commit([put('a', 'x')], 'process')).resolves.toHaveLength(1);
  });

  it('is free at once when its holder was killed', async () => {
    const child = await holdElsewhere();
    const held = open({ lockWaitMs: 0 });
    await expect(held).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect(open({ lockWaitMs: 2_000 })).resolves.toBeDefined();
  });

  it('of a newer format is left alone, and both formats are named', async () => {
    await writeFile(join(path, 'FORMAT'), '7\n');
    await expect(open()).rejects.toMatchObject({
      code: 'DATA_FOLDER_TOO_NEW',
      details: { found: '7', supported: 1 },
    });
  });

  it('gets an index that was declared later, for all its rows', async () => {
    const plain = makeDefinition('Item');
    const first = await open({ definitions: [plain] });
    const rows = Array.from({ length: 1_200 }, (_, at) =>
      put(at, { id: at, tag: at % 2 === 0 ? 'even' : 'odd' }, { meta: {} }),
    );
    await first.commit([...rows, put('k'.repeat(1_500), { tag: 'even' }, { meta: {} })], 'process');
    const second = await reopen();
    const even = { attribute: 'tag', from: 'even', to: 'even' };
    const built = second.countByIndex(ITEM, even, 9_999);
    await second.commit([put(0, { id: 0, tag: 'odd' })], 'process');
    expect([built, second.countByIndex(ITEM, even, 9_999)]).toEqual([601, 600]);
    expect(second.idsByIndex(ITEM, even, { limit: 1, offset: 0 })).toEqual(['k'.repeat(1_500)]);
  });

  it('says that an index is not complete until all its rows are in it', async () => {
    const first = await open({ definitions: [makeDefinition('Item')] });
    await first.commit(
      Array.from({ length: 600 }, (_, at) => put(at, { id: at, tag: 'even' }, { meta: {} })),
      'process',
    );
    await first.close();
    const events = { undecodable: () => undefined };
    const more = { clock: systemClock, indexedValues, checkRecord, events };
    store = await openLmdbStore({ path, definitions, ...more });
    expect(store.isIndexComplete(ITEM, 'tag')).toBe(false);
    await store.indexesReady;
    expect(store.isIndexComplete(ITEM, 'tag')).toBe(true);
  });

  it('builds an index over large bodies in small steps', async () => {
    const inline = { id: 'a', more: 'x'.repeat(60_000) };
    const apart = { id: 'b', more: 'x'.repeat(300_000) };
    await open();
    for (let at = 0; at < 40; at += 1) {
      const record = { ...(at % 2 === 0 ? inline : apart), colour: 'red' };
      await store?.commit([put(`k${at}`, record)], 'process');
    }
    let commits = 0;
    const coloured = makeDefinition('Item', { indexed: ['tag', 'price', 'colour'] });
    const reopened = await reopen({
      definitions: [coloured, ...definitions.slice(1)],
      indexedValues: (_table, record) => ({ colour: [String(record.colour)] }),
      events: {
        committed() {
          commits += 1;
        },
      },
    });
    const range = { attribute: 'colour', from: 'red', to: 'red' };
    expect(reopened.idsByIndex(ITEM, range, { limit: 100, offset: 0 })).toHaveLength(40);
    // Seven megabytes and some, a megabyte at a time.
    expect(commits).toBeGreaterThan(6);
  });

  it('builds an index anew which was not kept for a while', async () => {
    const first = await open();
    await first.commit([put('a', { id: 'a', tag: 'x' })], 'process');
    const without = await reopen({ definitions: [makeDefinition('Item')] });
    await without.commit([put('a', { id: 'a', tag: 'y' }, { meta: {} }), remove('b')], 'process');
    const third = await reopen();
    const found = ['x', 'y'].map((tag) =>
      third.idsByIndex(ITEM, { attribute: 'tag', from: tag, to: tag }, { limit: 9, offset: 0 }),
    );
    expect(found).toEqual([[], ['a']]);
  });
});

describe('bytes that are no entry', () => {
  it('are reported with their key, never served, and written over', async () => {
    await (await open()).commit([put('a', 'good'), put('b', 'fine')], 'process');
    await tamper((engine) => engine.tree('table/Item').put('a', Buffer.from('rubbish')));
    const again = await open();
    const seen: unknown[] = [];
    again.scan(ITEM, { limit: 9 }, (entry) => void seen.push(entry.id));
    expect([textOf(again, 'a'), textOf(again, 'b'), seen]).toEqual([undefined, 'fine', ['b']]);
    expect(undecodable).toEqual(['a', 'a']);
    const [outcome] = await again.commit([put('a', 'new')], 'process');
    expect(outcome).toMatchObject({ kind: 'stored', created: true });
    expect([textOf(again, 'a'), again.tableSize(ITEM).entries]).toEqual(['new', 2]);
  });

  it('leave no time of expiry behind for what is written over them', async () => {
    const clock = new ManualClock();
    const times = { ...FRESH, evictAt: epochMs(clock.now() + 5_000) };
    await (await open({ clock })).commit([put('a', 'x', { times })], 'process');
    await tamper((engine) => engine.tree('table/Item').put('a', Buffer.from('rubbish')));
    const again = await open({ clock });
    await again.commit([put('a', 'kept')], 'process');
    clock.advance(60_000);
    await again.sweep();
    expect(textOf(again, 'a')).toBe('kept');
  });

  it('are what an entry is whose large body is gone', async () => {
    const body = Buffer.alloc(100_000, 'x');
    await (await open()).commit([put('a', '', { body })], 'process');
    await tamper((engine) => void engine.tree('bodies').remove([1, 0]));
    expect(textOf(await open(), 'a')).toBeUndefined();
    expect(undecodable).toEqual(['a']);
  });
});

describe('a value read from the shared buffer', () => {
  it('shows not one byte more than the value', async () => {
    const engine = new LmdbEngine({ path: join(path, 'bare'), treesMax: 4 });
    const tree = engine.tree('t');
    await engine.transact(() => {
      tree.put('long', Buffer.alloc(5_000, 'secret'));
      tree.put('short', Buffer.from('hi'));
    });
    tree.withBytes('long', () => undefined);
    const seen = tree.withBytes('short', (bytes) => ({
      length: bytes?.length,
      byteLength: bytes?.byteLength,
      text: Buffer.from(bytes ?? []).toString(),
    }));
    await engine.close();
    expect(seen).toEqual({ length: 2, byteLength: 2, text: 'hi' });
  });

  it('is kept while other values are read inside', async () => {
    const engine = new LmdbEngine({ path: join(path, 'bare'), treesMax: 4 });
    const tree = engine.tree('t');
    await engine.transact(() => {
      for (const key of ['a', 'b', 'c']) tree.put(key, Buffer.from(key.repeat(100)));
    });
    const seen = tree.withBytes('a', (bytes) => {
      tree.get('b');
      tree.withBytes('c', () => tree.get('b'));
      tree.range({ start: null, end: Uint8Array.of(255) }, () => true);
      return Buffer.from(bytes ?? []).toString();
    });
    await engine.close();
    expect(seen).toBe('a'.repeat(100));
  });
});

function markUnclean(engine: LmdbEngine): void {
  const meta = engine.tree('meta');
  const bytes = Buffer.from(meta.get('identity') ?? []);
  // `isClean` is the last field: msgpack writes true as c3, false as c2.
  expect(bytes.at(-1)).toBe(0xc3);
  bytes[bytes.length - 1] = 0xc2;
  meta.put('identity', bytes);
}

/** Another process which holds the folder until it is killed. */
async function holdElsewhere(): Promise<ChildProcess> {
  const module = new URL('../../src/store/lmdb/folder.ts', import.meta.url).href;
  const script = `
    const { lockFolder } = await import(${JSON.stringify(module)});
    await lockFolder(${JSON.stringify(path)}, 0);
    console.log('held');
    setInterval(() => {}, 1000);
  `;
  const arguments_ = ['--import', 'tsx', '--input-type=module', '-e', script];
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}
