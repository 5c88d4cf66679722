/**
 * A node in a process of its own, as `dev` and `--supervise` keep one: started with an IPC channel,
 * so that it ends at once when its parent is gone; told to stop by SIGTERM, killed when it does
 * not.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { ReloadReport } from '../node-reload.ts';

export interface ReadyPorts {
  readonly http: number;
  readonly admin: number;
  readonly mqtt: number | undefined;
}

export interface ChildHooks {
  ready(ports: ReadyPorts): void;
  /** `asked`: it ended because it was told to. */
  ended(code: number | null, asked: boolean): void;
}

const KILL_AFTER_MS = 12_000;
const RELOADED_WITHIN_MS = 10_000;

export class NodeChild {
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #asked = false;
  #isReady = false;
  #reloaded: (report: ReloadReport | undefined) => void = () => undefined;

  constructor(entry: string, args: readonly string[], hooks: ChildHooks) {
    this.#process = fork(entry, [...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process.on('message', (message) => {
      if (isKind<ReadyMessage>(message, 'ready')) {
        this.#isReady = true;
        hooks.ready(message.ports);
      } else if (isKind<ReloadedMessage>(message, 'reloaded')) this.#reloaded(message.report);
    });
    this.#ended = new Promise((resolve) => {
      this.#process.once('exit', (code) => {
        this.#reloaded(undefined);
        hooks.ended(code, this.#asked);
        resolve();
      });
    });
  }

  /** Has the node read its files again; `undefined` when it is not there to do it. */
  async reload(): Promise<ReloadReport | undefined> {
    if (!this.#isReady || !this.#process.connected) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const report = new Promise<ReloadReport | undefined>((resolve) => {
      this.#reloaded = resolve;
      timer = setTimeout(() => resolve(undefined), RELOADED_WITHIN_MS);
    });
    this.#process.send({ kind: 'reload' } satisfies ReloadMessage);
    try {
      return await report;
    } finally {
      clearTimeout(timer);
    }
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

/** What a node is told by its parent, and says when that is done. */
export interface ReloadMessage {
  readonly kind: 'reload';
}

export interface ReloadedMessage {
  readonly kind: 'reloaded';
  readonly report: ReloadReport;
}

export const isKind = <T extends { readonly kind: string }>(
  message: unknown,
  kind: T['kind'],
): message is T =>
  typeof message === 'object' && message !== null && 'kind' in message && message.kind === kind;
