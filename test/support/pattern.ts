/** Bytes that are cheap to make at any place and look different everywhere. */
const PERIOD = 65_521;
const BLOCK = Buffer.alloc(PERIOD, 0).map((_, index) => (index * 31 + (index >> 8)) & 0xff);

/** The bytes from `offset`; the pattern repeats by a prime, so that no piece passes for another. */
export function patternAt(offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const from = (offset + done) % PERIOD;
    done += Buffer.from(BLOCK.buffer, BLOCK.byteOffset, PERIOD).copy(bytes, done, from);
  }
  return bytes;
}

/** `length` bytes of the pattern in pieces. */
export async function* patternChunks(length: number, piece = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; at += piece) yield patternAt(at, Math.min(piece, length - at));
}
