/**
 * Memory for the rests of answers that a socket did not take at once. It is used again and again:
 * fresh memory of this size costs the kernel more than the copy into it, and the collector more
 * than both. Bounded: what is beyond the bound, or too large, is fresh memory after all.
 */
const BUFFER_BYTES = 128 * 1024;
const FREE_MAX = 64;

const free: Buffer[] = [];

/** A copy of `bytes`; `giveBack` must be called once when it is not looked at any more. */
export function keepRest(bytes: Uint8Array): Buffer {
  if (bytes.length > BUFFER_BYTES) return Buffer.from(bytes);
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  buffer.set(bytes);
  return buffer.subarray(0, bytes.length);
}

export function giveBack(rest: Buffer): void {
  if (rest.buffer.byteLength !== BUFFER_BYTES || free.length >= FREE_MAX) return;
  free.push(Buffer.from(rest.buffer as ArrayBuffer));
}
