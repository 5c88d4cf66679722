/** The store on lmdb keeps the store's contract. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { storeContract } from './store.ts';

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
