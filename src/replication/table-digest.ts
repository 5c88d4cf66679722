/**
 * Digests of a table as they travel and are compared: 4,096 buckets of 64 bits in two halves. Which
 * rows make up a bucket is the business of `cache/row-digest.ts`.
 */
import type { TableDigest } from './ports.ts';

const HALVES = 2;
const HALF_BYTES = 4;

/** The XOR of all buckets. */
export function digestOfTable(digest: TableDigest): readonly [high: number, low: number] {
  let high = 0;
  let low = 0;
  for (let at = 0; at < digest.length; at += HALVES) {
    high ^= digest[at] ?? 0;
    low ^= digest[at + 1] ?? 0;
  }
  return [high >>> 0, low >>> 0];
}

/** Little-endian, whatever the machine; empty when there is none. */
export function digestBytes(digest: TableDigest | undefined): Uint8Array {
  const bytes = new Uint8Array((digest?.length ?? 0) * HALF_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [at, half] of (digest ?? []).entries()) view.setUint32(at * HALF_BYTES, half, true);
  return bytes;
}

/** `undefined` when the other side has none to compare with. */
export function digestFrom(bytes: Uint8Array, buckets: number): TableDigest | undefined {
  if (bytes.length !== buckets * HALVES * HALF_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: buckets * HALVES }, (_, at) =>
    view.getUint32(at * HALF_BYTES, true),
  );
}

/** The buckets in which two tables differ, ascending. */
export function differingBuckets(one: TableDigest, other: TableDigest): number[] {
  const found: number[] = [];
  for (let at = 0; at < one.length; at += HALVES) {
    if (one[at] !== other[at] || one[at + 1] !== other[at + 1]) found.push(at / HALVES);
  }
  return found;
}
