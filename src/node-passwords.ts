/**
 * Starts the thread that works on passwords, with the first of them, and brings it what is to be
 * done. One that ends by itself fails what it had; the next password starts another.
 */
import { Worker } from 'node:worker_threads';
import type { PasswordWork } from './access/identity/password-hash.ts';
import { NodeError } from './base/errors.ts';
import type { PasswordResult, PasswordTask } from './worker-passwords.ts';

/** Of its heap; what argon2 fills lies outside of it. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };

interface Pending {
  resolve(result: string | boolean): void;
  reject(error: NodeError): void;
}

export class PasswordThread implements PasswordWork {
  /** As many as the hasher lets in at a time. */
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #lastId = 0;

  async hash(password: string): Promise<string> {
    return String(await this.#ask({ password }));
  }

  async verify(hashed: string, password: string): Promise<boolean> {
    return (await this.#ask({ hashed, password })) === true;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #ask(task: Omit<PasswordTask, 'id'>): Promise<string | boolean> {
    this.#worker ??= this.#start();
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<string | boolean>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    this.#worker.postMessage({ ...task, id } satisfies PasswordTask);
    return answer;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker-passwords.js', import.meta.url), {
      resourceLimits: RESOURCES,
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (done: PasswordResult) => this.#conclude(done));
    worker.on('error', (error) => this.#lost(String(error)));
    worker.on('exit', () => this.#lost('the thread ended'));
    return worker;
  }

  #conclude(done: PasswordResult): void {
    const pending = this.#pending.get(done.id);
    this.#pending.delete(done.id);
    if ('result' in done) pending?.resolve(done.result);
    else pending?.reject(failed(done.fault));
  }

  #lost(reason: string): void {
    this.#worker = undefined;
    for (const { reject } of this.#pending.values()) reject(failed(reason));
    this.#pending.clear();
  }
}

const failed = (reason: string): NodeError =>
  new NodeError('INTERNAL', `a password could not be worked on: ${reason}`);
