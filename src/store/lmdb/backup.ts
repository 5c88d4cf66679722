/**
 * A backup of the data folder, taken while the store is written to: one snapshot of the environment
 * and the files of bodies that this snapshot names. How to use it:
 *
 *   const report = await store.backupTo('/backups/monday');   // a folder that is new, or empty
 *   await verifyBackup('/backups/monday');                    // every byte against its checksum
 *   await restoreBackup({ from: '/backups/monday', to: dataFolder });   // see `restore.ts`
 *
 * The manifest is written last: a folder without one is a backup that was not finished. What is
 * copied carries a mark by which the first start on it begins a new epoch, also when somebody takes
 * the folder for a data folder as it is: sequences given out since the backup are given out again.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Epoch, NodeId, Sequence } from '../../base/brands.ts';
import { NodeError } from '../../base/errors.ts';
import { HIGH } from '../engine.ts';
import { readIdentity, readLogState, writeIdentity } from '../meta.ts';
import type { BackupReport } from '../store-options.ts';
import { LmdbEngine } from './engine.ts';
import { FOLDER_FORMAT } from './folder.ts';

export const MANIFEST_FILE = 'BACKUP.json';
const MANIFEST_FORMAT = 1;
const ENVIRONMENT = 'store';
const ENVIRONMENT_FILE = 'store/data.mdb';
const FORMAT_FILE = 'FORMAT';
/** Names of files read at a time. */
const NAMES_PAGE = 1_000;
/** Trees that are opened in a copy. */
const TREES = 2;

export interface BackedUpFile {
  /** Below the folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Hex digest (SHA-256). */
  readonly sha256: string;
}

export interface BackupManifest {
  readonly format: number;
  readonly folderFormat: number;
  readonly madeAt: string;
  readonly author: NodeId;
  readonly epoch: Epoch;
  /** The newest change that is in the backup. */
  readonly sequence: Sequence;
  readonly files: readonly BackedUpFile[];
}

export interface BackupSource {
  /** The data folder. */
  readonly path: string;
  readonly engine: LmdbEngine;
  /** The time of the backup, in ISO 8601. */
  readonly madeAt: string;
}

/**
 * Writes a backup into `folder`. No file of a body may be removed meanwhile. Rejects with `USAGE`
 * when something is in the folder already, `STORE_FAILED` when it cannot be written.
 */
export async function makeBackup(source: BackupSource, folder: string): Promise<BackupReport> {
  await claimFolder(folder);
  try {
    await mkdir(join(folder, ENVIRONMENT), { recursive: true });
    await source.engine.copyTo(join(folder, ENVIRONMENT));
    const marked = await markCopy(join(folder, ENVIRONMENT));
    const files: BackedUpFile[] = [await checksumOf(folder, ENVIRONMENT_FILE)];
    for (const name of marked.names) {
      const path = `bodies/${name.slice(0, 2)}/${name}`;
      // A body that is gone here is none there either; its row says so.
      const copied = await copyFile(source.path, folder, path).catch(unlessMissing);
      if (copied !== undefined) files.push(copied);
    }
    await writeFile(join(folder, FORMAT_FILE), `${FOLDER_FORMAT}\n`);
    const { author, epoch, sequence } = marked;
    const facts = { author, epoch, sequence, madeAt: source.madeAt };
    const manifest = { format: MANIFEST_FORMAT, folderFormat: FOLDER_FORMAT, ...facts, files };
    await writeManifest(folder, manifest);
    return reportOf(folder, manifest);
  } catch (cause) {
    const message = `the backup into ${folder} was not finished and is not to be used`;
    throw new NodeError('STORE_FAILED', message, { cause, retry: 'later' });
  }
}

export const reportOf = (folder: string, manifest: BackupManifest): BackupReport => ({
  folder,
  madeAt: manifest.madeAt,
  epoch: manifest.epoch,
  sequence: manifest.sequence,
  files: manifest.files.length,
  bytes: manifest.files.reduce((sum, { bytes }) => sum + bytes, 0),
});

/** Checks every file; rejects with `BACKUP_INVALID`, which names what is wrong. */
export async function verifyBackup(folder: string): Promise<BackupReport> {
  const manifest = await readManifest(folder);
  for (const file of manifest.files) {
    const found = await checksumOf(folder, file.path).catch(() => undefined);
    checkSame(folder, file, found);
  }
  return reportOf(folder, manifest);
}

