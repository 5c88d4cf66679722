/**
 * Bodies too large for a row: streamed into the store and out of it in bounded pieces, read while
 * they are being written. A body is written once and never changed; a row that names it keeps it,
 * and what no row names is removed (a minute after the row let go of it, and at the next start).
 *
 * Implemented by `store/body-files.ts` in a folder beside the tables. Every thread has its own. Who
 * has finished a body gives it to a write (`WriteOp` put); a body whose write was not stored is
 * removed by the store, and one that was finished and never written, at the next start.
 */
import type { StoredBody } from '../cache/entry.ts';

/** An entry carries it too, and knows nothing of this port. */
export type { StoredBody };

/** Under which a body of another node is kept here: by its digest, since a row waits for it. */
export const copyName = ({ digest }: Pick<StoredBody, 'digest'>): string => digest + COPY_MARK;

/** Whether it is, or was, fetched from another node. */
export const isCopy = ({ name }: Pick<StoredBody, 'name'>): boolean => name.endsWith(COPY_MARK);

/** No letter of a run's mark is in it: no copy is taken for what this run has made. */
const COPY_MARK = '-copy';

/** Fills give way first when the disk runs short; what a client writes, at its very end. */
export type BodyPurpose = 'fill' | 'client';

/** A body that is being written. Exactly one of `finish` and `discard` ends it. */
export interface BodyDraft {
  /** Bytes written so far; all of them can be read. */
  readonly length: number;
  /** Queues a chunk (copied); `false` means: wait for `drained` before the next. */
  write(chunk: Uint8Array): boolean;
  /** Resolves when there is room again; rejects with `STORE_FULL` or `STORE_FAILED`. */
  drained(): Promise<void>;
  /** A reader that may run ahead of the writer: it waits for what is not there yet. */
  read(): BodyReader;
  /** The body is whole and, when `durable`, on the disk. */
  finish(options?: { readonly durable?: boolean }): Promise<StoredBody>;
  /** Removes it; readers get what was written and then `STORE_FAILED`. */
  discard(): void;
}

/** Reads a body in pieces; holds an open file, so it must be closed. */
export interface BodyReader {
  /** `undefined` while a body is being written and its end is not known. */
  readonly length: number | undefined;
  /**
   * At most `max` bytes (limit `bodyReadBytes` at the most) from `offset`; empty at the end. Waits
   * for bytes that are still to come. Rejects with `STORE_FAILED`; so does the reading of the last
   * bytes when a body that was read from its beginning is not what was written.
   */
  read(offset: number, max: number): Promise<Uint8Array>;
  /**
   * Rejects with `STORE_FAILED` when the body is not what was written: reads all of it, unless that
   * is known. For who is going to read a part only.
   */
  verify(): Promise<void>;
  close(): void;
}

export interface BodyStore {
  /** Throws `STORE_FULL` when the disk has no room for bodies; a `fill` unless said otherwise. */
  create(purpose?: BodyPurpose): BodyDraft;
  /** `undefined` when the body is gone, or is not what was written (it is then reported). */
  open(body: StoredBody): BodyReader | undefined;
}
