/**
 * Digests of a table as they travel and are compared: 4,096 buckets of 64 bits in two halves. Which
 * rows make up a bucket is the business of `cache/row-digest.ts`.
 */
import type { TableDigest } from './ports.ts';

const HALVES = 2;
const HALF_BYTES = 4;
const NO_DIGEST = new Uint32Array(0);
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

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
  return inWireOrder(new Uint8Array((digest ?? NO_DIGEST).slice().buffer));
}

/** `undefined` when the other side has none to compare with. */
export function digestFrom(bytes: Uint8Array, buckets: number): TableDigest | undefined {
  if (bytes.length !== buckets * HALVES * HALF_BYTES) return undefined;
  // A copy of its own, which begins where halves may begin.
  return new Uint32Array(inWireOrder(new Uint8Array(bytes)).buffer);
}

/** Turns halves round where the machine has them the other way. */
function inWireOrder<T extends Uint8Array>(halves: T): T {
  if (IS_LITTLE_ENDIAN) return halves;
  for (let at = 0; at < halves.length; at += HALF_BYTES) {
    halves.subarray(at, at + HALF_BYTES).reverse();
  }
  return halves;
}

/** The buckets in which two tables differ, ascending. */
export function differingBuckets(one: TableDigest, other: TableDigest): number[] {
  const found: number[] = [];
  for (let at = 0; at < one.length; at += HALVES) {
    if (one[at] !== other[at] || one[at + 1] !== other[at + 1]) found.push(at / HALVES);
  }
  return found;
}
