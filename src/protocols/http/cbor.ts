/**
 * CBOR (RFC 8949) for answers and request bodies. A body is walked before it is decoded: lengths,
 * nesting, and tags. Tags with which a short body could stand for a long one (shared references,
 * packed values, record definitions) are refused.
 */
import { createRequire } from 'node:module';
import type * as CborX from 'cbor-x';
import { lazy } from '../../base/lazy.ts';
import type { StructureLimits } from './json-structure.ts';
import { plainValue } from './plain-value.ts';
import { StructureCheck, unsignedAt } from './structure-check.ts';

const require = createRequire(import.meta.url);

/** Loaded with the first CBOR body: most nodes never see one. */
const codec = lazy(() => {
  const { Encoder }: typeof CborX = require('cbor-x');
  return new Encoder({ useRecords: false, mapsAsObjects: true });
});

/** Dates (0, 1), big numbers (2, 3), URIs (32), bytes (64), self-description (55799). */
const TAGS: ReadonlySet<number> = new Set([0, 1, 2, 3, 32, 64, 55_799]);
const TAGS_IN_ROW_MAX = 4;
const BREAK = 0xff;
const INDEFINITE = 31;

export const CBOR_ARRAY_START = Uint8Array.of(0x9f);
export const CBOR_ARRAY_END = Uint8Array.of(BREAK);

export const encodeCbor = (value: unknown): Uint8Array => codec().encode(value);

/** One value as JSON has it. Throws `BODY_MALFORMED`. */
export function decodeCbor(bytes: Uint8Array, limits: StructureLimits): unknown {
  const check = new StructureCheck('CBOR', limits);
  walk(bytes, check);
  try {
    return plainValue(codec().decode(bytes));
  } catch (cause) {
    throw check.malformed(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** [RFC8949 §3] One value; what follows it is the decoder's to refuse. */
function walk(bytes: Uint8Array, check: StructureCheck): void {
  let at = 0;
  let tags = 0;
  while (!check.isComplete) {
    const initial = bytes[at];
    if (initial === undefined) throw check.malformed('it ends before its last value');
    if (initial === BREAK) {
      at += 1;
      check.breakOff();
      check.settle();
      continue;
    }
    const isTag = initial >> 5 === 6;
    tags = isTag ? tags + 1 : 0;
    if (tags > TAGS_IN_ROW_MAX) throw check.malformed('too many tags in a row');
    at = isTag ? afterTag(bytes, at, check) : afterValue(bytes, at, check);
  }
}

function afterTag(bytes: Uint8Array, at: number, check: StructureCheck): number {
  const { value, next } = argument(bytes, at, check);
  if (!TAGS.has(value)) throw check.malformed(`tag ${value} is not taken here`);
  return next;
}

function afterValue(bytes: Uint8Array, at: number, check: StructureCheck): number {
  const initial = bytes[at] ?? 0;
  const major = initial >> 5;
  check.take();
  if ((initial & 31) === INDEFINITE) return openIndefinite(major, at, check);
  const { value, next } = argument(bytes, at, check);
  const left = bytes.length - next;
  if (major === 2 || major === 3) return settled(check, next + check.fits(value, left));
  if (major === 4) check.open(value, left);
  if (major === 5) check.openMap(value, left);
  // Simple values: false, true, null, undefined, and three sizes of floats.
  if (major === 7 && (initial < 0xf4 || initial === 0xf8)) throw check.malformed('a simple value');
  return settled(check, next);
}

function openIndefinite(major: number, at: number, check: StructureCheck): number {
  if (major < 2 || major > 5) throw check.malformed('a number without an end');
  check.openUntilBreak(major === 5);
  return at + 1;
}

function settled(check: StructureCheck, next: number): number {
  check.settle();
  return next;
}

/** The number in the head of an item [RFC8949 §3]. */
function argument(bytes: Uint8Array, at: number, check: StructureCheck) {
  const low = (bytes[at] ?? 0) & 31;
  if (low < 24) return { value: low, next: at + 1 };
  const size = [1, 2, 4, 8][low - 24];
  if (size === undefined) throw check.malformed('a reserved length');
  const value = unsignedAt(bytes, at + 1, size);
  if (Number.isNaN(value)) throw check.malformed('it ends inside a value');
  return { value, next: at + 1 + size };
}
