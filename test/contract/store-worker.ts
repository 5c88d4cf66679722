/**
 * A worker of the coherence tests: connected to the store of the main thread, it either writes
 * numbers or reads, without ever giving its event loop a turn, what was acknowledged elsewhere.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { must } from '../../src/base/assert.ts';
import { sequence } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { connectStore } from '../../src/store/threads/connect.ts';
import type { StoreConnection } from '../../src/store/threads/messages.ts';
import type { StoreReader } from '../../src/table/store-port.ts';
import { ITEM, invalidate, put, textOf } from './store-fixture.ts';

export interface WorkerTask {
  readonly kind: 'read' | 'write';
  readonly connection: StoreConnection;
  readonly port: MessagePort;
  /** The last acknowledged number. */
  readonly acknowledged: SharedArrayBuffer;
  readonly rounds: number;
  readonly readsPerRound: number;
}

export interface WorkerResult {
  readonly reads: number;
  readonly old: number;
  readonly wakes: number;
  /** The writer's last change as the writer's own thread reads it: the rows before and after. */
  readonly rows: readonly (string | undefined)[];
  /** What the writer's thread says of its entry after it invalidated a prefix. */
  readonly verdict: string | undefined;
}

const NUMBER = 'number';
const ROUND_TIMEOUT_MS = 10_000;

export const acknowledge = (shared: Int32Array, value: number): void => {
  Atomics.store(shared, 0, value);
  Atomics.notify(shared, 0);
};

/** Waits for another thread's acknowledgement and reads at once, again and again. */
function readAll(task: WorkerTask, numberNow: () => number): WorkerResult {
  const shared = new Int32Array(task.acknowledged);
  let old = 0;
  let reads = 0;
  for (let seen = 0; seen < task.rounds; ) {
    Atomics.wait(shared, 0, seen, ROUND_TIMEOUT_MS);
    for (let at = 0; at < task.readsPerRound; at += 1) {
      seen = Atomics.load(shared, 0);
      if (numberNow() < seen) old += 1;
      reads += 1;
    }
  }
  return { reads, old, wakes: 0, rows: [], verdict: undefined };
}

function lastRows(reader: StoreReader): (string | undefined)[] {
  const { changes } = reader.changesAfter(sequence(reader.lastSequence() - 1), 9);
  return [changes[0]?.before, changes[0]?.after].map((bytes) =>
    bytes ? Buffer.from(bytes).toString() : undefined,
  );
}

async function run(task: WorkerTask): Promise<WorkerResult> {
  const { reader, writer, close } = connectStore(task.connection, task.port, {
    clock: systemClock,
  });
  must(parentPort, 'the port to the test').postMessage('ready');
  let wakes = 0;
  reader.onCommit(() => {
    wakes += 1;
  });
  try {
    if (task.kind === 'read') return readAll(task, () => Number(textOf(reader, NUMBER) ?? 0));
    const shared = new Int32Array(task.acknowledged);
    for (let value = 1; value <= task.rounds; value += 1) {
      await writer.commit([put(NUMBER, String(value))], 'process');
      acknowledge(shared, value);
    }
    const rows = lastRows(reader);
    await writer.commit([invalidate({ kind: 'prefix', prefix: 'num' })], 'process');
    const verdict = reader.withEntry(ITEM, NUMBER, '', (entry) =>
      entry === undefined ? undefined : reader.invalidations(ITEM).judge(entry).kind,
    );
    return { reads: 0, old: 0, wakes, rows, verdict };
  } finally {
    await close();
  }
}

const port = must(parentPort, 'the port to the test');
port.postMessage(await run(workerData as WorkerTask));
