/**
 * A server under test as a child process, on the server's core: started, awaited, stopped. What it
 * wrote is kept, so that a start which fails explains itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { pinned, SERVER_CORE } from './cores.ts';
import { processTree } from './cpu.ts';

export interface Server {
  readonly name: string;
  /** Such as `http://127.0.0.1:1234`. */
  readonly url: string;
  readonly pid: number;
  readonly startedInMs: number;
  /** What it has written so far. */
  output(): string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly core?: number | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Finds the address in what the server has written so far, or asks whether it answers yet. */
  readonly readyUrl: (output: string) => string | undefined | Promise<string | undefined>;
  readonly seconds?: number | undefined;
  /** Removed once the server has ended. */
  readonly folder?: string | undefined;
}

/** What runs, each with the folder to remove after it. */
const running = new Map<ChildProcess, string | undefined>();

const removeFolder = (folder: string | undefined): void => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
};

/** Ends a process and its descendants, which would outlive it otherwise. */
function killTree(child: ChildProcess): void {
  for (const pid of child.pid === undefined ? [] : processTree(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Ends whatever is still running, for an exit that was not planned. */
export function killServers(): void {
  for (const [child, folder] of running) {
    killTree(child);
    removeFolder(folder);
  }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const late = setTimeout(() => killTree(child), 10_000);
    child.kill('SIGTERM');
    await once(child, 'exit');
    clearTimeout(late);
  }
  removeFolder(running.get(child));
  running.delete(child);
}

export async function startServer(options: StartOptions): Promise<Server> {
  const began = performance.now();
  const core = options.core ?? SERVER_CORE;
  const child = spawn(...pinned(core, options.command, options.args), {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.set(child, options.folder);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      if (output.length < 1_000_000) output += chunk;
    });
  }
  const end = began + (options.seconds ?? 60) * 1000;
  for (;;) {
    const url = await options.readyUrl(output);
    const startedInMs = performance.now() - began;
    const { name } = options;
    if (url !== undefined) {
      const pid = child.pid ?? 0;
      const stop = () => stopProcess(child);
      return { name, url, pid, startedInMs, output: () => output, stop };
    }
    if (child.exitCode !== null || performance.now() > end) {
      await stopProcess(child);
      throw new Error(`${name} did not get ready:\n${output.slice(-3000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether a server answers anything at `url` yet. */
export async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(1000) })).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
