/**
 * Entry of the watchdog thread. Every thread of the node adds to a counter in shared memory while
 * its event loop turns. One that stops for `stuckMs`, while it burns processor time, is stuck in a
 * loop; one that stops without burning any waits for the disk, and gets more time.
 *
 * Time is counted in own ticks: on a machine that is starved, or was asleep, these are late as
 * well, and nobody is called stuck for it. What stands still is asked for its stack through the
 * debugger, which can interrupt a loop; then the process ends with code 1.
 */
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import { GUARDED_THREADS_MAX, GuardMemory } from './protocols/http/guard-memory.ts';
import { STACK_WAIT_MS, type StuckThread, stackOfMain, writeStuck } from './worker-stack.ts';

export interface WatchdogData {
  readonly guardMemory: SharedArrayBuffer;
  readonly stuckMs: number;
  readonly name: string;
}

const TICK_MS = 250;
/** A thread that burns nothing is given so long, in ticks. */
const WAITING_TICKS_MAX = 240;
/**
 * Processor time without one turn of the loop that only a stuck thread burns, seconds. Not a share
 * of the time: on a crowded machine a loop gets little of it.
 */
const STUCK_CPU_SECONDS = 1;
/** Clock ticks a second in `/proc`; fixed in the kernel's interface to programs. */
const CLOCK_TICKS = 100;
/** Time for the process to end by itself, milliseconds. */
const END_WITHIN_MS = 900;

interface Watched {
  beats: number;
  silentTicks: number;
  cpuAtSilence: number;
}

const { guardMemory, stuckMs, name } = workerData as WatchdogData;
const guard = new GuardMemory(guardMemory);
const watched = new Map<number, Watched>();
const stuckTicks = Math.max(2, Math.round(stuckMs / TICK_MS));
let ending = false;

setInterval(() => {
  for (let thread = 0; thread < GUARDED_THREADS_MAX && !ending; thread += 1) look(thread);
}, TICK_MS);

function look(thread: number): void {
  const id = guard.threadId(thread);
  if (id === 0) {
    watched.delete(thread);
    return;
  }
  const beats = guard.beatsOf(thread);
  const known = watched.get(thread);
  if (known === undefined || known.beats !== beats) {
    watched.set(thread, { beats, silentTicks: 0, cpuAtSilence: cpuSeconds(id) });
    return;
  }
  known.silentTicks += 1;
  if (known.silentTicks < stuckTicks) return;
  const silentSeconds = (known.silentTicks * TICK_MS) / 1000;
  const burnt = cpuSeconds(id) - known.cpuAtSilence;
  const isBusy = Number.isNaN(burnt) || burnt >= STUCK_CPU_SECONDS;
  if (isBusy || known.silentTicks >= WAITING_TICKS_MAX) void end(thread, silentSeconds);
}

/** Processor time of a thread; not a number where the kernel does not tell. */
function cpuSeconds(id: number): number {
  try {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
  } catch {
    return Number.NaN;
  }
}

/** Has it said where the thread stands, and ends the process whatever comes of that. */
async function end(thread: number, seconds: number): Promise<void> {
  ending = true;
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), END_WITHIN_MS);
  if (thread !== 0) {
    // The main thread asks the worker, and ends the process.
    parentPort?.postMessage({ name, thread, seconds } satisfies StuckThread);
    return;
  }
  const session = new Session();
  writeStuck({ name, thread, seconds }, await stackOfMain(session, STACK_WAIT_MS));
  // Only the thread itself can give an exit code, in the middle of its loop.
  session.post('Runtime.evaluate', { expression: 'process.reallyExit(1)' });
}
