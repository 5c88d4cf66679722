/**
 * A byte stream between two nodes over a carrier of messages that may lose some and tells nobody.
 * Pieces are numbered: a gap ends the stream, and whoever used it begins anew. What is sent and not
 * yet taken is bounded by a window, so that a slow reader holds the writer back, not the carrier.
 *
 *   piece = kind (1 byte), number (4 bytes, little-endian), bytes
 *   open   0   the other side listens; before it, nothing is sent
 *   data   1   number of the piece
 *   taken  2   bytes taken since the last
 *   end    3   no more comes
 */
import { Duplex } from 'node:stream';

const KIND = { open: 0, data: 1, taken: 2, end: 3 } as const;
const HEAD_BYTES = 5;
const PIECE_BYTES_MAX = 128 * 1024;
const WINDOW_BYTES = 1024 * 1024;
/** Taken bytes are told when they are so many. */
const TOLD_BYTES = WINDOW_BYTES / 8;

interface Waiting {
  bytes: Buffer;
  readonly done: (error?: Error | null) => void;
}

/** Enough of a socket for an HTTP server and client to run over it. */
export class Tunnel extends Duplex {
  /** Of the other node, as the carrier knows it. */
  readonly remoteAddress: string;
  readonly #carry: (piece: Uint8Array) => void;
  readonly #leave: () => void;
  #isOpen: boolean;
  #sent = 0;
  #received = 0;
  #underWay = 0;
  #owed = 0;
  #waiting: Waiting | undefined;
  #hasEnded = false;

  /** `carry` sends one piece; `leave` is called once, at the end. */
  constructor(
    remoteAddress: string,
    isOpen: boolean,
    carry: (piece: Uint8Array) => void,
    leave: () => void,
  ) {
    super({ allowHalfOpen: true });
    this.remoteAddress = remoteAddress;
    this.#isOpen = isOpen;
    this.#carry = carry;
    this.#leave = leave;
    if (isOpen) this.#send(KIND.open, 0);
  }

  /** A piece from the other side, as it came; its bytes are copied. */
  arrived(piece: Uint8Array): void {
    if (this.destroyed || piece.length < HEAD_BYTES) return;
    const bytes = Buffer.from(piece);
    const number = bytes.readUInt32LE(1);
    switch (bytes[0]) {
      case KIND.open:
        this.#isOpen = true;
        break;
      case KIND.data:
        this.#take(number, bytes.subarray(HEAD_BYTES));
        break;
      case KIND.taken:
        this.#underWay = Math.max(0, this.#underWay - number);
        break;
      case KIND.end:
        this.#end(number);
        break;
      default:
        this.destroy(new Error('a piece of a kind that is not known'));
    }
    this.#pump();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: Waiting['done']): void {
    this.#waiting = { bytes: chunk, done };
    this.#pump();
  }

  override _read(): void {
    this.#tell(0);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#sayEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#sayEnd();
    this.#leave();
    this.#waiting?.done(error ?? new Error('the stream has ended'));
    this.#waiting = undefined;
    done(error);
  }

  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  #take(number: number, bytes: Buffer): void {
    if (number !== this.#received) {
      this.destroy(new Error('a piece was lost on the way'));
      return;
    }
    this.#received += 1;
    this.#owed += bytes.length;
    if (this.#owed > 2 * WINDOW_BYTES) this.destroy(new Error('more came than was asked for'));
    else if (this.push(bytes)) this.#tell(TOLD_BYTES);
  }

  /** Lets the other side send as much again as was taken, when that is more than `least`. */
  #tell(least: number): void {
    if (this.#owed <= least || this.destroyed) return;
    this.#send(KIND.taken, this.#owed);
    this.#owed = 0;
  }

  #end(number: number): void {
    if (number === this.#received) this.push(null);
    else this.destroy(new Error('the end came before the pieces'));
  }

  #sayEnd(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#send(KIND.end, this.#sent);
  }

  #pump(): void {
    const { destroyed } = this;
    while (this.#waiting !== undefined && this.#isOpen && !destroyed) {
      if (this.#underWay >= WINDOW_BYTES) return;
      const piece = this.#waiting.bytes.subarray(0, PIECE_BYTES_MAX);
      this.#waiting.bytes = this.#waiting.bytes.subarray(piece.length);
      this.#underWay += piece.length;
      this.#send(KIND.data, this.#sent, piece);
      this.#sent += 1;
      if (this.#waiting.bytes.length > 0) continue;
      const { done } = this.#waiting;
      this.#waiting = undefined;
      done();
    }
  }

  #send(kind: number, number: number, bytes: Buffer = NOTHING): void {
    const piece = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
    piece[0] = kind;
    piece.writeUInt32LE(number, 1);
    bytes.copy(piece, HEAD_BYTES);
    this.#carry(piece);
  }
}

const NOTHING = Buffer.alloc(0);
