/**
 * Numbers for generated `Int` and `Long` keys. The numbers of a type are cut into equal ranges, and
 * an author counts up inside ranges of its own, so that nodes which cannot talk still hand out
 * different keys:
 *
 *     Int   31 bits: 2,047 ranges of 1,048,576      Long   53 bits: 2,097,151 ranges of 2^32
 *
 * A node outside a cluster takes range 0 and counts 1, 2, 3. Any other takes the range to which its
 * identity hashes; `isTaken` (fed by what replication has seen) makes it step to the next one.
 * Since two nodes may still pick one range before they have met, a generated key is inserted under
 * the condition that no record has it.
 *
 * A restart never repeats a number: what is handed out has been reserved before, a block at a time,
 * and the rest of a block is lost when the process ends.
 */
import { assert } from '../base/assert.ts';

/** What is kept for a table: the range, and the first number that is not reserved yet. */
export interface IdRangeState {
  readonly range: number;
  readonly reservedUntil: number;
}

/** Persistence and knowledge of the cluster, both given. Calls happen on the store thread. */
export interface IdRangePort {
  load(): IdRangeState | undefined;
  /** Called once a block; must be durable before a key of that block is acknowledged. */
  save(state: IdRangeState): void;
  /** Whether another author is known to count in this range. */
  isTaken(range: number): boolean;
}

export interface IdRangeOptions {
  readonly type: 'Int' | 'Long';
  /** The node's identity; `undefined` outside a cluster. */
  readonly author: number | undefined;
  /** Numbers reserved at a time. */
  readonly block?: number | undefined;
}

export interface IdRange {
  /** The next number, never given before. */
  next(): number;
  /** `count` consecutive numbers, for a worker thread to hand out; the first of them. */
  reserve(count: number): number;
}

const SHAPES = {
  Int: { size: 2 ** 20, ranges: 2 ** 11 - 1 },
  Long: { size: 2 ** 32, ranges: 2 ** 21 - 1 },
} as const;
const BLOCK = 1_000;
const PROBES_MAX = 4_096;

export function createIdRange(options: IdRangeOptions, port: IdRangePort): IdRange {
  const shape = SHAPES[options.type];
  const block = options.block ?? BLOCK;
  const loaded = port.load();
  let range = loaded?.range ?? chooseRange(options, shape.ranges, port);
  // Number 0 is left out: too many clients read it as absent.
  let cursor = loaded?.reservedUntil ?? range * shape.size + 1;
  let reservedUntil = cursor;

  const reserve = (count: number): number => {
    assert(count > 0 && count < shape.size, 'a reservation fits a range');
    if (cursor + count > (range + 1) * shape.size) {
      range = nextFree(range, shape.ranges, port);
      cursor = range * shape.size;
      reservedUntil = cursor;
    }
    const first = cursor;
    cursor += count;
    if (cursor > reservedUntil) {
      const end = (range + 1) * shape.size;
      reservedUntil = Math.min(end, Math.max(cursor, reservedUntil + block));
      port.save({ range, reservedUntil });
    }
    return first;
  };
  return { next: () => reserve(1), reserve };
}

function chooseRange(options: IdRangeOptions, ranges: number, port: IdRangePort): number {
  if (options.author === undefined) return 0;
  const preferred = 1 + (mix(options.author) % (ranges - 1));
  return port.isTaken(preferred) ? nextFree(preferred, ranges, port) : preferred;
}

/** The next range that nobody is known to use; range 0 stays with nodes outside a cluster. */
function nextFree(range: number, ranges: number, port: IdRangePort): number {
  for (let probe = 1; probe <= PROBES_MAX; probe += 1) {
    const candidate = 1 + ((range - 2 + probe + ranges) % (ranges - 1));
    if (!port.isTaken(candidate)) return candidate;
  }
  throw new RangeError(`no free range of keys after ${PROBES_MAX} steps`);
}

/** Spreads the 48 bits of an identity over 32 (the finisher of MurmurHash3). */
function mix(author: number): number {
  let hash = ((author % 2 ** 32) ^ Math.floor(author / 2 ** 32)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
