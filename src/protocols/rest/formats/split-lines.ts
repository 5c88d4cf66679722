/**
 * Cuts bytes that come in pieces into lines, and counts these. A line may go on over line breaks
 * inside double quotes, as in CSV. What is held is one line, and that is bounded.
 */
import { NodeError } from '../../../base/errors.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;

export interface Line {
  /** Without its line break. */
  readonly bytes: Uint8Array;
  /** Where it begins, counted from 1. */
  readonly line: number;
}

export class LineSplitter {
  readonly #quotes: boolean;
  readonly #bytesMax: number;
  #rest: Uint8Array = new Uint8Array(0);
  /** Bytes of the rest that were looked at, and whether they end within quotes. */
  #seen = 0;
  #isQuoted = false;
  /** Line breaks before the rest, and within what was seen of it. */
  #before = 0;
  #within = 0;

  constructor(options: { readonly quotes: boolean; readonly bytesMax: number }) {
    this.#quotes = options.quotes;
    this.#bytesMax = options.bytesMax;
  }

  /** The lines that this piece completes, empty ones left out. Throws `BODY_TOO_LARGE`. */
  push(piece: Uint8Array): Line[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const lines: Line[] = [];
    let start = 0;
    for (let at = this.#seen; ; ) {
      const end = this.#lineEnd(bytes, at);
      if (end === -1) break;
      at = end + 1;
      this.#add(lines, bytes.subarray(start, end));
      start = at;
    }
    // The piece may be a part of something larger, which is not to be kept for a few bytes.
    this.#rest = Uint8Array.prototype.slice.call(bytes, start);
    this.#seen = this.#rest.length;
    if (this.#rest.length > this.#bytesMax) throw this.#tooLong();
    return lines;
  }

  /** The last line, when no line break ended it. */
  end(): Line[] {
    const lines: Line[] = [];
    this.#add(lines, this.#rest);
    this.#rest = new Uint8Array(0);
    return lines;
  }

  #lineEnd(bytes: Uint8Array, from: number): number {
    if (!this.#quotes) return bytes.indexOf(NEWLINE, from);
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) this.#isQuoted = !this.#isQuoted;
      else if (byte === NEWLINE && !this.#isQuoted) return at;
      else if (byte === NEWLINE) this.#within += 1;
    }
    return -1;
  }

  #add(lines: Line[], bytes: Uint8Array): void {
    if (bytes.length > this.#bytesMax) throw this.#tooLong();
    const line = this.#before + 1;
    this.#before += 1 + this.#within;
    this.#within = 0;
    const isReturn = bytes[bytes.length - 1] === CARRIAGE_RETURN;
    const text = isReturn ? bytes.subarray(0, bytes.length - 1) : bytes;
    if (text.length > 0) lines.push({ bytes: text, line });
  }

  #tooLong(): NodeError {
    const cause = this.#quotes ? '; a quotation mark may be missing' : '';
    return new NodeError(
      'BODY_TOO_LARGE',
      `line ${this.#before + 1} of the request body exceeds ${this.#bytesMax} bytes${cause}`,
      { blame: 'client', details: { limit: 'requestBodyBytesMax', maxBytes: this.#bytesMax } },
    );
  }
}
