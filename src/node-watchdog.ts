/**
 * Starts the thread that watches the event loops of all the others, and takes its word: a node
 * whose loop stands still answers nobody, so it is better ended and, under `--supervise`, started
 * again. The watching thread itself ends the process when this one is the one that stands still.
 */
import inspector from 'node:inspector';
import { Worker } from 'node:worker_threads';
import type { GuardMemory } from './protocols/http/guard-memory.ts';
import { STACK_WAIT_MS, type StuckThread, stackOfWorker, writeStuck } from './worker-stack.ts';
import type { WatchdogData } from './worker-watchdog.ts';

/** It does next to nothing, and is to cost next to nothing. */
const RESOURCES = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

export interface WatchdogOptions {
  readonly guard: GuardMemory;
  readonly stuckMs: number;
  /** Name of the node, for the line that is written at the end. */
  readonly name: string;
}

/** Returns what stops the watching. */
export function startWatchdog({ guard, stuckMs, name }: WatchdogOptions): () => Promise<void> {
  // Whoever holds a debugger stops event loops on purpose.
  if (stuckMs === 0 || inspector.url() !== undefined) return async () => undefined;
  const workerData: WatchdogData = { guardMemory: guard.buffer, stuckMs, name };
  const worker = new Worker(new URL('./worker-watchdog.js', import.meta.url), {
    workerData,
    resourceLimits: RESOURCES,
    execArgv: [],
  });
  worker.unref();
  // Without it the node is as good as before; its own failure must not end anything.
  worker.on('error', () => undefined);
  worker.on('message', (stuck: StuckThread) => void endFor(stuck, guard));
  return async () => {
    await worker.terminate();
  };
}

/** Not by an exit: a worker that does not listen to reason would abort the process. */
async function endFor(stuck: StuckThread, guard: GuardMemory): Promise<void> {
  writeStuck(stuck, await stackOfWorker(guard.nodeThread(stuck.thread), STACK_WAIT_MS));
  process.kill(process.pid, 'SIGKILL');
}
