/** The store on lmdb keeps the store's contract. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { storeContract } from './store.ts';
import { checkRecord, definitions, FLIGHT, indexedValues, put } from './store-fixture.ts';

const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

storeContract({
  name: 'lmdb',
  async make(options) {
    const path = await mkdtemp(join(tmpdir(), 'millrace-store-'));
    folders.push(path);
    return openLmdbStore({ ...options, path });
  },
});

it('takes fills again once eviction has emptied its file, which never shrinks', async () => {
  const path = await mkdtemp(join(tmpdir(), 'millrace-store-'));
  folders.push(path);
  const clock = new ManualClock();
  const megabyte = 1024 * 1024;
  const store = await openLmdbStore({
    ...{ path, definitions, clock, indexedValues, checkRecord },
    limits: { diskSoftFreeBytes: 100 * megabyte, diskHardFreeBytes: megabyte },
    // Below the soft mark by less than what is about to be evicted.
    freeBytes: () => 98 * megabyte,
  });
  const fill = async (id: string): Promise<string | undefined> => {
    clock.advance(1_000);
    const ops = [put(id, '', { table: FLIGHT, reason: 'fill', body: Buffer.alloc(16_000) })];
    return (await store.commit(ops, 'process'))[0]?.kind;
  };
  const ids = Array.from({ length: 300 }, (_, at) => `k${at}`);
  const body = Buffer.alloc(16_000, 'x');
  await store.commit(
    ids.map((id) => put(id, '', { table: FLIGHT, body })),
    'process',
  );
  const full = await fill('before');
  await store.commit(
    ids.map((id) => ({ kind: 'evict', table: FLIGHT, id, variant: '' }) as const),
    'process',
  );
  expect([full, await fill('after')]).toEqual(['shed', 'stored']);
  await store.close();
});
