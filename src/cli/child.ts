/**
 * A node in a process of its own, as `dev` and `--supervise` keep one: started with an IPC channel,
 * so that it ends at once when its parent is gone; told to stop by SIGTERM, killed when it does
 * not.
 */
import { type ChildProcess, fork } from 'node:child_process';

export interface ReadyPorts {
  readonly http: number;
  readonly admin: number;
}

export interface ChildHooks {
  ready(ports: ReadyPorts): void;
  /** `asked`: it ended because it was told to. */
  ended(code: number | null, asked: boolean): void;
}

const KILL_AFTER_MS = 12_000;

export class NodeChild {
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #asked = false;

  constructor(entry: string, args: readonly string[], hooks: ChildHooks) {
    this.#process = fork(entry, [...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process.on('message', (message) => {
      if (isReady(message)) hooks.ready(message.ports);
    });
    this.#ended = new Promise((resolve) => {
      this.#process.once('exit', (code) => {
        hooks.ended(code, this.#asked);
        resolve();
      });
    });
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    this.#asked = true;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), KILL_AFTER_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** What a node tells its parent once it answers. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly ports: ReadyPorts;
}

const isReady = (message: unknown): message is ReadyMessage =>
  typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'ready';
