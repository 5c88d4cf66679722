/**
 * Values in DER [X.690]: written, and read strictly. A reader goes over bytes that somebody else
 * has made: lengths beyond the end, lengths without end and long tags throw, and nothing is
 * copied. What is inside of a value is read by whoever knows what it should be.
 */

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly whole: Buffer;
}

/** One value in DER. */
export function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  return length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff);
}

/** Goes over the values of a sequence. Throws `RangeError` for what is no DER, or is not there. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  next(): DerValue {
    const from = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new RangeError('a tag of several bytes');
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('a value that ends after its bytes');
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag, content, whole: this.#bytes.subarray(from, end) };
  }

  /** The next value, which must have this tag. */
  take(tag: number): DerValue {
    const value = this.next();
    if (value.tag !== tag) throw new RangeError(`tag ${value.tag} where ${tag} was expected`);
    return value;
  }

  /** The next value if it has this tag. */
  takeIf(tag: number): DerValue | undefined {
    return this.#bytes[this.#at] === tag ? this.next() : undefined;
  }

  /** Inside of the next value. */
  enter(tag: number): DerReader {
    return new DerReader(this.take(tag).content);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new RangeError('bytes that end too soon');
    this.#at += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw new RangeError('a length without end, or too long');
    let length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte();
    return length;
  }
}
