/**
 * The digest of a row's state: equal on two nodes when both know the same writes of the row. It is
 * made from the stamps alone, of every part of the state and not only of the newest: two rows of
 * one newest version may lack different patches. Digests of a table's rows are combined by XOR, in
 * buckets, and compared between replicas.
 */
import type { RecordId } from '../base/brands.ts';
import { additionsOf, type RowStamps, type Stamp, touchedOf } from './row-state.ts';

/** Buckets of a table; a power of two. */
export const DIGEST_BUCKETS = 4096;

/** 64 bits in two halves. */
export interface RowDigest {
  readonly bucket: number;
  readonly high: number;
  readonly low: number;
}

const FIRST_SEED = 0x9e3779b1;
const SECOND_SEED = 0x85ebca6b;

/** Changes every bit of the result with every bit of what comes in. */
function mixed(hash: number, word: number): number {
  let next = Math.imul(hash ^ word, 0xcc9e2d51);
  next ^= next >>> 15;
  next = Math.imul(next, 0x1b873593);
  return next ^ (next >>> 13);
}

function textHash(seed: number, text: string): number {
  let hash = seed ^ text.length;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mixed(seed, hash);
}

/** Which part of the state a stamp stands in. */
const PART = { base: 1, deleted: 2, revived: 3, times: 4, set: 5, removed: 6, added: 7 } as const;

function stampHash(seed: number, part: number, { version, author }: Stamp): number {
  let hash = mixed(seed, part);
  hash = mixed(hash, version % 2 ** 32);
  hash = mixed(hash, Math.floor(version / 2 ** 32));
  hash = mixed(hash, author % 2 ** 32);
  return mixed(hash, Math.floor(author / 2 ** 32));
}

/** The digest of a row that is nothing but its base: nearly all rows. */
export function baseDigest(id: RecordId, base: Stamp, isDelete: boolean): RowDigest {
  return digestWith(id, (seed) => stampHash(seed, isDelete ? PART.deleted : PART.base, base));
}

/** The digest of any row. */
export const rowDigest = (id: RecordId, state: RowStamps): RowDigest =>
  digestWith(id, (seed) => stateHash(seed, state));

/** The bucket in which a row counts. */
export function bucketOf(id: RecordId): number {
  const first = mixed(textHash(FIRST_SEED, String(id)), typeof id === 'number' ? 1 : 2);
  return (first >>> 16) % DIGEST_BUCKETS;
}

function digestWith(id: RecordId, hashOf: (seed: number) => number): RowDigest {
  const text = String(id);
  const kind = typeof id === 'number' ? 1 : 2;
  const first = mixed(textHash(FIRST_SEED, text), kind);
  const second = mixed(textHash(SECOND_SEED, text), kind);
  return {
    bucket: (first >>> 16) % DIGEST_BUCKETS,
    high: mixed(first, hashOf(FIRST_SEED)) >>> 0,
    low: mixed(second, hashOf(SECOND_SEED)) >>> 0,
  };
}

function stateHash(seed: number, state: RowStamps): number {
  const { base, revived, times } = state;
  let hash = 0;
  if (base !== undefined) {
    hash ^= stampHash(seed, base.kind === 'delete' ? PART.deleted : PART.base, base);
  }
  if (revived !== undefined) hash ^= stampHash(seed, PART.revived, revived);
  // The times of a put are its own.
  const isOwn = times?.version === base?.version && times?.author === base?.author;
  if (times !== undefined && !isOwn) hash ^= stampHash(seed, PART.times, times);
  for (const [name, { set, counter }] of Object.entries(touchedOf(state))) {
    const named = textHash(seed, name);
    if (set !== undefined) {
      hash ^= stampHash(named, set.isRemoved === true ? PART.removed : PART.set, set);
    }
    for (const addition of additionsOf(counter)) hash ^= stampHash(named, PART.added, addition);
  }
  return hash;
}
