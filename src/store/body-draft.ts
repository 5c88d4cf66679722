/**
 * A body that is being written. Chunks wait in a bounded window and go to the file in order, one
 * write at a time; readers follow behind what the file has. Its file counts for nothing until a
 * row names it, so whatever ends the process in the middle leaves nothing but an orphan.
 *
 *   writing ──finish──► flushing ──► whole (file closed with its last reader)
 *      └────discard / failure ─────► gone  (file removed; readers get what was written, then fail)
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { NodeError } from '../base/errors.ts';
import type { StoredBody } from '../cache/entry.ts';
import { LIMITS } from '../config/limits.ts';
import type { BodyDraft, BodyReader } from '../table/body-store.ts';
import type { BodyFile, BodyFolder } from './body-folder.ts';

export interface DraftParts {
  readonly name: string;
  readonly folder: BodyFolder;
  /** Throws `STORE_FULL` when no more may be written. */
  readonly checkRoom: () => void;
}

/** A writer which does not wait for `drained` is at fault beyond so many windows. */
const WINDOWS_MAX = 8;

export class FileDraft implements BodyDraft {
  readonly #parts: DraftParts;
  readonly #hash = createHash('sha256');
  #file: Promise<BodyFile> | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #length = 0;
  /** Bytes that are in the file. */
  #written = 0;
  #isWriting = false;
  #isWhole = false;
  #failure: NodeError | undefined;
  #readers = 0;
  #watchers: (() => void)[] = [];

  constructor(parts: DraftParts) {
    this.#parts = parts;
  }

  get length(): number {
    return this.#length;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#failure !== undefined) return false;
    assert(!this.#isWhole, 'a finished body takes no more bytes');
    assert(
      this.#waitingBytes <= LIMITS.bodyWindowBytes * WINDOWS_MAX,
      'who writes a body waits for drained',
    );
    if (chunk.length > 0) {
      const copy = Uint8Array.prototype.slice.call(chunk);
      this.#hash.update(copy);
      this.#waiting.push(copy);
      this.#waitingBytes += copy.length;
      this.#length += copy.length;
      if (!this.#isWriting) void this.#writeOn();
    }
    return this.#hasRoom();
  }

  async drained(): Promise<void> {
    await this.#until(() => this.#hasRoom());
  }

  read(): BodyReader {
    this.#readers += 1;
    let isOpen = true;
    const draft = this;
    return {
      get length() {
        return draft.#isWhole ? draft.#length : undefined;
      },
      read: (offset, max) => this.#read(offset, max),
      // What is read here is what is being written.
      verify: () => Promise.resolve(),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#readers -= 1;
        this.#closeUnused();
      },
    };
  }

  async finish(options: { readonly durable?: boolean } = {}): Promise<StoredBody> {
    await this.#until(() => this.#written === this.#length && !this.#isWriting);
    const { name, folder } = this.#parts;
    try {
      const file = await this.#opened();
      if (options.durable === true) {
        await file.sync();
        await folder.syncName(name);
      }
    } catch (cause) {
      this.#fail(cause);
      throw this.#failure ?? cause;
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.#isWhole = true;
    this.#wake();
    this.#closeUnused();
    return { name, length: this.#length, digest: this.#hash.digest('hex') };
  }

  discard(): void {
    assert(!this.#isWhole, 'a finished body is removed by letting go of its row');
    this.#fail(new NodeError('STORE_FAILED', 'the body was given up before its end'));
  }

  #hasRoom(): boolean {
    return this.#waitingBytes < LIMITS.bodyWindowBytes;
  }

  #opened(): Promise<BodyFile> {
    this.#file ??= this.#parts.folder.make(this.#parts.name);
    return this.#file;
  }

  /** Writes what waits, and what comes meanwhile, until nothing waits. */
  async #writeOn(): Promise<void> {
    this.#isWriting = true;
    try {
      const file = await this.#opened();
      while (this.#waiting.length > 0 && this.#failure === undefined) {
        this.#parts.checkRoom();
        const chunks = this.#waiting;
        const bytes = this.#waitingBytes;
        this.#waiting = [];
        await file.write(chunks, this.#written);
        this.#waitingBytes -= bytes;
        this.#written += bytes;
        this.#wake();
      }
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#isWriting = false;
      this.#wake();
    }
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = cause instanceof NodeError ? cause : bodyFailure(cause);
    this.#waiting = [];
    this.#waitingBytes = 0;
    const { folder, name } = this.#parts;
    // A file that is still being made is removed when it is there.
    const made = this.#file?.catch(() => undefined);
    void made?.then(() => folder.remove(name)).catch(() => undefined);
    this.#wake();
    this.#closeUnused();
  }

  async #read(offset: number, max: number): Promise<Uint8Array> {
    await this.#untilReadable(offset);
    const bytes = Math.min(max, LIMITS.bodyReadBytes, this.#written - offset);
    if (bytes <= 0) {
      if (this.#failure !== undefined) throw this.#failure;
      return NOTHING;
    }
    const file = await this.#opened();
    return file.read(offset, bytes).catch((cause: unknown) => {
      throw bodyFailure(cause);
    });
  }

  async #untilReadable(offset: number): Promise<void> {
    while (this.#written <= offset && !this.#isWhole && this.#failure === undefined) {
      await this.#change();
    }
  }

  /** Resolves when `isSo`; rejects when the draft has failed. */
  async #until(isSo: () => boolean): Promise<void> {
    while (this.#failure === undefined && !isSo()) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const wake of watchers) wake();
  }

  /** The file stays open while it is written or read. */
  #closeUnused(): void {
    const isOver = this.#isWhole || this.#failure !== undefined;
    if (!isOver || this.#readers > 0) return;
    void this.#file?.then(
      (file) => file.close(),
      () => undefined,
    );
  }
}

const NOTHING = new Uint8Array(0);

/** `STORE_FULL` for a full disk, `STORE_FAILED` for everything else that befalls a file. */
export function bodyFailure(cause: unknown): NodeError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return noRoom(cause);
  return new NodeError('STORE_FAILED', 'a body could not be written to the disk or read from it', {
    cause,
    retry: 'later',
  });
}

export const noRoom = (cause?: unknown): NodeError =>
  new NodeError(
    'STORE_FULL',
    'the disk is nearly full: no more bodies are taken; free some room or lower the disk marks',
    { retry: 'later', cause },
  );
