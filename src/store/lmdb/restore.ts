/**
 * Puts a backup in the place of a data folder: the node is stopped, the folder new or empty. Every
 * file is checked while it is copied; when one is wrong the folder is left as it was found.
 *
 * The first start on it begins a new epoch, as a new author of changes: subscribers and peers
 * compare what they hold instead of trusting positions, and several nodes may be made of it.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NodeError } from '../../base/errors.ts';
import type { BackupReport } from '../store-options.ts';
import { checkSame, copyFile, readManifest, reportOf, unlessMissing } from './backup.ts';
import { FOLDER_FORMAT, lockFolder } from './folder.ts';

export interface RestoreOptions {
  /** The folder of the backup; it is only read. */
  readonly from: string;
  /** The data folder; made when it is missing. */
  readonly to: string;
  /** How long to wait for another process to leave the folder. */
  readonly lockWaitMs?: number | undefined;
}

const LOCK_FILE = 'LOCK';

/**
 * Rejects with `BACKUP_INVALID` (the backup), `USAGE` (the data folder is not empty),
 * `DATA_FOLDER_LOCKED`, or what the file system says.
 */
export async function restoreBackup(options: RestoreOptions): Promise<BackupReport> {
  const { from, to } = options;
  const manifest = await readManifest(from);
  await mkdir(to, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(to, options.lockWaitMs);
  try {
    await checkEmpty(to);
    try {
      for (const file of manifest.files) checkSame(from, file, await copyOf(options, file.path));
      await writeFile(join(to, 'FORMAT'), `${FOLDER_FORMAT}\n`);
    } catch (error) {
      for (const part of ['store', 'bodies'])
        await rm(join(to, part), { recursive: true, force: true });
      throw error;
    }
  } finally {
    await lock.release();
  }
  return reportOf(to, manifest);
}

const copyOf = ({ from, to }: RestoreOptions, path: string) =>
  copyFile(from, to, path).catch(unlessMissing);

async function checkEmpty(to: string): Promise<void> {
  const found = (await readdir(to)).filter((name) => name !== LOCK_FILE);
  if (found.length === 0) return;
  throw new NodeError(
    'USAGE',
    `${to} is not empty (${found.slice(0, 3).join(', ')}): a backup is restored into a new ` +
      'folder; move what is there away, or name another --data folder',
    { blame: 'client', details: { folder: to } },
  );
}
