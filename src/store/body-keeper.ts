/**
 * Which files of bodies are kept. A row that names a file holds on to it by a count in the tree of
 * bodies, written in the row's own transaction; a file that no row names is removed a minute later
 * (a reader with an older snapshot may be about to open it), unless a row has named it again.
 *
 * What waits to be removed is remembered in memory only: a start removes all files of earlier runs
 * that no row names, in the background, a page of names at a time.
 */
import { type EpochMs, later } from '../base/brands.ts';
import type { StoredBody } from '../cache/entry.ts';
import type { WriteOp } from '../table/store-port.ts';
import { RELEASE_GRACE_MS } from './bodies.ts';
import type { BodyFolder } from './body-folder.ts';
import type { Tree } from './engine.ts';
import { packPlain, unpackPlain } from './entry-format.ts';

const countOf = (bodies: Tree, name: string): number => {
  const bytes = bodies.get(name);
  return bytes === undefined ? 0 : Number(unpackPlain(bytes));
};

/** A row names the file; true when it is the first. Inside a transaction. */
export function holdFile(bodies: Tree, { name }: StoredBody): boolean {
  const count = countOf(bodies, name);
  bodies.put(name, packPlain(count + 1));
  return count === 0;
}

/** A row no longer names the file; true when it was the last. Inside a transaction. */
export function dropFile(bodies: Tree, { name }: StoredBody): boolean {
  const count = countOf(bodies, name);
  if (count > 1) bodies.put(name, packPlain(count - 1));
  else bodies.remove(name);
  return count <= 1;
}

/** The bodies in files which a write brings. */
export function filesIn(ops: readonly WriteOp[]): StoredBody[] {
  const found: StoredBody[] = [];
  for (const op of ops) {
    if (op.kind === 'put' && !(op.body instanceof Uint8Array)) found.push(op.body);
    if ((op.kind !== 'patch' && op.kind !== 'put') || op.blobs === undefined) continue;
    for (const blob of Object.values(op.blobs)) found.push(blob.body);
  }
  return found;
}

export class BodyKeeper {
  readonly #folder: BodyFolder;
  readonly #bodies: Tree;
  readonly #run: string;
  /** Name → when it may be removed, in order of time. */
  readonly #released = new Map<string, EpochMs>();
  #isClosed = false;
  #isHeld = false;

  constructor(folder: BodyFolder, bodies: Tree, run: string) {
    this.#folder = folder;
    this.#bodies = bodies;
    this.#run = run;
  }

  /** Files that wait to be removed. */
  get releasedCount(): number {
    return this.#released.size;
  }

  /** The file is removed after the grace, if no row names it then. */
  release({ name }: StoredBody, now: EpochMs): void {
    this.#released.delete(name);
    this.#released.set(name, later(now, RELEASE_GRACE_MS));
  }

  /** Releases those of a write's files that no row has come to name. */
  releaseUnnamed(bodies: readonly StoredBody[], now: EpochMs): void {
    for (const body of bodies) if (!this.#isNamed(body.name)) this.release(body, now);
  }

  /** No file is removed while `work` runs: it copies those that a snapshot names. */
  async holdAll<T>(work: () => Promise<T>): Promise<T> {
    this.#isHeld = true;
    return work().finally(() => {
      this.#isHeld = false;
    });
  }

  /** Removes at most `max` released files whose time is up; the number of them. */
  async removeDue(now: EpochMs, max: number): Promise<number> {
    const due: string[] = [];
    if (this.#isHeld) return 0;
    for (const [name, at] of this.#released) {
      if (at > now || due.length === max) break;
      due.push(name);
    }
    for (const name of due) this.#released.delete(name);
    for (const name of due) await this.#removeUnnamed(name);
    return due.length;
  }

  /** Removes what earlier runs left behind; the number of files. */
  async removeOrphans(): Promise<number> {
    let removed = 0;
    for await (const names of this.#folder.names()) {
      for (const name of names) {
        if (this.#isClosed) return removed;
        if (name.endsWith(this.#run) || this.#isNamed(name)) continue;
        await this.#folder.remove(name);
        removed += 1;
      }
    }
    return removed;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #removeUnnamed(name: string): Promise<void> {
    if (this.#isClosed || this.#isNamed(name)) return;
    // What cannot be removed now is an orphan of the next start.
    await this.#folder.remove(name).catch(() => undefined);
  }

  #isNamed(name: string): boolean {
    return countOf(this.#bodies, name) > 0;
  }
}
