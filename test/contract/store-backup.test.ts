/**
 * Backup and restore of the store on disk: taken while it is written to, checked byte by byte,
 * never mixed with what is there, and the beginning of a new epoch.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { verifyBackup } from '../../src/store/lmdb/backup.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { restoreBackup } from '../../src/store/lmdb/restore.ts';
import { openMemoryStore } from '../../src/store/memory/open.ts';
import type { Store } from '../../src/store/store-options.ts';
import { checkRecord, definitions, ITEM, indexedValues, put } from './store-fixture.ts';

let folder: string;
const stores: Store[] = [];
const options = { definitions, clock: systemClock, indexedValues, checkRecord };

async function open(name: string): Promise<Store> {
  const store = await openLmdbStore({ ...options, path: join(folder, name) });
  stores.push(store);
  await store.indexesReady;
  return store;
}

const rowsOf = (store: Store): Map<string | number, string> => {
  const rows = new Map<string | number, string>();
  store.scan(ITEM, { limit: 100_000 }, (entry) => {
    rows.set(entry.id, Buffer.from(entry.body).toString());
    return true;
  });
  return rows;
};

async function storeFile(store: Store, id: string, bytes: Buffer): Promise<void> {
  const draft = store.bodies.create('client');
  if (!draft.write(bytes)) await draft.drained();
  const body = await draft.finish();
  await store.commit([put(id, {}, { body, meta: { contentType: 'x/y' } })], 'flushed');
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-backup-'));
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a backup', () => {
  it('taken while the store is written to holds a prefix of the writes, bodies too', async () => {
    const store = await open('node');
    await storeFile(store, 'file', Buffer.alloc(300_000, 7));
    const acknowledged = { count: 0 };
    let isWriting = true;
    const writing = (async () => {
      for (let n = 0; isWriting; n += 1) {
        await store.commit([put(`n${String(n).padStart(6, '0')}`, { n })], 'process');
        acknowledged.count = n + 1;
      }
    })();
    while (acknowledged.count < 50) await new Promise((resolve) => setImmediate(resolve));
    const before = acknowledged.count;
    const report = await store.backupTo(join(folder, 'backup'));
    isWriting = false;
    await writing;
    expect(await verifyBackup(join(folder, 'backup'))).toEqual(report);

    await restoreBackup({ from: join(folder, 'backup'), to: join(folder, 'restored') });
    const restored = await open('restored');
    const ids = [...rowsOf(restored).keys()].filter((id) => id !== 'file');
    expect(ids.length).toBeGreaterThanOrEqual(before);
    expect(ids).toEqual(ids.map((_, n) => `n${String(n).padStart(6, '0')}`));
    const body = restored.withEntry(ITEM, 'file', '', (entry) => entry?.storedBody);
    const reader = body && restored.bodies.open(body);
    expect(reader?.length).toBe(300_000);
    reader?.close();
  });

  it('begins a new epoch as a new author, in each node that is made from it', async () => {
    const store = await open('node');
    await store.commit([put('a', { n: 1 })], 'flushed');
    const report = await store.backupTo(join(folder, 'backup'));
    expect(report.epoch).toBe(store.epoch);
    await restoreBackup({ from: join(folder, 'backup'), to: join(folder, 'same') });
    await restoreBackup({ from: join(folder, 'backup'), to: join(folder, 'other') });
    const same = await open('same');
    const other = await open('other');
    expect(new Set([store.author, same.author, other.author]).size).toBe(3);
    expect(new Set([store.epoch, same.epoch, other.epoch]).size).toBe(3);
    expect(rowsOf(other)).toEqual(rowsOf(store));
  });

  it('that was damaged or not finished is refused and leaves the folder alone', async () => {
    const store = await open('node');
    await storeFile(store, 'file', Buffer.alloc(100_000, 1));
    const backup = join(folder, 'backup');
    await store.backupTo(backup);
    const [shard = ''] = await readdir(join(backup, 'bodies'));
    const [name = ''] = await readdir(join(backup, 'bodies', shard));
    const path = join(backup, 'bodies', shard, name);
    const bytes = await readFile(path);
    const refused = async () => {
      await expect(verifyBackup(backup)).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
      const restoring = restoreBackup({ from: backup, to: join(folder, 'new') });
      await expect(restoring).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
      const left = await readdir(join(folder, 'new')).catch(() => []);
      expect(left.filter((each) => each !== 'LOCK')).toEqual([]);
    };
    await writeFile(path, Buffer.from(bytes).fill(2, 500, 501));
    await refused();
    await writeFile(path, bytes.subarray(0, -1));
    await refused();
    await rm(path);
    await refused();
    await writeFile(path, bytes);
    await verifyBackup(backup);
    await rm(join(backup, 'BACKUP.json'));
    await refused();
  });

  it('is written and restored into empty folders only, and nothing is written over', async () => {
    const store = await open('node');
    await mkdir(join(folder, 'taken'));
    await writeFile(join(folder, 'taken', 'letter'), 'dear');
    await expect(store.backupTo(join(folder, 'taken'))).rejects.toMatchObject({ code: 'USAGE' });
    await store.backupTo(join(folder, 'backup'));
    const over = restoreBackup({ from: join(folder, 'backup'), to: join(folder, 'taken') });
    await expect(over).rejects.toMatchObject({ code: 'USAGE' });
    const running = restoreBackup({
      ...{ from: join(folder, 'backup'), to: join(folder, 'node'), lockWaitMs: 0 },
    });
    await expect(running).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    expect(await readFile(join(folder, 'taken', 'letter'), 'utf8')).toBe('dear');
  });

  it('of a store in memory is refused', async () => {
    const store = openMemoryStore(options);
    stores.push(store);
    await expect(store.backupTo(join(folder, 'no'))).rejects.toMatchObject({ code: 'USAGE' });
  });
});
