/**
 * Opens the store on disk: lock, format, environment, identity, in that order, and closes what was
 * opened when a later step fails. A start costs the same whatever is stored: sizes and positions
 * are kept by the commits, nothing is counted or scanned.
 */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { BodyFiles } from '../body-files.ts';
import { DiskBodyFolder } from '../body-folder.ts';
import {
  type Identity,
  identityAtStart,
  readIdentity,
  readLogState,
  writeIdentity,
} from '../meta.ts';
import { SpaceGuard } from '../space-guard.ts';
import { createStore } from '../store.ts';
import type { Store, StoreOptions } from '../store-options.ts';
import { openTrees, type Trees, treeCount } from '../tables.ts';
import { makeBackup } from './backup.ts';
import { LmdbEngine } from './engine.ts';
import { checkFormat, type FolderLock, lockFolder, readBootId } from './folder.ts';

export interface LmdbStoreOptions extends StoreOptions {
  /** The data folder; made when it is missing. */
  readonly path: string;
  readonly mapBytes?: number | undefined;
  /** How long to wait for another process to leave the folder. */
  readonly lockWaitMs?: number | undefined;
  /** The machine's boot, for tests; read from the system when absent. */
  readonly bootId?: string | undefined;
}

/** A folder inside the data folder, which also holds the lock and the format mark. */
const environmentPath = (path: string): string => join(path, 'store');
/** Beside it: the bodies that are too large for it. */
const bodiesPath = (path: string): string => join(path, 'bodies');

/** Rejects with `DATA_FOLDER_LOCKED`, `DATA_FOLDER_TOO_NEW`, or what the file system says. */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { path } = options;
  const lock = await lockFolder(path, options.lockWaitMs);
  try {
    await checkFormat(path);
    return await openLocked(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(options: LmdbStoreOptions, lock: FolderLock): Promise<Store> {
  const { path, definitions } = options;
  const engine = new LmdbEngine({
    path: environmentPath(path),
    treesMax: treeCount(definitions),
    mapBytes: options.mapBytes,
  });
  try {
    const trees = openTrees(engine, definitions);
    const wasClean = readIdentity(trees.meta)?.isClean === true;
    const identity = await begin(engine, trees, options.bootId ?? (await readBootId()));
    const freeBytes = options.freeBytes ?? (() => freeBytesOf(path));
    const folder = new DiskBodyFolder(bodiesPath(path));
    const backUp = (target: string, madeAt: string) => makeBackup({ path, engine, madeAt }, target);
    const kept = { folder, backUp, wasClean };
    const store = createStore(engine, trees, identity, { ...options, freeBytes }, kept);
    store.onClosed(() => lock.release());
    return store;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Marks the folder as open, durably, before anything can be written under this identity. */
async function begin(engine: LmdbEngine, trees: Trees, bootId: string): Promise<Identity> {
  const { sequence } = readLogState(trees.meta);
  const identity = identityAtStart(readIdentity(trees.meta), bootId, sequence);
  const { flushed } = await engine.transact(() => writeIdentity(trees.meta, identity));
  await flushed;
  return identity;
}

function freeBytesOf(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

export interface OpenBodiesOptions {
  readonly path: string;
  readonly run: string;
  readonly clock: Clock;
  readonly diskSoftFreeBytes: number;
  readonly diskHardFreeBytes: number;
  readonly bodyDamaged?: ((name: string) => void) | undefined;
}

/** The bodies of the same folder, for a worker. */
export function openBodies(options: OpenBodiesOptions): BodyFiles {
  const { path, run, clock, diskSoftFreeBytes: soft, diskHardFreeBytes: hard } = options;
  const guard = new SpaceGuard(
    clock,
    { freeBytes: () => freeBytesOf(path), reusableBytes: () => 0 },
    soft,
    hard,
  );
  return new BodyFiles({
    folder: new DiskBodyFolder(bodiesPath(path)),
    run,
    room: () => guard.room(),
    onDamaged: ({ name }) => options.bodyDamaged?.(name),
  });
}

/** A worker's engine on the same environment; the data folder is locked by the store thread. */
export const openSharedEngine = (
  path: string,
  definitions: LmdbStoreOptions['definitions'],
  mapBytes?: number,
): LmdbEngine =>
  new LmdbEngine({ path: environmentPath(path), treesMax: treeCount(definitions), mapBytes });
