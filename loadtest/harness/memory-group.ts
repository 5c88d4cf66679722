/**
 * A control group with a limit of memory, version 2 or 1, for one server. Needs the rights to make
 * one (root, or a delegated group); without them nothing is made and the scenario says so.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

const ROOT = '/sys/fs/cgroup';

export interface MemoryGroup {
  /** A command which enters the group and becomes the given one. */
  readonly enter: (command: string, args: readonly string[]) => [string, string[]];
  /** Processes that the kernel killed in it for want of memory. */
  kills(): number;
  remove(): void;
}

/** `undefined` where none can be made. */
export function makeMemoryGroup(name: string, bytesMax: number): MemoryGroup | undefined {
  const isVersion2 = existsSync(`${ROOT}/cgroup.controllers`);
  const folder = isVersion2 ? `${ROOT}/${name}` : `${ROOT}/memory/${name}`;
  try {
    mkdirSync(folder, { recursive: true });
    const limit = isVersion2 ? 'memory.max' : 'memory.limit_in_bytes';
    writeFileSync(`${folder}/${limit}`, String(bytesMax));
  } catch {
    return undefined;
  }
  const events = isVersion2 ? 'memory.events' : 'memory.oom_control';
  return {
    enter: (command, args) => [
      'sh',
      ['-c', `echo $$ > ${folder}/cgroup.procs && exec "$0" "$@"`, command, ...args],
    ],
    kills: () =>
      Number(/^oom_kill (\d+)$/m.exec(readFileSync(`${folder}/${events}`, 'utf8'))?.[1] ?? 0),
    remove: () => {
      try {
        rmdirSync(folder);
      } catch {
        // A process of it is still ending; an empty group costs nothing.
      }
    },
  };
}
