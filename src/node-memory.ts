/**
 * How much memory the node may use and how much it does, as the kernel counts both: the tightest of
 * what is configured, what its control group allows (version 1 or 2) and what the machine has. The
 * pages of mapped files are not counted: the kernel takes them back when it needs them.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

const CGROUP_ROOT = '/sys/fs/cgroup';
/** Version 1 says "no limit" with a number near the end of its range. */
const UNLIMITED_FROM = 2 ** 60;

export interface MemoryUse {
  readonly usedBytes: number;
  readonly maxBytes: number;
}

/** Reads a file of the kernel; `undefined` when there is none. */
export type ReadKernelFile = (path: string) => string | undefined;

/** The use that is nearest to its limit. `configuredBytes`: 0 for none. */
export function memoryUse(
  configuredBytes: number,
  read: ReadKernelFile = readKernelFile,
  machineBytes: number = totalmem(),
): MemoryUse {
  const own = ownBytes(read);
  const ceiling = configuredBytes === 0 ? machineBytes : Math.min(configuredBytes, machineBytes);
  const uses = [{ usedBytes: own, maxBytes: ceiling }, ...cgroupUses(read)];
  return uses.reduce((one, other) =>
    other.usedBytes / other.maxBytes > one.usedBytes / one.maxBytes ? other : one,
  );
}

/** Memory of the process which is nobody's file. */
function ownBytes(read: ReadKernelFile): number {
  const status = read('/proc/self/status');
  if (status !== undefined) return kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem');
  try {
    return process.memoryUsage.rss();
  } catch {
    // Not even that without a descriptor: the heaps are watched all the same.
    return 0;
  }
}

const kilobytes = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;

/** The control groups around the process that have a limit, from the innermost outwards. */
function* cgroupUses(read: ReadKernelFile): Generator<MemoryUse> {
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') yield* upwards(path, (at) => version2(`${CGROUP_ROOT}${at}`, read));
    else if (controllers?.split(',').includes('memory') === true) {
      yield* upwards(path, (at) => version1(`${CGROUP_ROOT}/memory${at}`, read));
    }
  }
}

/** Inside a container the path may be that of the host: the root is then the group itself. */
function* upwards(path: string, use: (at: string) => MemoryUse | undefined): Generator<MemoryUse> {
  const parts = path.split('/').filter((part) => part !== '');
  for (let length = parts.length; length >= 0; length -= 1) {
    const found = use(length === 0 ? '' : `/${parts.slice(0, length).join('/')}`);
    if (found !== undefined) yield found;
  }
}

function version2(folder: string, read: ReadKernelFile): MemoryUse | undefined {
  const maxBytes = number(read(`${folder}/memory.max`));
  const current = number(read(`${folder}/memory.current`));
  if (maxBytes === undefined || current === undefined) return undefined;
  const stat = read(`${folder}/memory.stat`) ?? '';
  const reclaimable = field(stat, 'file') - field(stat, 'shmem');
  return { usedBytes: Math.max(0, current - reclaimable), maxBytes };
}

function version1(folder: string, read: ReadKernelFile): MemoryUse | undefined {
  const maxBytes = number(read(`${folder}/memory.limit_in_bytes`));
  const current = number(read(`${folder}/memory.usage_in_bytes`));
  if (maxBytes === undefined || current === undefined || maxBytes >= UNLIMITED_FROM) {
    return undefined;
  }
  const stat = read(`${folder}/memory.stat`) ?? '';
  const reclaimable = field(stat, 'total_cache') - field(stat, 'total_shmem');
  return { usedBytes: Math.max(0, current - reclaimable), maxBytes };
}

const field = (stat: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);

function number(text: string | undefined): number | undefined {
  const value = text === undefined ? Number.NaN : Number(text.trim());
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
