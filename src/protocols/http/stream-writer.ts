/**
 * Back-pressure for streamed answers over an engine that says only "room" or "no room". Chunks that
 * must wait are copied into a queue of our own and fed piece by piece as the kernel takes them, so
 * that `bufferedBytes` is known and a view of the store never outlives its call.
 *
 * Invariant: while the queue is not empty the engine is not offered anything but its head.
 */
import { AssertionFailure } from '../../base/assert.ts';
import type { BodyWriter } from './port.ts';

/** Largest piece offered to the engine at once. */
const PIECE_BYTES = 64 * 1024;
/** So much may be held by an engine that had room so far, and is not known to have sent it. */
const UNTOLD_BYTES_MAX = 4 * 1024;
/** Offered to an engine without room, to learn whether it has sent what it holds. */
const PROBE_BYTES = 512;

/** What is known of a client: that it takes what it is sent, that it does not, or neither. */
export type Taking = 'taking' | 'still' | 'unknown';

export interface StreamOutlet {
  /** Declared length of the body, when it was declared. */
  readonly length: number | undefined;
  /**
   * Offers a piece; `accepted` bytes are the engine's now; no `room` asks to wait for `writable`.
   */
  push(piece: Uint8Array): { readonly accepted: number; readonly room: boolean };
  /** Makes the engine send on what it buffered itself. */
  flush(): void;
  end(): void;
  destroy(): void;
}

export class StreamWriter implements BodyWriter {
  readonly #outlet: StreamOutlet;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Bytes of the piece which the engine had to buffer. */
  #heldBytes = 0;
  #room = true;
  /** There was no room once. */
  #wasFull = false;
  #writtenBytes = 0;
  #ended = false;
  #aborted = false;
  #waiters: (() => void)[] = [];

  constructor(outlet: StreamOutlet) {
    this.#outlet = outlet;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#heldBytes;
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.#aborted || this.#ended) return false;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    this.#writtenBytes += bytes.length;
    const { length } = this.#outlet;
    if (length !== undefined && this.#writtenBytes > length) {
      throw new AssertionFailure(`a body of ${length} bytes must not exceed its length`);
    }
    const taken = this.#room ? this.#feed(bytes) : 0;
    if (taken < bytes.length) this.#enqueue(bytes.subarray(taken));
    return this.#room;
  }

  drained(): Promise<void> {
    if (this.#room || this.#aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  end(chunk?: Uint8Array | string): void {
    if (this.#aborted || this.#ended) return;
    if (chunk !== undefined) this.write(chunk);
    this.#ended = true;
    const { length } = this.#outlet;
    // Too short a body cannot be ended well: the client must see that it is incomplete.
    if (length !== undefined && this.#writtenBytes < length) this.#outlet.destroy();
    else if (this.#queue.length === 0) this.#endOnceSent();
  }

  destroy(): void {
    if (this.#aborted) return;
    this.#outlet.destroy();
    this.abort();
  }

  /** The client has gone. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#heldBytes = 0;
    this.#wake();
  }

  /** The engine has room again. Returns whether it still has. */
  writable(): boolean {
    if (this.#aborted) return true;
    this.#room = true;
    this.#heldBytes = 0;
    if (this.#queue.length > 0) {
      while (this.#room && this.#queue.length > 0) this.#feedHead();
      if (this.#queue.length === 0 && this.#ended) this.#endOnceSent();
    } else {
      this.#outlet.flush();
      if (this.#ended) this.#outlet.end();
    }
    if (this.#room) this.#wake();
    return this.#room;
  }

  /**
   * An engine that holds something yet at the end gives the client a few seconds for it, and then
   * cuts it off.
   */
  #endOnceSent(): void {
    if (this.#room) this.#outlet.end();
  }

  /**
   * Looks whether the client takes anything, where the engine has not said so: it speaks up only
   * when a third of the kernel's buffer is free, which is minutes of a slow client's reading.
   */
  probe(): Taking {
    if (this.#aborted) return 'unknown';
    this.#outlet.flush();
    if (this.#room) return 'taking';
    const head = this.#queue[0];
    if (head === undefined) {
      // Whoever waits for room brings one more chunk, to probe with.
      this.#wake();
      return 'unknown';
    }
    const isCounted = this.#outlet.length !== undefined;
    const piece = head.subarray(0, isCounted ? PIECE_BYTES : PROBE_BYTES);
    const { accepted, room } = this.#outlet.push(piece);
    this.#take(head, accepted);
    if (room) this.writable();
    else if (!isCounted) this.#heldBytes += accepted;
    return room || (isCounted && accepted > 0) ? 'taking' : 'still';
  }

  #feedHead(): void {
    const head = this.#queue[0] as Uint8Array;
    this.#take(head, this.#feed(head));
  }

  /** The first of the queue was accepted as far as that. */
  #take(head: Uint8Array, accepted: number): void {
    this.#queuedBytes -= accepted;
    if (accepted === head.length) this.#queue.shift();
    else this.#queue[0] = head.subarray(accepted);
  }

  /**
   * Returns how many bytes the engine took. Of a body without a length it takes everything, and
   * says of each piece whether those before it have left: so the last byte goes alone.
   */
  #feed(bytes: Uint8Array): number {
    const mayBeHeld = this.#outlet.length === undefined;
    const isSplit = mayBeHeld && (this.#wasFull || bytes.length > UNTOLD_BYTES_MAX);
    const last = isSplit ? bytes.length - 1 : bytes.length;
    let offset = 0;
    while (offset < bytes.length && this.#room) {
      const end = offset < last ? Math.min(offset + PIECE_BYTES, last) : bytes.length;
      const isWhole = offset === 0 && end === bytes.length;
      const { accepted, room } = this.#outlet.push(isWhole ? bytes : bytes.subarray(offset, end));
      offset += accepted;
      this.#room = room;
      if (room) continue;
      this.#wasFull = true;
      this.#heldBytes = accepted;
    }
    return offset;
  }

  #enqueue(bytes: Uint8Array): void {
    this.#queue.push(Buffer.from(bytes));
    this.#queuedBytes += bytes.length;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** Where the body of an answer goes that has none (HEAD, 304), or whose client has gone. */
export function discardingWriter(aborted: boolean): BodyWriter {
  return {
    write: () => !aborted,
    drained: () => Promise.resolve(),
    end: () => undefined,
    destroy: () => undefined,
    bufferedBytes: 0,
    aborted,
  };
}
