/**
 * Threads see each other's acknowledged writes at once. The default is a short run;
 * `STORE_COHERENCE_READS=100000` makes it the whole one.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLmdbStore } from '../../src/store/lmdb/open.ts';
import type { Store } from '../../src/store/store-options.ts';
import { connectionTo } from '../../src/store/threads/messages.ts';
import { serveWriters } from '../../src/store/threads/serve.ts';
import { checkRecord, definitions, indexedValues, put, textOf } from './store-fixture.ts';
import type { WorkerResult, WorkerTask } from './store-worker.ts';

const READS = Number(process.env.STORE_COHERENCE_READS ?? 20_000);
const READS_PER_ROUND = 10;
const WORKERS = 2;
const ROUNDS = READS / READS_PER_ROUND / WORKERS;

const MODULE = new URL('./store-worker.ts', import.meta.url).href;
const BOOTSTRAP = `import('tsx/esm/api').then(({ register }) => {
  register();
  return import(${JSON.stringify(MODULE)});
});`;

let path: string;
let store: Store;
let stops: (() => void)[] = [];
const acknowledged = new SharedArrayBuffer(4);
const optionsAt = (folder: string) => ({
  ...{ path: folder, definitions, clock: systemClock, indexedValues, checkRecord },
});

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-threads-'));
  store = await openLmdbStore(optionsAt(path));
  Atomics.store(new Int32Array(acknowledged), 0, 0);
});

afterEach(async () => {
  for (const stop of stops) stop();
  stops = [];
  await store.close();
  await rm(path, { recursive: true, force: true });
});

interface Running {
  readonly ready: Promise<unknown>;
  readonly result: Promise<WorkerResult>;
}

function start(kind: WorkerTask['kind']): Running {
  const { port1, port2 } = new MessageChannel();
  stops.push(serveWriters(store, port1));
  const task: WorkerTask = {
    ...{ kind, port: port2, acknowledged, rounds: ROUNDS, readsPerRound: READS_PER_ROUND },
    connection: connectionTo(store, optionsAt(path)),
  };
  // A worker's own first module cannot be TypeScript: it registers the loader, then imports it.
  const worker = new Worker(BOOTSTRAP, { eval: true, workerData: task, transferList: [port2] });
  const ready = once(worker, 'message');
  return { ready, result: ready.then(() => once(worker, 'message')).then(([result]) => result) };
}

it('shows no old value to workers that read right after the store thread acknowledged', async () => {
  const readers = Array.from({ length: WORKERS }, () => start('read'));
  await Promise.all(readers.map((reader) => reader.ready));
  const shared = new Int32Array(acknowledged);
  for (let value = 1; value <= ROUNDS; value += 1) {
    await store.commit([put('number', String(value))], 'process');
    Atomics.store(shared, 0, value);
    Atomics.notify(shared, 0);
  }
  const results = await Promise.all(readers.map((reader) => reader.result));
  expect(results.map((result) => result.old)).toEqual([0, 0]);
  expect(Math.min(...results.map((result) => result.reads))).toBeGreaterThan(ROUNDS);
}, 120_000);

it('shows no old value when another worker writes, and wakes that worker', async () => {
  const reader = start('read');
  await reader.ready;
  const writer = start('write');
  const [written, read] = await Promise.all([writer.result, reader.result]);
  expect(read.old).toBe(0);
  expect(written.wakes).toBeGreaterThan(0);
  expect(written.rows).toEqual([String(ROUNDS - 1), String(ROUNDS)]);
  expect(written.verdict).toBe('hard');
  expect(textOf(store, 'number')).toBe(String(ROUNDS));
}, 120_000);
