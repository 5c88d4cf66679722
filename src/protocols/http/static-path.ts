/**
 * From the path of a URL to a file below a folder, and never to one outside of it: no parent
 * segments, no hidden files, no symbolic link that leads away.
 */
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';

export interface OpenFile {
  readonly handle: FileHandle;
  readonly stats: Stats;
}

/**
 * The path below the folder; `undefined` for paths that are not to be served, whatever is there.
 */
export function relativePath(urlPath: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(urlPath);
  } catch {
    return undefined;
  }
  if (!path.startsWith('/') || /[\0\\]/.test(path)) return undefined;
  const segments = path.slice(1).split('/');
  // Empty segments would make `//host` a redirect to another site.
  const last = segments.length - 1;
  const safe = segments.every((name, i) => !name.startsWith('.') && (name !== '' || i === last));
  return safe ? path.slice(1) : undefined;
}

/**
 * Opens a file or folder below `root` (a real path). `undefined` when it does not exist, may not be
 * read, or leads outside. The caller closes the handle.
 */
export async function openBelow(root: string, relative: string): Promise<OpenFile | undefined> {
  try {
    const real = await realpath(join(root, relative));
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) return undefined;
    // The checked path holds no link any more; one that appears meanwhile is not followed.
    const handle = await open(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    return await withStats(handle);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

async function withStats(handle: FileHandle): Promise<OpenFile> {
  try {
    return { handle, stats: await handle.stat() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const absences = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENAMETOOLONG',
  'ENXIO',
]);

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && absences.has(String(error.code));
}