export function checkSame(
  folder: string,
  wanted: BackedUpFile,
  found: BackedUpFile | undefined,
): void {
  if (found?.sha256 === wanted.sha256 && found.bytes === wanted.bytes) return;
  const what = found === undefined ? 'is missing' : 'is not what was written';
  throw invalid(folder, `${wanted.path} ${what}; take another backup`);
}

export async function readManifest(folder: string): Promise<BackupManifest> {
  const text = await readFile(join(folder, MANIFEST_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) {
    throw invalid(folder, `there is no ${MANIFEST_FILE} in it: it is no backup, or unfinished`);
  }
  const manifest = parsed(text);
  if (manifest === undefined) throw invalid(folder, `${MANIFEST_FILE} cannot be read`);
  if (manifest.format > MANIFEST_FORMAT || manifest.folderFormat > FOLDER_FORMAT) {
    throw invalid(folder, 'it was made by a newer program; upgrade this one');
  }
  return manifest;
}

function parsed(text: string): BackupManifest | undefined {
  try {
    const manifest = JSON.parse(text) as BackupManifest;
    const isWhole = Array.isArray(manifest.files) && manifest.files.every(isInside);
    return isWhole && Number.isInteger(manifest.format) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Nothing outside the folder is read or written, whatever a manifest says. */
const isInside = ({ path }: BackedUpFile): boolean =>
  typeof path === 'string' && /^[\w.-]+(\/[\w.-]+)*$/.test(path) && !path.includes('..');

const invalid = (folder: string, problem: string): NodeError =>
  new NodeError('BACKUP_INVALID', `${folder} cannot be restored from: ${problem}`, {
    details: { folder },
  });

async function claimFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length === 0) return;
  throw new NodeError(
    'USAGE',
    `${folder} is not empty; a backup is written into a folder of its own: name a new one`,
    { blame: 'client', details: { folder } },
  );
}

/** Marks the copy as one whose sequences do not go on, and says what it is and names. */
async function markCopy(path: string) {
  const engine = new LmdbEngine({ path, treesMax: TREES });
  try {
    const meta = engine.tree('meta');
    const identity = readIdentity(meta);
    if (identity === undefined) throw new Error('the copy has no identity');
    const { sequence } = readLogState(meta);
    const names = namesIn(engine);
    const mark = () => writeIdentity(meta, { ...identity, bootId: '', isClean: false });
    await (await engine.transact(mark)).flushed;
    return { author: identity.author, epoch: identity.epoch, sequence, names };
  } finally {
    await engine.close();
    await rm(join(path, 'lock.mdb'), { force: true });
  }
}

/** Names of the files of bodies that rows hold on to. */
function namesIn(engine: LmdbEngine): string[] {
  const bodies = engine.tree('bodies');
  const names: string[] = [];
  for (let after = ''; ; ) {
    const page = bodies.keys({ start: after, end: HIGH, exclusiveStart: true, limit: NAMES_PAGE });
    for (const key of page) if (typeof key === 'string') names.push(key);
    const last = page.at(-1);
    if (page.length < NAMES_PAGE || typeof last !== 'string') return names;
    after = last;
  }
}

async function checksumOf(folder: string, path: string): Promise<BackedUpFile> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(join(folder, path)), hash);
  const { size } = await stat(join(folder, path));
  return { path, bytes: size, sha256: hash.digest('hex') };
}

/** Copies a file below `from` to its place below `to`, onto the disk, and hashes what it reads. */
export async function copyFile(from: string, to: string, path: string): Promise<BackedUpFile> {
  const target = join(to, path);
  await mkdir(dirname(target), { recursive: true });
  const hash = createHash('sha256');
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const written = createWriteStream(target, { flush: true });
  await pipeline(createReadStream(join(from, path)), counted, written);
  return { path, bytes, sha256: hash.digest('hex') };
}

/** For what is read: nothing, when there is no such file. */
export function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function writeManifest(folder: string, manifest: BackupManifest): Promise<void> {
  const file = await open(join(folder, MANIFEST_FILE), 'w');
  try {
    await file.writeFile(`${JSON.stringify(manifest, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
