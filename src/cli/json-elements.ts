/**
 * Cuts a JSON array that comes in pieces into its elements, each on one line, with the line where
 * it began. Only brackets, quotes and commas are looked at: what an element is worth is found out
 * by who reads it. What is held is one element, and that is bounded.
 */
import type { Line } from '../protocols/rest/formats/split-lines.ts';
import { TransferError } from './remote.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);
const WHITE: ReadonlySet<number> = new Set([SPACE, TAB, NEWLINE, CARRIAGE_RETURN]);

export class JsonElements {
  readonly #bytesMax: number;
  #element: number[] = [];
  #line = 1;
  #begunAt = 1;
  #depth = 0;
  #isQuoted = false;
  #isEscaped = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The elements that this piece completes. Throws `TransferError`. */
  push(piece: Uint8Array): Line[] {
    const lines: Line[] = [];
    for (const byte of piece) {
      if (byte === NEWLINE) this.#line += 1;
      if (this.#isQuoted) this.#quoted(byte);
      else this.#plain(byte, lines);
    }
    if (this.#element.length <= this.#bytesMax) return lines;
    throw new TransferError(`line ${this.#begunAt}: a row longer than ${this.#bytesMax} bytes`);
  }

  /** Throws `TransferError` when the array has not ended. */
  end(): Line[] {
    if (this.#depth === 0) return [];
    throw new TransferError(
      `line ${this.#line}: the JSON array has no end; the file may be cut off`,
    );
  }

  #quoted(byte: number): void {
    this.#element.push(byte);
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isQuoted = false;
  }

  #plain(byte: number, lines: Line[]): void {
    if (WHITE.has(byte)) return;
    if (this.#depth === 0) {
      if (byte !== 0x5b) {
        throw new TransferError(`line ${this.#line}: --format json is an array of records`);
      }
      this.#depth = 1;
      return;
    }
    const isEnd = this.#depth === 1 && (byte === COMMA || CLOSING.has(byte));
    if (isEnd) this.#complete(lines);
    if (CLOSING.has(byte)) this.#depth -= 1;
    else if (OPENING.has(byte)) this.#depth += 1;
    else if (byte === QUOTE) this.#isQuoted = true;
    if (isEnd) return;
    if (this.#element.length === 0) this.#begunAt = this.#line;
    this.#element.push(byte);
  }

  #complete(lines: Line[]): void {
    if (this.#element.length > 0) {
      lines.push({ bytes: Uint8Array.from(this.#element), line: this.#begunAt });
    }
    this.#element = [];
  }
}
