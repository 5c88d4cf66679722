/**
 * Which core does what: servers run on one, generators and origins on another, so that neither
 * takes time from the other. On a machine of one core both share it, and the report says so.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

export const SERVER_CORE = 0;
export const GENERATOR_CORE = availableParallelism() > 1 ? 1 : 0;

/** Command and arguments which run the given ones on a core. */
export function pinned(core: number, command: string, args: readonly string[]): [string, string[]] {
  return ['taskset', ['-c', String(core), command, ...args]];
}

/** Moves this process, its threads and all it will start to the generator's core. */
export function pinMyself(): void {
  const core = String(GENERATOR_CORE);
  execFileSync('taskset', ['-a', '-p', '-c', core, String(process.pid)], { stdio: 'ignore' });
}
