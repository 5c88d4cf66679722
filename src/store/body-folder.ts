/**
 * Where the files of bodies live: `<folder>/xx/<name>`, `xx` being the first letters of the name,
 * so that no folder grows without end. Nothing here blocks the event loop but the opening of a
 * file that is to be read. `memory/body-folder.ts` keeps the same contract without a disk.
 */
import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  open,
  openSync,
  read,
  writev,
} from 'node:fs';
import { mkdir, opendir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** An open file; whoever has opened it closes it. */
export interface BodyFile {
  /** Bytes of the file when it was opened. */
  readonly size: number;
  write(chunks: readonly Uint8Array[], at: number): Promise<void>;
  /** At most `max` bytes, owned by the caller; fewer only at the end. */
  read(at: number, max: number): Promise<Uint8Array>;
  /** Resolves when the bytes are on the disk. */
  sync(): Promise<void>;
  close(): void;
}

export interface BodyFolder {
  /** A new empty file, which can be written and read. */
  make(name: string): Promise<BodyFile>;
  /** `undefined` when there is no such file. */
  open(name: string): BodyFile | undefined;
  /** Resolves when the file would be found again after a power loss. */
  syncName(name: string): Promise<void>;
  /** Does nothing when there is no such file. */
  remove(name: string): Promise<void>;
  /** The names of all files, in pages; what is made meanwhile may be among them. */
  names(): AsyncIterable<readonly string[]>;
}

const SHARD_LETTERS = 2;
const NAMES_PAGE = 1_000;

const openFile = promisify(open);
const syncFile = promisify(fsync);
const syncBytes = promisify(fdatasync);
const noop = () => undefined;

export class DiskBodyFolder implements BodyFolder {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async make(name: string): Promise<BodyFile> {
    const path = this.#pathOf(name);
    try {
      return new DiskBodyFile(await openFile(path, 'wx+'), 0);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await mkdir(dirname(path), { recursive: true });
    return new DiskBodyFile(await openFile(path, 'wx+'), 0);
  }

  open(name: string): BodyFile | undefined {
    let file: number | undefined;
    try {
      file = openSync(this.#pathOf(name), 'r');
      return new DiskBodyFile(file, fstatSync(file).size);
    } catch (error) {
      if (file !== undefined) closeSync(file);
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** The folders above are synced too: this file may be the first of its folder. */
  async syncName(name: string): Promise<void> {
    const shard = dirname(this.#pathOf(name));
    for (const folder of [shard, this.#root, dirname(this.#root)]) {
      const opened = await openFile(folder, 'r');
      await syncFile(opened).finally(() => close(opened, noop));
    }
  }

  async remove(name: string): Promise<void> {
    await unlink(this.#pathOf(name)).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  async *names(): AsyncGenerator<readonly string[]> {
    for await (const shard of entriesOf(this.#root)) {
      let page: string[] = [];
      for await (const name of entriesOf(join(this.#root, shard))) {
        page.push(name);
        if (page.length < NAMES_PAGE) continue;
        yield page;
        page = [];
      }
      yield page;
    }
  }

  #pathOf(name: string): string {
    return join(this.#root, name.slice(0, SHARD_LETTERS), name);
  }
}

/** The names in a folder; none when it does not exist, or is none. */
async function* entriesOf(folder: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(folder)) yield entry.name;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

class DiskBodyFile implements BodyFile {
  readonly #file: number;
  readonly size: number;
  /** Operations under way: the number of a file must not be closed, and given anew, before. */
  #busy = 0;
  #isClosed = false;

  constructor(file: number, size: number) {
    this.#file = file;
    this.size = size;
  }

  async write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    let rest = [...chunks];
    let position = at;
    while (rest.length > 0) {
      const written = await this.#run<number>((done) =>
        writev(this.#file, rest, position, (error, bytes) => done(error, bytes)),
      );
      position += written;
      rest = withoutFirst(rest, written);
    }
  }

  async read(at: number, max: number): Promise<Uint8Array> {
    const piece = Buffer.allocUnsafeSlow(max);
    const bytes = await this.#run<number>((done) =>
      read(this.#file, piece, 0, max, at, (error, count) => done(error, count)),
    );
    return piece.subarray(0, bytes);
  }

  sync(): Promise<void> {
    return this.#run<void>((done) => void syncBytes(this.#file).then(() => done(null), done));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#busy === 0) close(this.#file, noop);
  }

  #run<T>(begin: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
    if (this.#isClosed) return Promise.reject(new Error('the file of a body is closed'));
    this.#busy += 1;
    return new Promise<T>((resolve, reject) => {
      begin((error, value) => {
        this.#busy -= 1;
        if (this.#isClosed && this.#busy === 0) close(this.#file, noop);
        if (error === null) resolve(value as T);
        else reject(error);
      });
    });
  }
}

/** The chunks behind the first `bytes` bytes. */
function withoutFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    const taken = Math.min(left, chunk.length);
    left -= taken;
    if (taken < chunk.length) rest.push(chunk.subarray(taken));
  }
  return rest;
}
