/**
 * Entry of the thread that works on passwords. It is there to be slow: each try burns tens of
 * milliseconds of a core on purpose, and whoever floods the node with wrong passwords must not take
 * that time from the threads that answer. So this one tells the scheduler that all others go first.
 */
import { readlinkSync } from 'node:fs';
import os from 'node:os';
import { parentPort } from 'node:worker_threads';
import { argon2id } from './access/identity/argon2id.ts';

export interface PasswordTask {
  readonly id: number;
  readonly password: string;
  /** What to verify the password against; without it the password is hashed. */
  readonly hashed?: string | undefined;
}

export type PasswordResult =
  | { readonly id: number; readonly result: string | boolean }
  | { readonly id: number; readonly fault: string };

/** Makes a tenth of a thread's weight [sched(7)]: on a busy core it still moves. */
const NICER_BY = 10;
const NICENESS_MAX = 19;

/** The niceness of Linux is one of threads; elsewhere it would be that of the whole process. */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    os.setPriority(thread, Math.min(NICENESS_MAX, os.getPriority(thread) + NICER_BY));
  } catch {
    // Without /proc, or where that is forbidden, it is a thread as all others are.
  }
}

async function work({ id, password, hashed }: PasswordTask): Promise<PasswordResult> {
  try {
    const isToVerify = hashed !== undefined;
    const result = isToVerify ? argon2id.verify(hashed, password) : argon2id.hash(password);
    return { id, result: await result };
  } catch (error) {
    return { id, fault: String(error) };
  }
}

giveWay();
parentPort?.on('message', async (task: PasswordTask) => parentPort?.postMessage(await work(task)));
