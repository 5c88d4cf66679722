/**
 * The pulse of one thread: tells the watchdog that its event loop turns, and the guard how full its
 * heap is. A heap counts as full only when it stays so: between two collections it holds what
 * nobody needs any more.
 */
import { readlinkSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { threadId } from 'node:worker_threads';
import type { GuardMemory } from './protocols/http/guard-memory.ts';

const EVERY_MS = 250;
/** Samples of which the lowest counts: a second. */
const SAMPLES = 4;
/** Above it there is no time to wait for a collection. */
const FULL_THOUSANDTHS = 960;
/** Where the kernel cannot be asked which thread this is. */
const UNKNOWN_THREAD = -1;

/** Begins the pulse of `thread`; returns what ends it. */
export function startPulse(guard: GuardMemory, thread: number): () => void {
  const samples: number[] = [];
  const beat = () => {
    guard.beat(thread);
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    const full = Math.round((used / limit) * 1000);
    samples.push(full);
    if (samples.length > SAMPLES) samples.shift();
    guard.setHeap(thread, full >= FULL_THOUSANDTHS ? full : Math.min(...samples));
  };
  beat();
  guard.setThreadId(thread, kernelThreadId(), threadId);
  const timer = setInterval(beat, EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    guard.setThreadId(thread, 0, 0);
    guard.setHeap(thread, 0);
  };
}

function kernelThreadId(): number {
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    return Number.isSafeInteger(id) && id > 0 ? id : UNKNOWN_THREAD;
  } catch {
    return UNKNOWN_THREAD;
  }
}
