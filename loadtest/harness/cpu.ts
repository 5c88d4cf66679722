/**
 * CPU time and memory of a process and all its descendants, from `/proc`. CPU per request is the
 * figure to compare on a shared machine: it does not depend on what else is running, or on whether
 * the generator keeps the server busy.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PAGE_BYTES = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

interface ProcessUsage {
  readonly parent: number;
  readonly cpuMicros: number;
  readonly residentBytes: number;
}

function usageOf(pid: number): ProcessUsage | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name stands in brackets and may hold anything; the fields follow the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // Its own time and that of children which have ended: nothing is lost when one goes.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return {
      parent: Number(fields[1]),
      cpuMicros: (ticks * 1_000_000) / TICKS_PER_SECOND,
      residentBytes: Number(fields[21]) * PAGE_BYTES,
    };
  } catch {
    return undefined;
  }
}

/** The process and its descendants, as they are now. */
export function processTree(root: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const usage = usageOf(Number(name));
    if (usage !== undefined) parents.set(Number(name), usage.parent);
  }
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

/** Microseconds of CPU that a process tree has used since it started. */
export function cpuMicros(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + (usageOf(pid)?.cpuMicros ?? 0), 0);
}

/** Bytes of physical memory that a process tree holds; shared pages count in each process. */
export function residentBytes(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + (usageOf(pid)?.residentBytes ?? 0), 0);
}

/** Bytes of memory that are a process tree's own: without the pages of files it has mapped. */
export function ownBytes(root: number): number {
  return processTree(root).reduce((sum, pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return sum + Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return sum;
    }
  }, 0);
}
