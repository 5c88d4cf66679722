/** A write that fails says the same to a worker as on the store thread. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import { connectStore } from '../../src/store/threads/connect.ts';
import { connectionTo } from '../../src/store/threads/messages.ts';
import { serveWriters } from '../../src/store/threads/serve.ts';
import { definitions, indexedValues, patch } from './store-fixture.ts';

it('carries the code, the blame and whether to try again over to the worker', async () => {
  const path = await mkdtemp(join(tmpdir(), 'millrace-errors-'));
  const checkRecord = () => {
    throw new Error('a rule with a mistake in it');
  };
  const options = { path, definitions, clock: systemClock, indexedValues, checkRecord };
  const store = await openLmdbStore(options);
  const { port1, port2 } = new MessageChannel();
  const stop = serveWriters(store, port1);
  const connected = connectStore(connectionTo(store, options), port2, { clock: systemClock });
  const broken = patch('a', {}, { create: true });
  const facts = (writer: Pick<typeof store, 'commit'>) =>
    writer.commit([broken], 'process').catch(({ code, blame, retry }) => ({ code, blame, retry }));
  const here = await facts(store);
  const there = await facts(connected.writer);
  await connected.close();
  stop();
  await store.close();
  await rm(path, { recursive: true, force: true });
  expect(here).toMatchObject({ code: 'STORE_FAILED', retry: 'later' });
  expect(there).toEqual(here);
});
