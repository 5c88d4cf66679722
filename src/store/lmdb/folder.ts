/**
 * The data folder around the environment: made when missing, held by one process at a time, and
 * marked with the format it was written in, so that an older program leaves a newer folder alone.
 *
 * On Linux the lock is a socket in the kernel's own name space, named after the folder's device and
 * inode: it is taken atomically and vanishes with its holder, however that ends. Elsewhere it is a
 * file that names a process.
 */
import { constants } from 'node:fs';
import { access, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { NodeError } from '../../base/errors.ts';

export const FOLDER_FORMAT = 1;
const LOCK_WAIT_MS = 5_000;
const LOCK_RETRY_MS = 50;
const FORMAT_FILE = 'FORMAT';
const LOCK_FILE = 'LOCK';

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Rejects with `DATA_FOLDER_LOCKED` when another process keeps it longer than `waitMs`, the time
 * given to a holder that is about to leave.
 */
export async function lockFolder(path: string, waitMs = LOCK_WAIT_MS): Promise<FolderLock> {
  await makeFolder(path);
  for (let waited = 0; ; waited += LOCK_RETRY_MS) {
    const lock = process.platform === 'linux' ? await holdSocket(path) : await holdFile(path);
    if (lock !== undefined) return lock;
    if (waited >= waitMs) throw lockedError(path, await holderOf(path));
    await setTimeout(LOCK_RETRY_MS);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    // What is stored, and hashes of passwords, are nobody's business on this machine.
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message =
      `the data folder ${path} cannot be written (${why}); ` +
      'give it to the user that runs the node, or name another with --data';
    throw new NodeError('CONFIG_INVALID', message, { cause, details: { path } });
  }
}

function lockedError(path: string, holder: string): NodeError {
  return new NodeError(
    'DATA_FOLDER_LOCKED',
    `${path} is in use by another process${holder}; stop it, or start with another --data folder`,
    { retry: 'later', details: { path } },
  );
}

async function holdSocket(path: string): Promise<FolderLock | undefined> {
  const { dev, ino } = await stat(path);
  const server = createServer((socket) => socket.destroy());
  if (!(await isBound(server, `\0millrace-${dev}-${ino}`))) return undefined;
  server.unref();
  await writeFile(join(path, LOCK_FILE), String(process.pid));
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function isBound(server: Server, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(name, () => resolve(true));
  });
}

async function holdFile(path: string): Promise<FolderLock | undefined> {
  const file = join(path, LOCK_FILE);
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(String(process.pid));
    await handle.close();
    return { release: () => rm(file, { force: true }) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const pid = Number(await readFile(file, 'utf8').catch(() => ''));
  if (!isAlive(pid)) await rm(file, { force: true });
  return undefined;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const holderOf = async (path: string): Promise<string> => {
  const pid = await readFile(join(path, LOCK_FILE), 'utf8').catch(() => '');
  return pid === '' ? '' : ` (process ${pid})`;
};

/** Rejects with `DATA_FOLDER_TOO_NEW` for a folder of a later program. */
export async function checkFormat(path: string): Promise<void> {
  const file = join(path, FORMAT_FILE);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) {
    await writeFile(file, `${FOLDER_FORMAT}\n`);
    return;
  }
  const found = Number(text);
  if (Number.isInteger(found) && found <= FOLDER_FORMAT) return;
  throw new NodeError(
    'DATA_FOLDER_TOO_NEW',
    `${path} is of format ${text.trim()}, this program reads up to ${FOLDER_FORMAT}: ` +
      'upgrade it, or start with another --data folder',
    { details: { path, found: text.trim(), supported: FOLDER_FORMAT } },
  );
}

/** The machine's present boot; '' where that is not known. */
export async function readBootId(): Promise<string> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return text.trim();
}
