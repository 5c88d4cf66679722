/**
 * MessagePack for answers and request bodies: plain values and timestamps only. A body is walked
 * before it is decoded, so that neither its lengths nor its nesting can cost more than its bytes,
 * and no extension of the library (records, references, typed arrays) is reachable from outside.
 */
import { Packr } from 'msgpackr';
import type { StructureLimits } from './json-structure.ts';
import { plainValue } from './plain-value.ts';
import { StructureCheck, unsignedAt } from './structure-check.ts';

const codec = new Packr({ useRecords: false, mapsAsObjects: true });

const TIMESTAMP = 0xff; // the type -1

export const encodeMsgpack = (value: unknown): Uint8Array => codec.pack(value);

/** One value as JSON has it. Throws `BODY_MALFORMED`. */
export function decodeMsgpack(bytes: Uint8Array, limits: StructureLimits): unknown {
  const check = new StructureCheck('MessagePack', limits);
  walk(bytes, check, Number.POSITIVE_INFINITY);
  try {
    return plainValue(codec.unpack(bytes));
  } catch (cause) {
    throw check.malformed(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/**
 * Looks at the structure alone, for another decoder: throws `BODY_MALFORMED` unless `bytes` begin
 * with one whole value of at most so many values within one another.
 */
export function walkMsgpack(
  bytes: Uint8Array,
  { depthMax, valuesMax }: { readonly depthMax: number; readonly valuesMax: number },
): void {
  const keysMax = Number.POSITIVE_INFINITY;
  walk(bytes, new StructureCheck('MessagePack', { depthMax, keysMax }), valuesMax);
}

function walk(bytes: Uint8Array, check: StructureCheck, valuesMax: number): void {
  let at = 0;
  for (let values = 1; !check.isComplete; values += 1) {
    if (at >= bytes.length) throw check.malformed('it ends before its last value');
    if (values > valuesMax) throw check.malformed(`it has more than ${valuesMax} values`);
    check.take();
    at = afterValue(bytes, at, check);
    check.settle();
  }
}

/** How a value with a first byte from 0xc0 to 0xdf goes on. */
type Head =
  | { readonly kind: 'fixed'; readonly size: number }
  | { readonly kind: 'text' | 'array' | 'map'; readonly lengthSize: number };

const fixed = (size: number): Head => ({ kind: 'fixed', size });
const text = (lengthSize: number): Head => ({ kind: 'text', lengthSize });

const HEADS: Readonly<Record<number, Head>> = {
  192: fixed(0), // nil
  194: fixed(0), // false
  195: fixed(0), // true
  196: text(1), // bin 8 to 32
  197: text(2),
  198: text(4),
  202: fixed(4), // float 32, float 64
  203: fixed(8),
  204: fixed(1), // uint 8 to 64
  205: fixed(2),
  206: fixed(4),
  207: fixed(8),
  208: fixed(1), // int 8 to 64
  209: fixed(2),
  210: fixed(4),
  211: fixed(8),
  217: text(1), // str 8 to 32
  218: text(2),
  219: text(4),
  220: { kind: 'array', lengthSize: 2 },
  221: { kind: 'array', lengthSize: 4 },
  222: { kind: 'map', lengthSize: 2 },
  223: { kind: 'map', lengthSize: 4 },
};

function afterValue(bytes: Uint8Array, at: number, check: StructureCheck): number {
  const first = bytes[at] ?? 0;
  const next = at + 1;
  const left = bytes.length - next;
  if (first < 0x80 || first >= 0xe0) return next;
  if (first < 0x90) return openedMap(check, first & 15, next, left);
  if (first < 0xa0) return opened(check, first & 15, next, left);
  if (first < 0xc0) return next + check.fits(first & 31, left);
  const head = HEADS[first] ?? timestamp(bytes, at, check);
  if (head.kind === 'fixed') return next + check.fits(head.size, left);
  const length = unsignedAt(bytes, next, head.lengthSize);
  if (Number.isNaN(length)) throw check.malformed('it ends inside a value');
  const start = next + head.lengthSize;
  if (head.kind === 'text') return start + check.fits(length, bytes.length - start);
  const open = head.kind === 'map' ? openedMap : opened;
  return open(check, length, start, bytes.length - start);
}

function opened(check: StructureCheck, count: number, next: number, left: number): number {
  check.open(count, left);
  return next;
}

function openedMap(check: StructureCheck, count: number, next: number, left: number): number {
  check.openMap(count, left);
  return next;
}

/** The only extension: a timestamp of 32, 64 or 96 bits. */
function timestamp(bytes: Uint8Array, at: number, check: StructureCheck): Head {
  const first = bytes[at];
  if (first === 0xd6 && bytes[at + 1] === TIMESTAMP) return fixed(1 + 4);
  if (first === 0xd7 && bytes[at + 1] === TIMESTAMP) return fixed(1 + 8);
  if (first === 0xc7 && bytes[at + 1] === 12 && bytes[at + 2] === TIMESTAMP) return fixed(2 + 12);
  throw check.malformed('extension types are not taken here');
}
